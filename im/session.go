package im

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
)

// Carrier is the connection that a session is attached to. No method may block; Wake and End may not call the session.
type Carrier interface {
	Wake()             // there is something to write: see Session.Next
	Write()            // likewise, and the caller, who holds no lock, may do it himself: see Session.NextNow
	End(*stream.Error) // close the stream with this error; nil: in order
}

// Session is one bound client of an account (RFC 6120 §7). It has an outbox of its own and holds no connection: c2s
// attaches one.
type Session struct {
	// fixed at Bind
	srv     *Server
	account *Account
	jid     jid.JID

	// lock-free
	seen       atomic.Int64                  // when the person last did something, Unix nanoseconds
	presence   atomic.Pointer[stanza.Stanza] // the last available presence, nil while unavailable
	slots      []atomic.Value                // what extensions keep with it, see Slot
	interested atomic.Bool                   // asked for the roster: gets pushes (RFC 6121 §2.2)
	blockPush  atomic.Bool                   // asked for the block list: gets pushes (XEP-0191 §3.3)

	// guarded by account.mu; id and number are set by the reader alone, which reads them without
	id       string               // what a client names to go on with the session (XEP-0198 §3); "": it cannot
	saved    standingMark         // as it is written down
	queried  store.ID             // so far its client can read in the archive, which it has asked
	directed map[jid.JID]struct{} // who got directed presence (RFC 6121 §4.6)
	first    stanza.Stanza        // memory for the first presence, not changed once it is there; see kept
	number   uint32               // names it in the account's Log; 0: likewise
	recorded bool                 // it is available and will not be there after a restart, and that is written down
	priority int8
	catching bool // fed from the Log, see feed.go
	closed   bool

	// owned by the feed, which one writer at a time runs; before catching is set, by whoever holds account.mu
	cursor atomic.Uint64 // place in the Log; read by anyone
	copied store.ID      // copies of what the account sent up to here, it has had or was not to have

	// owned by the reader
	reading context.Context
	due     due
	wrote   store.Mark  // what the session had written so far rests on it
	peer    *Account    // the last that it wrote to
	woken   wakes       // by what the reader has handled since Flush
	woken0  [1]*Session // memory for woken in the usual case
	managed bool        // stream management is on
	erred   bool        // what is being handled was answered with an error

	handled atomic.Uint32 // stanzas of the client since then; written by the reader
	stale   atomic.Bool   // what a session is to have again after a restart has changed

	out   outbox
	feeds feeds

	spread bool // guarded by srv.spread.mu: it waits there

	// guarded by out.mu
	carrier Carrier       // nil until Attach
	early   *stream.Error // what End said
	dead    bool          // End was called
	resting bool          // its connection is lost, and it waits for the next
	until   time.Time     // so long
	wanted  chan struct{} // somebody waits for it to rest; closed then
}

// Attach gives the session its connection; only then does anything leave the outbox. reading ends when nothing more is
// read from the connection. No lock is held.
func (s *Session) Attach(reading context.Context, c Carrier) {
	s.reading = reading
	fed := s.fedAgain()
	s.out.mu.Lock()
	s.carrier, s.out.attached = c, true
	dead, early, wanted := s.dead, s.early, s.wanted != nil
	s.out.mu.Unlock()
	switch {
	case dead:
		c.End(early)
	case wanted:
		c.End(handedOver())
	}
	s.stir(Carrier.Write)
	if fed {
		s.feedMe()
	}
}

// JID is the session's full address.
func (s *Session) JID() jid.JID { return s.jid }

// Account is the account that the session belongs to.
func (s *Session) Account() *Account { return s.account }

// Seen is when the person behind the session last did something (see active).
func (s *Session) Seen() time.Time { return time.Unix(0, s.seen.Load()) }

// Presence is the last available presence that the session sent, nil while it is unavailable.
func (s *Session) Presence() *stanza.Stanza { return s.presence.Load() }

// WantBlockList makes the session one that gets pushes of the block list.
func (s *Session) WantBlockList() {
	s.blockPush.Store(true)
	s.stale.Store(true)
}

// End asks the session's connection to close with err; nil: in order. It returns at once.
func (s *Session) End(err *stream.Error) {
	s.out.mu.Lock()
	c := s.carrier
	if !s.dead {
		s.dead, s.early = true, err
	}
	s.out.mu.Unlock()
	if c != nil {
		c.End(err)
	}
}

// Next is called by the session's writer, one at a time: it returns the next bytes to write and the highest place in
// the account's Log among them. nil: the writer must end; Wake is called when there is more. spare is the buffer of
// the previous call, which belongs to the session again.
func (s *Session) Next(ctx context.Context, spare []byte) ([]byte, store.ID) {
	for {
		p, id, more := s.NextNow(spare)
		if !more {
			return p, id
		}
		spare = nil
		s.feeds.step(ctx, s)
	}
}

// NextNow is Next for a writer that must not wait for a disk. more: it must not end but be followed by one that calls
// Next.
func (s *Session) NextNow(spare []byte) (p []byte, id store.ID, more bool) {
	for {
		p, id, hopeless := s.out.take(s.srv.store.Durable(), spare)
		if hopeless {
			s.End(&stream.Error{Condition: stream.PolicyViolation, Text: "This client does not acknowledge what it is sent."})
		}
		if p != nil {
			return p, id, false
		}
		spare = nil
		if s.feeds.waiting() && !s.out.fed() {
			return nil, 0, true
		}
		done, ask := s.out.rest(s.srv.store.Durable)
		if !done {
			continue
		}
		told := ask == 0 || s.srv.store.Notify(ask, s) // in any case: nobody else will ask for that batch
		// A feed may have come after the last look, or room for one; whoever brought it saw this writer still running.
		again := s.feeds.waiting() && !s.out.fed()
		if !again && told || !s.restart() {
			return nil, 0, false
		}
	}
}

// restart takes the writer's role up again, unless another writer has it already.
func (s *Session) restart() bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.out.restart()
}

// Wrote says that everything up to the place id of the account's Log has been written to the connection.
func (s *Session) Wrote(id store.ID) {
	if id > 0 {
		s.account.delivered(id)
	}
}

// Durable wakes the writer; the store calls it when a batch is on disk.
func (s *Session) Durable() { s.kick() }

// kick starts a writer when there is something that may be written.
func (s *Session) kick() { s.stir(Carrier.Wake) }

// stir has the session's connection begin to write when there is something that may be written.
func (s *Session) stir(begin func(Carrier)) {
	for {
		durable := s.srv.store.Durable()
		s.out.mu.Lock()
		wake, ask := s.out.start(durable)
		c := s.carrier // as it is now: a connection that the session leaves meanwhile starts no writer any more
		s.out.mu.Unlock()
		if wake {
			begin(c)
			return
		}
		if ask == 0 || s.srv.store.Notify(ask, s) {
			return
		}
	}
}

// feedMe starts a writer even when the outbox is empty, because there is a feed to run.
func (s *Session) feedMe() {
	s.out.mu.Lock()
	wake, c := s.out.restart(), s.carrier
	s.out.mu.Unlock()
	if wake {
		c.Wake()
	}
}

// Flush writes to those who got something from the session's reader, as far as that can be written at once. Its reader
// calls it before it waits for anything: for its connection, for room, for a disk. No lock is held.
func (s *Session) Flush() {
	s.woken.write()
	clear(s.woken)
	s.woken = s.woken[:0]
}

// send puts one stanza into the outbox, addressed to 'to'. false: the outbox is full or closed.
func (s *Session) send(st rendering, to jid.JID, mark store.Mark, w what, own bool) bool {
	ok := s.put(st, to, mark, w, own)
	if ok {
		s.kick()
	}
	return ok
}

// put is send without the kick.
func (s *Session) put(st rendering, to jid.JID, mark store.Mark, w what, own bool) bool {
	return s.out.append(mark, w, own, func(dst []byte) []byte { return st.AppendTo(dst, to) })
}

// push is send for what others cause and nobody keeps: a session that cannot take it has lost count of the world, and
// is closed, so that it starts anew; then it reports false.
func (s *Session) push(st *stanza.Stanza, to jid.JID, mark store.Mark) bool {
	ok := s.pushed(st, to, mark)
	if ok {
		s.kick()
	}
	return ok
}

// pushed is push without the kick.
func (s *Session) pushed(st rendering, to jid.JID, mark store.Mark) bool {
	if s.put(st, to, mark, what{}, false) || s.squeeze(st, to, mark) {
		return true
	}
	if iq, is := st.(*stanza.Stanza); is && iq.Kind == stanza.IQ && s.away() {
		return false
	}
	s.srv.log.Info("session closed: it does not read", slog.String("jid", s.jid.String()))
	s.End(&stream.Error{Condition: stream.ResourceConstraint, Text: "This client reads too slowly."})
	return false
}

// squeeze is put for what nobody keeps and the outbox had no room for, as long as what fills that waits for the disk: then
// its reader is not to blame.
func (s *Session) squeeze(st rendering, to jid.JID, mark store.Mark) bool {
	return s.out.held(s.srv.store.Durable()) && s.put(st, to, mark, what{}, true)
}

// Reply puts an answer to something that the session itself asked into its outbox.
func (s *Session) Reply(st *stanza.Stanza) { s.reply(st, 0) }

// reply is Reply with what stands at a place of the account's Log.
func (s *Session) reply(st *stanza.Stanza, id store.ID) {
	s.send(st, s.jid, s.srv.store.Mark(), what{id: id, message: id != 0}, true)
}

// ReplyPlain is Reply for what rests on nothing that is kept: it covers what the session had written, and does not wait
// for what others have.
func (s *Session) ReplyPlain(st *stanza.Stanza) { s.send(st, s.jid, s.wrote, what{}, true) }

// WaitRoom blocks while so much waits for this session that it should not ask for more: its reader calls it before it
// reads on. It returns the cause when the session's connection ends first.
func (s *Session) WaitRoom() error { return s.waitRoom(nil) }

// waitRoom is WaitRoom for no longer than patience lasts.
func (s *Session) waitRoom(patience <-chan time.Time) error {
	for s.out.size() > s.out.limit/2 {
		s.Flush()
		select {
		case <-s.reading.Done():
			return context.Cause(s.reading)
		case <-patience:
			return context.DeadlineExceeded
		case <-s.out.roomy():
		}
	}
	return nil
}
