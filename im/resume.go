package im

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
)

// handoverTime is how long the connection that a session has may take to let go of it.
const handoverTime = 10 * time.Second

// NotResumedError says that there is no such session to go on with (XEP-0198 §5).
type NotResumedError struct {
	H     uint32 // so many of its client's stanzas were handled, and are durable
	Known bool   // H is known
}

func (e *NotResumedError) Error() string { return "im: no such session to resume" }

// away tells whether the session's connection is lost.
func (s *Session) away() bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.resting
}

// Wanted tells whether another connection wants to go on with the session.
func (s *Session) Wanted() bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.wanted != nil
}

// Rest takes the session from its connection, whose writer has ended, and keeps it for the next one; it is closed when
// that does not come in time, or by end, if that is not zero. Only a resumable session rests.
func (s *Session) Rest(end time.Time) {
	until := time.Now().Add(s.srv.settings.Load().Resume)
	if !end.IsZero() && end.Before(until) {
		until = end
	}
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.detach()
	s.carrier, s.resting, s.until = nil, true, until
	if s.wanted != nil {
		close(s.wanted)
		s.wanted, s.dead, s.early = nil, false, nil
	}
}

// released lets go of whoever wants the session, which has ended.
func (s *Session) released() {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.resting = false
	if s.wanted != nil {
		close(s.wanted)
		s.wanted = nil
	}
}

// Resume finds the session that a client of the account goes on with (XEP-0198 §5), whose last count is h, and has what the
// client has not counted sent again. Its caller tells the client how many stanzas of its own were handled, which
// is durable, and attaches the session. *NotResumedError: there is no such session. A connection that the session still has
// loses it.
func (v *Server) Resume(ctx context.Context, localpart, id string, h uint32) (*Session, uint32, error) {
	a, err := v.account(ctx, localpart)
	if err != nil {
		return nil, 0, err
	}
	if a == nil {
		return nil, 0, ErrNoAccount
	}
	s, err := a.claim(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	if err := s.goOn(ctx, h); err != nil {
		s.Rest(time.Time{})
		return nil, 0, err
	}
	return s, s.handled.Load(), nil
}

// claim takes the resting session of that id, so that nobody else gets it.
func (a *Account) claim(ctx context.Context, id string) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, handoverTime)
	defer cancel()
	for {
		s, over := a.resumable(id)
		if s == nil {
			if err := a.srv.store.Wait(ctx, a.srv.store.Mark()); err != nil { // what over says must be durable
				return nil, fmt.Errorf("im: resume: %w", err)
			}
			return nil, over
		}
		free, wait := s.take()
		if free {
			return s, nil
		}
		if wait == nil { // it is to end, and nobody has come by to end it
			a.srv.Close(ctx, s, "")
			continue
		}
		s.End(&stream.Error{Condition: stream.Conflict, Text: "This session goes on with another connection."})
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("im: resume: the session's old connection does not end: %w", ctx.Err())
		}
	}
}

// resumable finds a session of the account by its id, or says how far it got.
func (a *Account) resumable(id string) (*Session, *NotResumedError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.Sessions() {
		if s.id == id && id != "" {
			return s, nil
		}
	}
	for _, e := range a.ended {
		if e.ID == id && time.Since(e.Time) < endedTime {
			return nil, &NotResumedError{H: e.In, Known: true}
		}
	}
	return nil, &NotResumedError{}
}

// take makes a resting session one that is not. wait is for one that has a connection.
func (s *Session) take() (free bool, wait chan struct{}) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	switch {
	case s.resting && !s.dead:
		s.resting = false
		return true, nil
	case s.resting:
		return false, nil
	case s.wanted == nil:
		s.wanted = make(chan struct{})
	}
	return false, s.wanted
}

// goOn prepares a session that was claimed for its next connection.
func (s *Session) goOn(ctx context.Context, h uint32) error {
	moved, err := s.acknowledge(h)
	if err != nil {
		return err
	}
	s.Wrote(moved)
	list, bytes, err := s.unsent(ctx)
	if err != nil {
		return err
	}
	s.out.again(list, bytes)
	parked := s.park(false)
	if parked || !s.counted(s.handled.Load()) { // what the record says of it ends to be true
		if err = s.account.keepSessions(ctx); err != nil {
			s.park(parked)
			return err
		}
	}
	if err := s.srv.store.Wait(ctx, s.srv.store.Mark()); err != nil {
		return fmt.Errorf("im: resume: %w", err)
	}
	return nil
}

func (s *Session) park(on bool) (was bool) {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	was, s.parked = s.parked, on
	return was
}

// unsent takes what was written and is not acknowledged, to be written again. What the session has no bytes of any more is
// read from the Log, under the same id.
func (s *Session) unsent(ctx context.Context) ([]piece, []byte, error) {
	s.out.mu.Lock()
	k := s.out.acks
	list, kept := k.sent, k.kept
	s.out.mu.Unlock() // nobody else touches them while the session has no connection
	var bytes []byte
	var again []piece
	for _, c := range list {
		before := len(bytes)
		switch {
		case c.n > 0:
			bytes, kept = append(bytes, kept[:c.n]...), kept[c.n:]
		case c.id != 0:
			e, err := s.srv.store.Log.Entry(ctx, s.account.owner, c.id)
			if errors.Is(err, store.ErrNotFound) {
				continue // trimmed or damaged meanwhile
			}
			if err != nil {
				return nil, nil, fmt.Errorf("im: resume: %w", err)
			}
			bytes = s.repeat(bytes, e)
		}
		if c.n = len(bytes) - before; c.n > 0 {
			again = append(again, c)
		}
	}
	s.out.mu.Lock()
	k.sent, k.kept, k.thin, k.thinned = nil, nil, 0, 0
	s.out.mu.Unlock()
	return again, bytes, nil
}

// repeat appends a kept message that the session was given. What its account sent, it had as a copy.
func (s *Session) repeat(dst []byte, e store.Entry) []byte {
	st := s.entry(e)
	switch {
	case st == nil:
		return dst
	case !e.Sent:
		return st.Append(dst)
	}
	for _, f := range s.srv.catchUps {
		if c := f(s, st); c != nil {
			return c.AppendTo(dst, s.jid)
		}
	}
	return dst
}

// fedAgain has a session that was catching up when its connection was lost go on with that.
func (s *Session) fedAgain() bool {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	s.feeds.reset()
	s.due.missed = false
	if s.catching {
		s.feeds.add(s.feedLog)
	}
	return s.catching
}

// Welcome gives the session what it was still owed when its last connection was lost. Its reader calls it before
// anything else.
func (s *Session) Welcome(ctx context.Context) error { return s.welcome(ctx) }

// rescue keeps the messages that were for a session which has ended and that it did not get, if nobody else has
// them, and returns the errors that answer what it was asked (RFC 6120 §8.2.3). The caller holds a.mu.
func (a *Account) rescue(ctx context.Context, j store.Journey, s *Session) (answers []*stanza.Stanza) {
	s.out.mu.Lock()
	k := s.out.acks
	if k == nil {
		s.out.mu.Unlock()
		return nil
	}
	list, bytes := slices.Concat(k.sent, k.queued), slices.Concat(k.kept, s.out.buf)
	s.out.mu.Unlock()
	for _, c := range list {
		p := string(bytes[:c.n])
		bytes = bytes[c.n:]
		request := strings.HasPrefix(p, "<iq")
		if !request && (!c.message || c.id != 0) {
			continue
		}
		st := s.parse(p)
		switch {
		case st == nil || st.From.Local() == "":
		case request && st.IsRequest() && st.From.Bare() != a.jid:
			answers = append(answers, st.Fail(stanza.Bad(stanza.ServiceUnavailable, "")))
		case !request:
			d := a.begin(Delivery{Stanza: st, Account: a, Journey: j})
			if err := a.miss(ctx, d); err != nil {
				a.srv.log.Error("a message that was not delivered is lost", slog.String("jid", a.jid.String()), slog.Any("err", err))
			}
			a.end()
		}
	}
	return answers
}
