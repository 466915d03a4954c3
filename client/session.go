package client

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
)

// Session is one signed-in client. Its methods may be called by anybody at once; what one goroutine sends, goes out in
// its order. Methods that take a context wait for an answer of the server and return *stanza.Error when it refuses,
// *End when the session ended before it answered.
type Session struct {
	// fixed
	jid    jid.JID // full
	server jid.JID
	conn   *stream.Conn
	handle func(Event)
	prefix string // of the ids of this session, not to be guessed
	done   chan struct{}

	lastID atomic.Uint64

	writing sync.Mutex // guards writing to conn

	mu sync.Mutex
	// guarded by mu
	asked   map[string]question
	leaving bool // Close was called
	end     *End // set once, before done is closed
	people  contacts
}

func newSession(conn *stream.Conn, me jid.JID, cfg *Config) *Session {
	var b [9]byte
	_, _ = rand.Read(b[:])
	s := &Session{
		jid: me, server: me.Server(), conn: conn, handle: cfg.Handle,
		prefix: base64.RawURLEncoding.EncodeToString(b[:]) + ".",
		done:   make(chan struct{}),
		asked:  map[string]question{},
		people: newContacts(),
	}
	if s.handle == nil {
		s.handle = func(Event) {}
	}
	go s.read()
	return s
}

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
	first := !s.leaving
	s.leaving = true
	s.mu.Unlock()
	if first {
		// A stuck connection must not hold up the caller: cutting it frees the writer too.
		stop := context.AfterFunc(ctx, func() { _ = s.conn.Close() })
		defer stop()
		s.writing.Lock()
		err := s.conn.Write([]byte("<presence type='unavailable'/>"))
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

// NewID is unique and cannot be guessed by others.
func (s *Session) NewID() string { return s.prefix + strconv.FormatUint(s.lastID.Add(1), 36) }

// Cut ends the session without a word, for a connection that seems dead: it ends as Lost.
func (s *Session) Cut() { _ = s.conn.Close() }

// send writes stanzas as one piece.
func (s *Session) send(sts ...*stanza.Stanza) error {
	var p []byte
	for _, st := range sts {
		p = st.Append(p)
	}
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
	if err := s.conn.Write(p); err != nil {
		_ = s.conn.Close() // half a stanza may have gone out: the stream is of no use any more
		return lost(err)
	}
	return nil
}

// read is the reader: it owns everything that arrives until the end of the session.
func (s *Session) read() {
	defer close(s.done)
	end := s.readAll()
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

// hangUp ends our direction of the stream if it still stands, and the connection. A writer that hangs on a dead
// connection is not waited for.
func (s *Session) hangUp(end *End) {
	if end.Reason != LoggedOut && end.Reason != Lost && s.writing.TryLock() {
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
		st, err := stanza.Parse(el)
		var bad *stanza.Error
		switch {
		case err == nil:
			s.receive(st)
		case errors.As(err, &bad) && st.IsRequest() && st.ID != "":
			_ = s.send(st.Fail(bad))
		}
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
	case st.Type == stanza.ErrorType:
		s.handle(Bounce{To: st.From, ID: st.ID, Err: stanza.ErrorOf(st)})
	case st.Type != stanza.Groupchat:
		s.message(st)
	}
}

// own tells whether the account itself is the sender. Whatever speaks for the account (roster, block list, later
// carbons and the archive) is believed from nobody else.
func (s *Session) own(st *stanza.Stanza) bool { return st.From.IsZero() || st.From == s.jid.Bare() }

// Raw sends a stanza as it is; for measurements and tests. Its answer, if any, is nobody's.
func (s *Session) Raw(st *stanza.Stanza) error { return s.send(st) }

// Presence announces us again as available: a sign of life that a server counts as done by a person.
func (s *Session) Presence() error {
	return s.send(&stanza.Stanza{Kind: stanza.Presence})
}
