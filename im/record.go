package im

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
)

// keySessions is the KV key of an account's sessions that can be gone on with after a restart.
const keySessions = "im/sessions"

// How long, and of how many sessions of an account that have ended, the count is remembered.
const (
	endedTime = 24 * time.Hour
	maxEnded  = 20
)

// record is what is kept of an account's sessions. Nothing in it is older than the counts in it, so that a client which
// repeats what was not counted is where it was.
type record struct {
	Name     string
	Epoch    string          // of the store; after a restore from a backup clients know more than the server
	At       store.ID        // entries of the Log behind it may have higher counts
	Sessions []sessionRecord `json:",omitempty"`
	Others   []string        `json:",omitempty"` // resources that are available, and are gone after a restart
	Ended    []endedSession  `json:",omitempty"`
}

type sessionRecord struct {
	ID       string
	Number   uint32
	Resource string
	In       uint32            // stanzas of the client, handled
	Out      uint32            // stanzas to the client, acknowledged
	Cursor   store.ID          // place in the Log up to which all that was for it is acknowledged or in Sent
	Exact    bool              `json:",omitempty"` // nothing was sent since; else the client may have counted more than Sent
	Sent     []sentRecord      `json:",omitempty"` // what was sent or waited, and is not acknowledged
	Presence string            `json:",omitempty"`
	Directed []jid.JID         `json:",omitempty"`
	Roster   bool              `json:",omitempty"`
	Blocks   bool              `json:",omitempty"`
	Slots    map[string]string `json:",omitempty"` // what extensions keep, by their names
	Seen     time.Time
}

// maxRecord bounds what a record says of stanzas that are not acknowledged while the session has a connection.
const maxRecord = 2 * maxSent

// sentRecord is a stanza by its place in the Log, or else as it is, in a record that is exact.
type sentRecord struct {
	ID      store.ID `json:",omitempty"`
	Moves   bool     `json:",omitempty"`
	Message bool     `json:",omitempty"`
	Bytes   string   `json:",omitempty"`
}

type endedSession struct {
	ID   string
	In   uint32
	Time time.Time
}

// standing is what of a session's record changes all the time.
type standing struct {
	out    uint32
	cursor store.ID
	n      int // of what is not acknowledged
}

// standing is how far the session is now. The caller holds account.mu.
func (s *Session) standing() standing {
	cursor := s.account.last
	if s.catching {
		cursor = store.ID(s.cursor.Load()) // before the outbox is looked at: the feed moves on when that has the entry
	}
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	k := s.out.acks
	now := standing{k.acked, cursor, len(k.sent) + len(k.queued)}
	if now.n > maxRecord && !s.exact() {
		now.cursor, now.n = min(cursor, k.below(cursor)), 0
	}
	return now
}

// reached is the place up to which the session's client has acknowledged all that was for it. The caller holds
// account.mu.
func (s *Session) reached() store.ID {
	cursor := s.standing().cursor
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	return min(cursor, s.out.acks.below(cursor))
}

// exact tells whether the session's record is to say all that it has not acknowledged: nothing more will be sent to it
// before the record is read. The caller holds account.mu.
func (s *Session) exact() bool { return s.parked || s.srv.stopping.Load() }

// keepSessions writes the record of the account's sessions.
func (a *Account) keepSessions(ctx context.Context) error {
	j, err := a.srv.store.Begin(ctx)
	if err != nil {
		return fmt.Errorf("im: begin: %w", err)
	}
	defer j.End()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.save(j, nil)
}

// save writes the record of the account's sessions. ahead, which may be nil, is one that is handling a stanza in this
// journey, which is to be counted with it. The caller holds a.mu.
func (a *Account) save(j store.Journey, ahead *Session) error {
	if owner, ok := a.srv.directory.Owner(a.jid.Local()); !ok || owner != a.owner {
		return nil // removed
	}
	r := record{Name: a.jid.Local(), Epoch: a.srv.store.Epoch(), At: a.last, Ended: a.ended, Others: slices.Clone(a.left)}
	var of []*Session
	for _, s := range a.Sessions() {
		switch {
		case s.number == 0 && s.presence.Load() != nil:
			r.Others = append(r.Others, s.jid.Resource())
		case s.number != 0:
			r.Sessions = append(r.Sessions, s.record(s == ahead))
			of = append(of, s)
		}
	}
	value, err := json.Marshal(r)
	if err == nil {
		err = a.srv.store.KV.Set(j, a.owner, keySessions, value)
	}
	if err != nil {
		return fmt.Errorf("im: keep sessions: %w", err)
	}
	for _, s := range a.Sessions() {
		s.recorded = s.number == 0 && s.presence.Load() != nil
	}
	for i, s := range of {
		c := &r.Sessions[i]
		s.saved = standing{c.Out, c.Cursor, len(c.Sent)}
		s.out.mu.Lock()
		s.out.acks.count(j.Mark(), c.In)
		s.out.mu.Unlock()
	}
	return nil
}

// record is what is kept of the session. The caller holds account.mu.
func (s *Session) record(ahead bool) sessionRecord {
	in := s.handled.Load() // before all that follows from it is looked at
	if ahead {
		in++
	}
	now := s.standing()
	r := sessionRecord{
		ID: s.id, Number: s.number, Resource: s.jid.Resource(), In: in, Out: now.out, Cursor: now.cursor, Exact: s.exact(),
		Roster: s.interested.Load(), Blocks: s.blockPush.Load(), Seen: s.Seen(),
	}
	if p := s.presence.Load(); p != nil {
		r.Presence = p.String()
	}
	for to := range s.directed {
		r.Directed = append(r.Directed, to)
	}
	for _, x := range s.srv.extensions {
		if x.Save == nil {
			continue
		}
		if kept := x.Save(s); kept != "" {
			if r.Slots == nil {
				r.Slots = map[string]string{}
			}
			r.Slots[x.Name] = kept
		}
	}
	if now.n > 0 {
		r.Sent = s.out.sentRecords(r.Exact)
	}
	return r
}

// sentRecords is all that is not acknowledged, in order.
func (o *outbox) sentRecords(exact bool) []sentRecord {
	o.mu.Lock()
	defer o.mu.Unlock()
	var list []sentRecord
	for _, part := range [...]struct {
		pieces []piece
		bytes  []byte
	}{{o.acks.sent, o.acks.kept}, {o.acks.queued, o.buf}} {
		for _, c := range part.pieces {
			p := part.bytes[:c.n]
			part.bytes = part.bytes[c.n:]
			switch {
			case c.plain:
			case c.id != 0:
				list = append(list, sentRecord{ID: c.id, Moves: c.moves, Message: c.message})
			case exact:
				list = append(list, sentRecord{Message: c.message, Bytes: string(p)})
			default:
				list = append(list, sentRecord{})
			}
		}
	}
	return list
}

// bury remembers how far a session got that has ended. The caller holds a.mu.
func (a *Account) bury(s *Session) {
	a.ended = slices.DeleteFunc(a.ended, func(e endedSession) bool { return time.Since(e.Time) >= endedTime })
	if n := len(a.ended); n >= maxEnded {
		a.ended = a.ended[n-maxEnded+1:]
	}
	a.ended = append(slices.Clip(a.ended), endedSession{s.id, s.handled.Load(), time.Now()})
}

// Restore brings back the sessions that were there when the server ended, in whatever way: they rest, and nobody is told
// anything. It is called once, after Use and before anybody connects.
func (v *Server) Restore(ctx context.Context) error {
	var records []store.Pair
	for p, err := range v.store.KV.Each(ctx, keySessions) {
		if err != nil {
			return fmt.Errorf("im: restore sessions: %w", err)
		}
		records = append(records, p)
	}
	n := 0
	var gone []func()
	for _, p := range records {
		var r record
		if err := json.Unmarshal(p.Value, &r); err != nil {
			v.log.Error("sessions of an account cannot be read and have ended", slog.Uint64("owner", uint64(p.Owner)), slog.Any("err", err))
			continue
		}
		if owner, ok := v.directory.Owner(r.Name); !ok || owner != p.Owner || r.Epoch != v.store.Epoch() {
			continue
		}
		if err := v.restore(ctx, &r); err != nil {
			return fmt.Errorf("im: restore the sessions of %s: %w", r.Name, err)
		}
		n += len(r.Sessions)
		if len(r.Others) > 0 {
			gone = append(gone, func() { v.depart(ctx, &r) })
		}
	}
	for _, tell := range gone { // now that all are there who hear it
		tell()
	}
	if n > 0 {
		v.log.Info("sessions wait for their clients", slog.Int("sessions", n))
	}
	return nil
}

func (v *Server) restore(ctx context.Context, r *record) error {
	a, err := v.account(ctx, r.Name)
	if err == nil && a != nil && len(r.Sessions) > 0 {
		err = a.recall(ctx)
	}
	if err != nil || a == nil {
		return err
	}
	in := map[uint32]uint32{} // what the Log says of counts
	for e, err := range v.store.Log.Range(ctx, a.owner, store.Query{After: r.At}) {
		if err != nil {
			return err
		}
		if e.Note != 0 {
			in[uint32(e.Note>>32)] = uint32(e.Note)
		}
	}
	return v.Within(ctx, nil, func(j store.Journey) error {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.ended = r.Ended
		list := slices.Clone(a.Sessions())
		for i := range r.Sessions {
			s, err := a.revive(&r.Sessions[i], in)
			if err != nil {
				v.log.Error("a session cannot be restored and has ended", slog.String("jid", a.jid.String()), slog.Any("err", err))
				continue
			}
			list = append(list, s)
		}
		a.sessions.Store(&list)
		if a.Online() {
			v.arrived(a)
			v.changed(Change{Account: a, Online: true, Again: true, Time: time.Now(), Journey: j})
		}
		return nil
	})
}

// depart tells the sessions that are there again of those that are not.
func (v *Server) depart(ctx context.Context, r *record) {
	a, err := v.account(ctx, r.Name)
	if a == nil || err != nil {
		return
	}
	a.mu.Lock()
	for _, resource := range r.Others {
		if full, err := a.jid.WithResource(resource); err == nil && a.session(resource) == nil {
			a.say(outgoing{st: stanza.New(stanza.Presence, stanza.Unavailable, full, jid.JID{}), wide: true})
		}
	}
	a.mu.Unlock()
	a.drain(ctx)
}

// revive makes a resting session of its record. The caller holds a.mu.
func (a *Account) revive(r *sessionRecord, in map[uint32]uint32) (*Session, error) {
	full, err := a.jid.WithResource(r.Resource)
	if err != nil {
		return nil, err
	}
	v := a.srv
	s := v.newSession(a, full)
	s.id, s.number, s.managed = r.ID, r.Number, true
	s.seen.Store(r.Seen.UnixNano())
	s.interested.Store(r.Roster)
	s.blockPush.Store(r.Blocks)
	if r.Presence != "" {
		p := s.parse(r.Presence)
		if p == nil {
			return nil, errors.New("its presence cannot be read")
		}
		s.presence.Store(p)
		s.priority, _ = priorityOf(p)
	}
	for _, to := range r.Directed {
		if s.directed == nil {
			s.directed = map[jid.JID]struct{}{}
		}
		s.directed[to] = struct{}{}
	}
	for _, x := range v.extensions {
		if kept := r.Slots[x.Name]; x.Restore != nil && kept != "" {
			x.Restore(s, kept)
		}
	}
	h := r.In
	if n, ok := in[r.Number]; ok && int32(n-h) > 0 {
		h = n
	}
	s.handled.Store(h)
	k := &acks{acked: r.Out, unknown: !r.Exact, safe: h}
	for _, c := range r.Sent {
		k.sent = append(k.sent, piece{what{id: c.ID, moves: c.Moves, message: c.Message}, len(c.Bytes)})
		k.kept = append(k.kept, c.Bytes...)
	}
	k.thinned, k.thin = len(k.sent), len(k.kept)
	s.out.acks = k
	s.parked = r.Exact
	s.resting, s.until = true, time.Now().Add(v.settings.Load().Resume)
	if s.presence.Load() != nil && s.priority >= 0 {
		s.catchUp(r.Cursor)
	}
	s.saved = standing{r.Out, r.Cursor, len(r.Sent)}
	return s, nil
}

// Suspend writes down exactly how far messages were delivered and how far every session is that can be gone on with. No
// connection has one any more. It is the last thing before the store is closed.
func (v *Server) Suspend(ctx context.Context) error {
	err := v.saveSessions(ctx, func(*Session) bool { return true })
	return errors.Join(err, v.saveCursors(ctx))
}

// saveSessions writes the records of the accounts that have such a session.
func (v *Server) saveSessions(ctx context.Context, such func(*Session) bool) error {
	var list []*Account
	v.table.each(func(a *Account) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if slices.ContainsFunc(a.Sessions(), func(s *Session) bool { return s.number != 0 && such(s) }) {
			list = append(list, a)
		}
	})
	for page := range slices.Chunk(list, accountPage) {
		err := v.Within(ctx, nil, func(j store.Journey) (err error) {
			for _, a := range page {
				a.mu.Lock()
				err = errors.Join(err, a.save(j, nil))
				a.mu.Unlock()
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Checkpoint writes down how far messages were delivered and sessions are, ends those whose client has not come back in
// time, and says to clients that wait for an acknowledgement what is safe. Its caller repeats it about every second:
// what was delivered after the last time is delivered again after a crash.
func (v *Server) Checkpoint(ctx context.Context) error {
	var over []*Session
	v.table.each(func(a *Account) {
		for _, s := range a.Sessions() {
			if s.expired(time.Now()) {
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
	err := v.saveSessions(ctx, func(s *Session) bool { return s.standing() != s.saved || s.owes() })
	return errors.Join(err, v.saveCursors(ctx))
}

// expired tells, once, whether a resting session has waited long enough, or was to end meanwhile.
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
