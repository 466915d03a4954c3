package client

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// Session is one signed-in client. Its methods may be called by anybody at once; what one goroutine sends, goes out in
// its order. Methods that take a context wait for an answer of the server and return *stanza.Error when it refuses,
// *End when the session ended before it answered.
type Session struct {
	// fixed
	jid     jid.JID // full
	server  jid.JID
	conn    *stream.Conn
	handle  func(Event)
	prefix  string // of the ids of this session, not to be guessed
	done    chan struct{}
	mem     *memory
	counted bool // the server counts what we send
	resumed bool // it goes on with Config.Before

	lastID atomic.Uint64

	writing sync.Mutex // guards writing to conn

	mu sync.Mutex
	// guarded by mu
	asked   map[string]question
	leaving bool // Close was called
	end     *End // set once, before done is closed

	catch catchUp // guarded by mem.mu
}

func newSession(conn *stream.Conn, me jid.JID, cfg *Config, mem *memory, resumed bool) *Session {
	var b [9]byte
	_, _ = rand.Read(b[:])
	s := &Session{
		jid: me, server: me.Server(), conn: conn, handle: cfg.Handle,
		prefix:  base64.RawURLEncoding.EncodeToString(b[:]) + ".",
		done:    make(chan struct{}),
		asked:   map[string]question{},
		mem:     mem,
		counted: mem.sm.on,
		resumed: resumed,
	}
	if s.handle == nil {
		s.handle = func(Event) {}
	}
	// What is sent again goes out before everything else, the reader's answers too: the server counts in that order.
	s.writing.Lock()
	defer s.writing.Unlock()
	p, ask, untold, err := mem.takeUp()
	if ask {
		p = s.askOn(p)
	}
	go s.read(untold)
	if err == nil && len(p) > 0 {
		err = s.conn.Write(p)
	}
	if err != nil {
		_ = s.conn.Close() // the reader tells
	}
	s.watch()
	return s
}

// Resumed tells whether this session goes on with the one before as if nothing had happened.
func (s *Session) Resumed() bool { return s.resumed }

// JID is the full address of this session.
func (s *Session) JID() jid.JID { return s.jid }

// Server is the address of the server.
func (s *Session) Server() jid.JID { return s.server }

// Done is closed when the session has ended and its last event was handled.
func (s *Session) Done() <-chan struct{} { return s.done }

// End is why the session ended, nil while it lives.
func (s *Session) End() *End {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// Close says goodbye: unavailable presence, the end of the stream, and waiting for the server's end of it, so that
// everything sent before has arrived there. When ctx ends first, the connection is cut. It returns when the reader has ended.
func (s *Session) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.leaving && s.end == nil
	s.leaving = true
	s.mu.Unlock()
	if first {
		// A stuck connection must not hold up the caller: cutting it frees the writer too.
		stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
		defer stop()
		s.writing.Lock()
		err := s.conn.Write(s.lastWords())
		if err == nil {
			err = s.conn.End()
		}
		s.writing.Unlock()
		if err != nil {
			_ = s.conn.Close()
		}
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		_ = s.conn.Close()
		<-s.done
		return fmt.Errorf("client: close: %w", ctx.Err())
	}
}

// lastWords says how much of the server's was handled, so that nobody is given it again, and that we go.
func (s *Session) lastWords() []byte {
	var p []byte
	if s.counted {
		s.mem.mu.Lock()
		p = stream.Append(p, withH("a", s.mem.sm.in))
		s.mem.mu.Unlock()
	}
	return append(p, "<presence type='unavailable'/>"...)
}

// Settle waits until the server has accepted or refused everything that was sent so far, and all that was told. The
// server vouches for it: accepted is what is on its disk.
func (s *Session) Settle(ctx context.Context) error {
	done := s.mem.wait()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-s.done:
		return s.End()
	case <-ctx.Done():
		return fmt.Errorf("client: wait for what was sent: %w", ctx.Err())
	}
}

// NewID is unique and cannot be guessed by others.
func (s *Session) NewID() string { return s.prefix + strconv.FormatUint(s.lastID.Add(1), 36) }

// Cut ends the session without a word, for a connection that seems dead: it ends as Lost.
func (s *Session) Cut() { _ = s.conn.Close() }

// send writes stanzas as one piece. When it fails, nothing of them will ever be sent; otherwise this session sends them,
// and if its connection breaks off meanwhile, the one that goes on with it (messages in any case, the rest if it is resumed).
func (s *Session) send(sts ...*stanza.Stanza) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	end, leaving := s.end, s.leaving
	s.mu.Unlock()
	switch {
	case end != nil:
		return end
	case leaving:
		return &End{Reason: LoggedOut}
	}
	p, ask, err := s.mem.note(sts)
	if err != nil {
		_ = s.conn.Close()
		return lost(err)
	}
	if ask {
		p = s.askOn(p)
	}
	if err := s.conn.Write(p); err != nil {
		_ = s.conn.Close() // half a stanza may have gone out: the stream is of no use any more
	}
	s.watch()
	return nil
}

// write sends what is no stanza, or is counted by nobody.
func (s *Session) write(p []byte) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.conn.Write(p); err != nil {
		_ = s.conn.Close()
	}
	s.watch()
}

// ackPatience is how long a server may be silent that owes an acknowledgement. Some read slowly from who sends much.
const ackPatience = 2 * time.Minute

// watch gives the server time for its answer if it owes one; a connection that is dead in silence ends by that.
func (s *Session) watch() {
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	var until time.Time
	if s.mem.sm.asked {
		until = time.Now().Add(ackPatience)
	}
	_ = s.conn.SetReadDeadline(until)
}

// read is the reader: it owns everything that arrives until the end of the session. First it tells what the server has
// accepted of the session before.
func (s *Session) read(untold []sent) {
	defer close(s.done)
	s.tell(untold)
	end := s.readAll()
	s.release(false)
	s.mem.dismiss()
	s.mu.Lock()
	if s.leaving && (end.Reason == Closed || end.Reason == Lost) {
		end = &End{Reason: LoggedOut}
	}
	s.end = end
	asked := s.asked
	s.asked = nil
	s.mu.Unlock()
	s.hangUp(end)
	for _, q := range asked {
		q.answer(nil, end)
	}
	s.handle(end)
}

// hangUp ends our direction of the stream if it still stands, and the connection: unless the session is to be resumed,
// which would end it. A writer that hangs on a dead connection is not waited for.
func (s *Session) hangUp(end *End) {
	s.mem.mu.Lock()
	resumable := s.mem.sm.id != "" && end.Passing()
	s.mem.mu.Unlock()
	if !resumable && end.Reason != LoggedOut && end.Reason != Lost && s.writing.TryLock() {
		_ = s.conn.End()
		s.writing.Unlock()
	}
	_ = s.conn.Close()
}

// readAll reads until the stream ends.
func (s *Session) readAll() *End {
	for {
		el, err := s.conn.Read()
		if err != nil {
			return lost(err)
		}
		if e := stream.ReadError(el); e != nil {
			return endOf(e)
		}
		if el.Name.Space == nsSM {
			if end := s.manage(el); end != nil {
				return end
			}
		} else {
			s.take(el)
		}
		s.watch()
	}
}

// take handles one stanza and counts it then.
func (s *Session) take(el *xml.Element) {
	st, err := stanza.Parse(el)
	var bad *stanza.Error
	switch {
	case err == nil:
		s.receive(st)
	case errors.As(err, &bad) && st.IsRequest() && st.ID != "":
		_ = s.send(st.Fail(bad))
	}
	if el.Name.Space == stanza.NSClient {
		s.mem.mu.Lock()
		s.mem.sm.count()
		s.mem.mu.Unlock()
	}
}

// receive takes one stanza.
func (s *Session) receive(st *stanza.Stanza) {
	switch {
	case st.Kind == stanza.IQ && st.IsRequest():
		s.serve(st)
	case st.Kind == stanza.IQ:
		s.answered(st)
	case st.Kind == stanza.Presence:
		s.presence(st)
	case st.Type == stanza.ErrorType && strings.HasPrefix(st.ID, receiptID):
		// somebody does not want to hear that his message came
	case st.Type == stanza.ErrorType:
		s.handle(Bounce{To: st.From, ID: st.ID, Err: stanza.ErrorOf(st)})
	case st.Has(nsArchive, "result") && s.own(st):
		s.result(st)
	case st.Type != stanza.Groupchat:
		s.live(st)
	}
}

// own tells whether the account itself is the sender. Whatever speaks for the account (roster, block list, the
// archive) is believed from nobody else.
func (s *Session) own(st *stanza.Stanza) bool { return st.From.IsZero() || st.From == s.jid.Bare() }

// Raw sends a stanza as it is; for measurements and tests. Its answer, if any, is nobody's.
func (s *Session) Raw(st *stanza.Stanza) error { return s.send(st) }

// Presence announces us again as available: a sign of life that a server counts as done by a person.
func (s *Session) Presence() error {
	return s.send(&stanza.Stanza{Kind: stanza.Presence})
}
