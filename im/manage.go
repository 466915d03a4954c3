package im

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// Managed tells whether stream management is on.
func (s *Session) Managed() bool { return s.managed }

// Resumable tells whether the session can outlive its connection.
func (s *Session) Resumable() bool { return s.number != 0 }

// Manage turns stream management on (XEP-0198 §3) for a session that has none yet, and answers the client. With resume,
// the session can be gone on with on another connection. Only the session's reader calls this and what follows up to
// Acknowledged.
func (s *Session) Manage(ctx context.Context, resume bool) error {
	a := s.account
	patience := s.srv.settings.Load().Resume
	resume = resume && patience > 0
	s.Flush()
	j, err := s.srv.store.Begin(ctx)
	if err != nil {
		return fmt.Errorf("im: begin: %w", err)
	}
	defer j.End()
	a.mu.Lock()
	defer a.mu.Unlock()
	s.managed = true
	s.out.manage()
	if resume {
		s.id, s.number = rand.Text(), a.newNumber()
		s.stale.Store(true)
		if err := s.write(j, false); err != nil {
			s.id, s.number = "", 0
			if !errors.Is(err, store.ErrFull) {
				return err
			}
		}
	}
	enabled := xml.New(stream.NSManagement, "enabled")
	if s.id != "" {
		enabled.Attrs = []xml.Attr{xml.A("id", s.id), xml.A("resume", "true"), xml.A("max", strconv.Itoa(int(patience/time.Second)))}
	}
	s.plain(enabled, j.Mark())
	return nil
}

// Unexpected refuses an element of stream management at this point.
func (s *Session) Unexpected() {
	s.plain(xml.New(stream.NSManagement, "failed").With(xml.New(stanza.NSStanzas, "unexpected-request")), 0)
}

// plain puts an element that is no stanza into the outbox.
func (s *Session) plain(el *xml.Element, mark store.Mark) {
	s.out.append(mark, what{plain: true}, true, func(dst []byte) []byte { return el.Append(dst, stanza.NSClient) })
	s.kick()
}

// newNumber is one that no session of the account has. The caller holds a.mu.
func (a *Account) newNumber() uint32 {
	for {
		var b [4]byte
		rand.Read(b[:])
		n := binary.BigEndian.Uint32(b[:])
		taken := n == 0
		for _, s := range a.Sessions() {
			taken = taken || s.number == n
		}
		if !taken {
			return n
		}
	}
}

// Handled counts a stanza that Receive has taken. What the stanza changed of the session, and an error that answers it, is
// written down with the count: a later one, which an entry of the Log tells, covers it.
func (s *Session) Handled(ctx context.Context) error {
	defer s.handled.Add(1)
	if s.number == 0 || !s.stale.Load() && !s.erred {
		return nil
	}
	s.Flush()
	err := s.account.withTurn(ctx, func(j store.Journey) error { return s.write(j, true) })
	if errors.Is(err, store.ErrFull) {
		return nil
	}
	s.erred = false
	return err
}

// note is what an entry of the account's Log tells of its sender's count, if that is what is being handled now: after a
// crash the count is found there (see restore). The caller holds a.mu.
func (s *Session) note(mark store.Mark) uint64 {
	if s == nil || s.number == 0 || s.srv.store.Full() { // that is so to the end of the journey: there will be no entry
		return 0
	}
	h := s.handled.Load() + 1
	s.out.mu.Lock()
	s.out.acks.count(mark, s.srv.store.Durable(), h)
	s.out.mu.Unlock()
	return uint64(s.number)<<32 | uint64(h)
}

// countIn writes down, in the journey of the stanza that is being handled, that it was, unless an entry of the sender's own
// tells: what others have kept of it, its client must not send again.
func (s *Session) countIn(j store.Journey) {
	if s.counted(s.handled.Load() + 1) {
		return
	}
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := s.write(j, true); err != nil && !errors.Is(err, store.ErrFull) {
		s.srv.log.Error("a count was not written down", slog.String("jid", s.jid.String()), slog.Any("err", err))
	}
}

// announced writes down, in the journey of a presence, whether the session is one of those that are available and will be
// gone after a restart.
func (s *Session) announced(j store.Journey) {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.number != 0 || s.closed || s.recorded == (s.presence.Load() != nil) {
		return
	}
	if err := a.save(j); err != nil && !errors.Is(err, store.ErrFull) {
		s.srv.log.Error("a presence was not written down", slog.String("jid", s.jid.String()), slog.Any("err", err))
	}
}

// counted tells whether it is written down that h of the client's stanzas are handled.
func (s *Session) counted(h uint32) bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.out.acks.counted() == h
}

// Asked answers <r/> (XEP-0198 §4): with the count of what is handled, once that and all that it covers is durable.
func (s *Session) Asked(ctx context.Context) error {
	h := s.handled.Load()
	if s.number != 0 && !s.counted(h) {
		s.Flush()
		if err := s.writeNow(ctx); err != nil && !errors.Is(err, store.ErrFull) {
			return err
		}
	}
	mark := s.srv.store.Mark()
	s.out.mu.Lock()
	if s.number == 0 {
		s.out.acks.count(mark, s.srv.store.Durable(), h)
	}
	s.out.acks.owe(h)
	s.out.mu.Unlock()
	s.kick()
	return nil
}

// Acknowledged takes the client's <a/>.
func (s *Session) Acknowledged(h uint32) error {
	moved, err := s.acknowledge(h)
	if err != nil {
		return err
	}
	s.Wrote(moved)
	s.kick() // what is left is to be asked for
	if s.feeds.waiting() {
		s.feedMe()
	}
	return nil
}

func (s *Session) acknowledge(h uint32) (store.ID, error) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	k := s.out.acks
	sent := k.acked + uint32(len(k.sent))
	moved, ok := k.acknowledge(h)
	if !ok { // §4
		return 0, &stream.Error{
			Condition: stream.UndefinedCondition, Text: "You acknowledged more stanzas than were sent.",
			App: xml.New(stream.NSManagement, "handled-count-too-high",
				xml.A("h", strconv.FormatUint(uint64(h), 10)), xml.A("send-count", strconv.FormatUint(uint64(sent), 10))),
		}
	}
	return moved, nil
}
