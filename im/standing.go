package im

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"parley/store"
)

// keyStanding is the beginning of the KV keys of how far an account's sessions are; the session's number follows.
const keyStanding = "im/standing/"

func standingKey(number uint32) string { return keyStanding + strconv.FormatUint(uint64(number), 16) }

// Bounds of what is written about once a second of a session that has a connection.
const (
	maxStanding      = 2000     // stanzas that are not acknowledged; with more, only the place before the first of them
	maxStandingBytes = 64 << 10 // of messages that are in no Log
)

// standing is how far a session is: all of it at one moment.
type standing struct {
	at     store.ID // entries of the Log behind it may have higher counts
	in     uint32   // stanzas of the client, handled
	out    uint32   // stanzas to the client, acknowledged
	cursor store.ID // place in the Log up to which all that was for it is acknowledged or in sent
	exact  bool     // nothing is sent before it is written anew; else the client may have counted more than sent
	sent   []piece  // what was sent or waits, and is not acknowledged
	bytes  []byte   // of those that have some
}

// standingMark is what of a standing makes it worth being written anew.
type standingMark struct {
	out    uint32
	cursor store.ID
	n      int
	exact  bool
}

// place is the place in the Log up to which the session was given all that was for it. The caller holds account.mu.
func (s *Session) place() store.ID {
	if s.catching {
		return store.ID(s.cursor.Load()) // before the outbox is looked at: the feed moves on when that has the entry
	}
	return s.account.last
}

// standingMark is that of the session now. The caller holds account.mu.
func (s *Session) standingMark() standingMark {
	cursor := s.place()
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.markAt(cursor)
}

func (s *Session) markAt(cursor store.ID) standingMark {
	k := s.out.acks
	m := standingMark{k.acked, cursor, len(k.sent) + len(k.queued) - k.opening, s.resting && !k.unknown}
	if m.n > maxStanding && !m.exact {
		m.cursor, m.n = min(cursor, k.below(cursor)), 0
	}
	return m
}

// reached is the place up to which the session's client has acknowledged all that was for it. The caller holds
// account.mu.
func (s *Session) reached() store.ID {
	cursor := s.place()
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return min(cursor, s.out.acks.below(cursor))
}

// standing is how far the session is now; ahead counts the stanza that it is handling. The caller holds account.mu.
func (s *Session) standing(ahead bool) (standing, standingMark) {
	cursor := s.place()
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	m := s.markAt(cursor)
	st := standing{at: s.account.last, in: s.in(ahead), out: m.out, cursor: m.cursor, exact: m.exact}
	if m.n == 0 {
		return st, m
	}
	k := s.out.acks
	for i, part := range [...]struct {
		pieces []piece
		bytes  []byte
	}{{k.sent, k.kept}, {k.queued, s.out.buf}} {
		for _, c := range part.pieces {
			p := part.bytes[:c.n]
			part.bytes = part.bytes[c.n:]
			switch {
			case c.plain:
				continue
			case c.id == 0 && (m.exact || c.message && len(st.bytes)+c.n <= maxStandingBytes):
				st.bytes = append(st.bytes, p...)
			default:
				c.n = 0
			}
			if i == 1 && k.unknown { // it came after the crash, and is not in what the client says of the time before
				c.waits = true
				if c.n == 0 {
					continue
				}
			}
			if c.moves { // a feed may have gone on since its place was read
				st.cursor = max(st.cursor, c.id)
			}
			st.sent = append(st.sent, c)
		}
	}
	return st, m
}

// in is how many of the client's stanzas are handled. An entry of its own may have counted one more, which is as
// durable as what is written now. The caller holds out.mu.
func (s *Session) in(ahead bool) uint32 {
	h := s.handled.Load()
	if ahead {
		h++
	}
	if n := s.out.acks.counted(); int32(n-h) > 0 {
		return n
	}
	return h
}

// write writes down how far the session is. ahead counts the stanza that it is handling in this journey. The caller
// holds account.mu.
func (s *Session) write(j store.Journey, ahead bool) error {
	a := s.account
	if !a.exists() || s.closed {
		return nil
	}
	if err := s.refresh(j); err != nil { // what is counted has changed what the record says
		return err
	}
	st, m := s.standing(ahead)
	if err := a.srv.store.KV.Set(j, a.owner, standingKey(s.number), st.append(nil)); err != nil {
		return fmt.Errorf("im: write down how far a session is: %w", err)
	}
	s.saved = m
	s.out.mu.Lock()
	s.out.acks.count(j.Mark(), s.srv.store.Durable(), st.in)
	s.out.mu.Unlock()
	return nil
}

// refresh writes the record of the account's sessions if it is older than the session. The caller holds account.mu.
func (s *Session) refresh(j store.Journey) error {
	if !s.stale.Swap(false) {
		return nil
	}
	err := s.account.save(j)
	if err != nil {
		s.stale.Store(true)
	}
	return err
}

// writeNow is write in a journey of its own.
func (s *Session) writeNow(ctx context.Context) error {
	return s.account.withTurn(ctx, func(j store.Journey) error { return s.write(j, false) })
}

// withTurn runs f in a journey and in the account's turn.
func (a *Account) withTurn(ctx context.Context, f func(store.Journey) error) error {
	return a.srv.Within(ctx, nil, func(j store.Journey) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		return f(j)
	})
}

// Flags of a stanza in a standing that is written down.
const (
	flagMoves = 1 << iota
	flagMessage
	flagRefusal
	flagWaits
)

// append is the standing as it is kept: numbers of variable length, places in the Log as differences.
func (st *standing) append(p []byte) []byte {
	exact := uint64(0)
	if st.exact {
		exact = 1
	}
	for _, n := range []uint64{1, uint64(st.at), uint64(st.in), uint64(st.out), uint64(st.cursor), exact, uint64(len(st.sent))} {
		p = binary.AppendUvarint(p, n)
	}
	bytes, last := st.bytes, store.ID(0)
	for _, c := range st.sent {
		flags := byte(0)
		if c.moves {
			flags |= flagMoves
		}
		if c.message {
			flags |= flagMessage
		}
		if c.refusal {
			flags |= flagRefusal
		}
		if c.waits {
			flags |= flagWaits
		}
		p = append(p, flags)
		if p = binary.AppendVarint(p, int64(c.id)-int64(last)); c.id != 0 {
			last = c.id
		}
		p = binary.AppendUvarint(p, uint64(c.n))
		p, bytes = append(p, bytes[:c.n]...), bytes[c.n:]
	}
	return p
}

var errStanding = errors.New("how far it is cannot be read")

// readStanding is the opposite of append.
func readStanding(p []byte) (st standing, err error) {
	next := func() uint64 {
		n, size := binary.Uvarint(p)
		if size <= 0 {
			err, p = errStanding, nil
			return 0
		}
		p = p[size:]
		return n
	}
	if version := next(); version != 1 {
		return st, errStanding
	}
	st.at, st.in, st.out, st.cursor, st.exact = store.ID(next()), uint32(next()), uint32(next()), store.ID(next()), next() == 1
	n, last := next(), store.ID(0)
	for ; n > 0 && err == nil; n-- {
		if len(p) == 0 {
			return st, errStanding
		}
		c := piece{what: what{moves: p[0]&flagMoves != 0, message: p[0]&flagMessage != 0, refusal: p[0]&flagRefusal != 0}, waits: p[0]&flagWaits != 0}
		diff, size := binary.Varint(p[1:])
		if size <= 0 {
			return st, errStanding
		}
		p = p[1+size:]
		if c.id = last + store.ID(diff); c.id != 0 {
			last = c.id
		}
		length := next()
		if length > uint64(len(p)) {
			return st, errStanding
		}
		c.n = int(length)
		st.bytes, p = append(st.bytes, p[:length]...), p[length:]
		st.sent = append(st.sent, c)
	}
	return st, err
}

// Suspend writes down exactly how far messages were delivered and how far every session is that can be gone on with. No
// connection has one any more. It is the last thing before the store is closed.
func (v *Server) Suspend(ctx context.Context) error {
	v.spread.stop()
	return errors.Join(v.writeSessions(ctx, func(*Session) bool { return true }), v.saveCursors(ctx))
}

// sessionPage is how many sessions are written, or closed, at a time.
const sessionPage = 200

// writeSessions writes down how far such sessions are.
func (v *Server) writeSessions(ctx context.Context, such func(*Session) bool) error {
	var list []*Session
	v.table.each(func(a *Account) {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, s := range a.Sessions() {
			if s.number != 0 && such(s) {
				list = append(list, s)
			}
		}
	})
	for page := range slices.Chunk(list, sessionPage) {
		err := v.Within(ctx, nil, func(j store.Journey) (err error) {
			for _, s := range page {
				s.account.turnDo(func() { err = errors.Join(err, s.write(j, false)) })
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// turnDo runs f in the account's turn.
func (a *Account) turnDo(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f()
}

// Checkpoint writes down how far messages were delivered and sessions are, ends those whose client has not come back in
// time, and says to clients that wait for an acknowledgement what is safe. Its caller repeats it about every second:
// what was delivered after the last time may be delivered again after a crash.
func (v *Server) Checkpoint(ctx context.Context) error {
	var over []*Session
	now := time.Now()
	v.table.each(func(a *Account) {
		for _, s := range a.Sessions() {
			if len(over) < sessionPage && s.expired(now) { // others in a second: after a restart all may be over at once
				over = append(over, s)
			}
			if s.late() {
				s.kick()
			}
		}
	})
	for _, s := range over {
		v.Close(ctx, s, "")
	}
	err := v.writeSessions(ctx, func(s *Session) bool { return s.standingMark() != s.saved || s.owes() })
	return errors.Join(err, v.saveCursors(ctx))
}

// expired tells whether a resting session has waited long enough, or was to end meanwhile; nobody goes on with it then.
func (s *Session) expired(now time.Time) bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	if !s.resting || !s.dead && now.Before(s.until) {
		return false
	}
	s.dead = true
	return true
}

// late tells whether an acknowledgement has to be given that is due for long.
func (s *Session) late() bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return s.out.acks != nil && s.out.acks.tick()
}

// owes tells whether the client waits for an acknowledgement of what could not be written down.
func (s *Session) owes() bool {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	k := s.out.acks
	return k.owing && int32(k.counted()-k.owed) < 0
}
