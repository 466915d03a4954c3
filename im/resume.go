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

// Ended tells whether End was called: the session does not outlive its connection.
func (s *Session) Ended() bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.dead
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
	s.until = until
	s.rest()
}

// rest makes the session one that waits for a connection. The caller holds out.mu.
func (s *Session) rest() {
	s.out.detach()
	s.carrier, s.resting = nil, true
	if s.wanted != nil {
		close(s.wanted)
		s.wanted = nil
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
	if v.lockedOut(localpart) {
		return nil, 0, ErrLocked
	}
	if err := a.recall(ctx); err != nil {
		return nil, 0, err
	}
	s, err := a.claim(ctx, id)
	if err != nil {
		return nil, 0, err
	}
	if err := s.goOn(ctx, h); err != nil {
		s.out.mu.Lock()
		s.rest()
		s.out.mu.Unlock()
		var wrong *stream.Error
		if errors.As(err, &wrong) { // the next try is told that there is no such session
			v.Close(ctx, s, "")
		}
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
		s.handOver()
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
	case s.resting, s.out.closed:
		return false, nil
	case s.wanted == nil:
		s.wanted = make(chan struct{})
	}
	return false, s.wanted
}

// handOver ends the connection that the session has, because it goes on with another one.
func (s *Session) handOver() {
	s.out.mu.Lock()
	c := s.carrier
	s.out.mu.Unlock()
	if c != nil { // else Attach finds that it is wanted
		c.End(handedOver())
	}
}

func handedOver() *stream.Error {
	return &stream.Error{Condition: stream.Conflict, Text: "This session goes on with another connection."}
}

// goOn prepares a session that was claimed for its next connection.
func (s *Session) goOn(ctx context.Context, h uint32) error {
	moved, err := s.acknowledge(h)
	if err != nil {
		return err
	}
	s.Wrote(moved)
	if err := s.unsent(ctx); err != nil {
		return err
	}
	// What is written down of a session that rests ends to be true. On a full disk it stays; at the worst, after a crash, the
	// client begins anew.
	err = s.writeNow(ctx)
	if errors.Is(err, store.ErrFull) && s.counted(s.handled.Load()) {
		err = nil
	}
	if err == nil {
		err = s.srv.store.Wait(ctx, s.srv.store.Mark())
	}
	if err != nil {
		return fmt.Errorf("im: resume: %w", err)
	}
	return nil
}

// unsent has what was written and is not acknowledged written again. What the session has no bytes of any more is read
// from the Log, under the same id: here as much as a session keeps, and the rest by catching up.
func (s *Session) unsent(ctx context.Context) error {
	s.out.mu.Lock()
	k := s.out.acks
	list, kept := k.sent, k.kept
	s.out.mu.Unlock() // nobody else touches them while the session has no connection
	var bytes []byte
	var again []piece
	read, behind := 0, store.ID(0)
	for _, c := range list {
		before := len(bytes)
		switch {
		case c.n > 0 && (behind == 0 || c.id == 0):
			bytes = append(bytes, kept[:c.n]...)
		case c.id == 0 || behind != 0: // lost, or to come by catching up
		case read > maxKept:
			behind = c.id - 1
		default:
			e, err := s.srv.store.Log.Entry(ctx, s.account.owner, c.id)
			if errors.Is(err, store.ErrNotFound) {
				break // trimmed or damaged meanwhile
			}
			if err != nil {
				return fmt.Errorf("im: resume: %w", err)
			}
			bytes = s.repeat(bytes, e)
			read += len(bytes) - before
		}
		kept = kept[c.n:]
		if c.n = len(bytes) - before; c.n > 0 {
			again = append(again, c)
		}
	}
	s.out.mu.Lock()
	k.sent, k.kept, k.thin, k.thinned = nil, nil, 0, 0
	s.out.mu.Unlock()
	s.account.turnDo(func() {
		if behind != 0 {
			s.out.drop(behind)
			if !s.catching {
				s.catchUp(behind)
			} else if store.ID(s.cursor.Load()) > behind {
				s.copied = min(s.copied, behind)
				s.cursor.Store(uint64(behind))
			}
		}
		s.out.again(again, bytes)
	})
	return nil
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
	if st = s.copyOf(st); st == nil {
		return dst
	}
	return st.AppendTo(dst, s.jid)
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
			d := a.begin(Delivery{Stanza: st, Account: a, Journey: j, late: true})
			if err := a.miss(ctx, d); err != nil {
				a.srv.log.Error("a message that was not delivered is lost", slog.String("jid", a.jid.String()), slog.Any("err", err))
			}
			for _, t := range a.Sessions() {
				if d.ID != 0 && t.presence.Load() != nil && t.priority >= 0 {
					t.catchUp(d.ID - 1)
					t.feedMe()
				}
			}
			a.end()
		}
	}
	return answers
}
