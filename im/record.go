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
	"parley/xmpp/xml"
)

// KV keys of what is kept of an account's sessions, that clients can go on with them after a restart: who they are, which
// is written when it changes; how far they are is under keys of their own (keyStanding).
const (
	keySessions = "im/sessions"
	keyEnded    = "im/ended"
)

// How long, and of how many sessions of an account that have ended, the count is remembered.
const (
	endedTime = 24 * time.Hour
	maxEnded  = 20
)

// Bounds of what is kept of a session.
const (
	maxPresence  = 8 << 10  // bytes of its presence; of a longer one only show and priority are
	maxAddresses = 64 << 10 // bytes of the addresses that got directed presence
)

// record is what is kept of an account's sessions. It is never older than the count of a session, so that a client
// which repeats what was not counted is where it was.
type record struct {
	Name     string
	Epoch    string          // of the store; after a restore from a backup clients know more than the server
	Sessions []sessionRecord `json:",omitempty"`
	Others   []string        `json:",omitempty"` // resources that are available, and are gone after a restart
}

type sessionRecord struct {
	ID       string
	Number   uint32
	Resource string
	Presence string            `json:",omitempty"`
	Directed []jid.JID         `json:",omitempty"`
	Roster   bool              `json:",omitempty"`
	Blocks   bool              `json:",omitempty"`
	Slots    map[string]string `json:",omitempty"` // what extensions keep, by their names
	Seen     time.Time
}

type endedSession struct {
	ID   string
	In   uint32
	Time time.Time
}

// endedRecord is what is kept of sessions that have ended.
type endedRecord struct {
	Epoch    string // see record
	Sessions []endedSession
}

// exists tells whether the account was not removed meanwhile.
func (a *Account) exists() bool {
	owner, ok := a.srv.directory.Owner(a.jid.Local())
	return ok && owner == a.owner
}

// save writes the record of the account's sessions. The caller holds a.mu.
func (a *Account) save(j store.Journey) error {
	if !a.exists() {
		return nil
	}
	r := record{Name: a.jid.Local(), Epoch: a.srv.store.Epoch(), Others: slices.Clone(a.left)}
	for _, s := range a.Sessions() {
		switch {
		case s.number != 0:
			r.Sessions = append(r.Sessions, s.record())
		case s.presence.Load() != nil:
			r.Others = append(r.Others, s.jid.Resource())
		}
	}
	var value []byte // nil deletes
	var err error
	if len(r.Sessions)+len(r.Others) > 0 {
		value, err = json.Marshal(r)
	}
	if err == nil {
		err = a.srv.store.KV.Set(j, a.owner, keySessions, value)
	}
	if err != nil {
		return fmt.Errorf("im: keep sessions: %w", err)
	}
	for _, s := range a.Sessions() {
		s.recorded = s.number == 0 && s.presence.Load() != nil
	}
	return nil
}

// record is what is kept of the session. The caller holds account.mu.
func (s *Session) record() sessionRecord {
	r := sessionRecord{
		ID: s.id, Number: s.number, Resource: s.jid.Resource(), Roster: s.interested.Load(), Blocks: s.blockPush.Load(), Seen: s.Seen(),
	}
	if p := s.presence.Load(); p != nil {
		r.Presence = p.String()
		if len(r.Presence) > maxPresence {
			r.Presence = p.Without(func(el *xml.Element) bool {
				return el.Name != xml.Name{Space: stanza.NSClient, Local: "show"} && el.Name != xml.Name{Space: stanza.NSClient, Local: "priority"}
			}).String()
		}
	}
	size := 0
	for to := range s.directed {
		if size += len(to.String()); size > maxAddresses {
			break
		}
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
	return r
}

// bury remembers how far a session got that has ended, and takes it out of what is kept. Of one whose client may not know
// that a message was refused, nothing is remembered, so that it sends all again that it is not sure of. The caller holds
// a.mu.
func (a *Account) bury(j store.Journey, s *Session) error {
	s.out.mu.Lock()
	h, refused := s.in(false), s.out.acks.refused()
	s.out.mu.Unlock()
	a.ended = slices.DeleteFunc(slices.Clone(a.ended), func(e endedSession) bool { return time.Since(e.Time) >= endedTime })
	if n := len(a.ended); n >= maxEnded {
		a.ended = a.ended[n-maxEnded+1:]
	}
	if !refused {
		a.ended = append(a.ended, endedSession{s.id, h, time.Now()})
	}
	if !j.Valid() || !a.exists() {
		return nil
	}
	value, err := json.Marshal(endedRecord{a.srv.store.Epoch(), a.ended})
	if err == nil {
		err = a.srv.store.KV.Set(j, a.owner, keyEnded, value)
	}
	if err == nil {
		err = a.srv.store.KV.Set(j, a.owner, standingKey(s.number), nil)
	}
	if err != nil {
		return fmt.Errorf("im: keep the count of a session that has ended: %w", err)
	}
	return nil
}

// loadEnded reads how far sessions got that have ended.
func (v *Server) loadEnded(ctx context.Context, o store.Owner) ([]endedSession, error) {
	var r endedRecord
	p, err := v.store.KV.Get(ctx, o, keyEnded)
	if err == nil {
		err = json.Unmarshal(p, &r)
	}
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && r.Epoch != v.store.Epoch():
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("im: load sessions that have ended: %w", err)
	}
	return r.Sessions, nil
}

// Restore brings back the sessions that were there when the server ended, in whatever way: they rest, and nobody is told
// anything, but of those who cannot be there again. It is called once, after Use and before anybody connects.
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
		if owner, ok := v.directory.Owner(r.Name); !ok || owner != p.Owner || r.Epoch != v.store.Epoch() || v.lockedOut(r.Name) {
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

func (v *Server) lockedOut(localpart string) bool { return v.locked != nil && v.locked(localpart) }

func (v *Server) restore(ctx context.Context, r *record) error {
	a, err := v.account(ctx, r.Name)
	if a == nil || err != nil {
		return err
	}
	var list []*Session
	from := store.ID(0)
	at := map[uint32]*Session{} // by number
	for i := range r.Sessions {
		s, st, err := a.revive(ctx, &r.Sessions[i])
		if err != nil {
			v.log.Error("a session cannot be restored and has ended", slog.String("jid", a.jid.String()), slog.Any("err", err))
			continue
		}
		if list = append(list, s); len(list) == 1 || st.at < from {
			from = st.at
		}
		at[s.number] = s
	}
	if len(list) == 0 {
		return nil
	}
	for e, err := range v.store.Log.Range(ctx, a.owner, store.Query{After: from}) { // what the Log says of counts
		if err != nil {
			return err
		}
		if s := at[uint32(e.Note>>32)]; s != nil && int32(uint32(e.Note)-s.handled.Load()) > 0 {
			s.handled.Store(uint32(e.Note))
			s.out.acks.safe = uint32(e.Note)
		}
	}
	return a.withTurn(ctx, func(j store.Journey) error {
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
	a.turnDo(func() {
		for _, resource := range r.Others {
			if full, err := a.jid.WithResource(resource); err == nil && a.session(resource) == nil {
				a.say(outgoing{st: stanza.New(stanza.Presence, stanza.Unavailable, full, jid.JID{}), wide: true})
			}
		}
	})
	a.drain(ctx)
}

// revive makes a resting session of what is kept of it.
func (a *Account) revive(ctx context.Context, r *sessionRecord) (*Session, standing, error) {
	v := a.srv
	full, err := a.jid.WithResource(r.Resource)
	if err != nil {
		return nil, standing{}, err
	}
	p, err := v.store.KV.Get(ctx, a.owner, standingKey(r.Number))
	if err != nil {
		return nil, standing{}, err
	}
	st, err := readStanding(p)
	if err != nil {
		return nil, st, err
	}
	s := v.newSession(a, full)
	s.id, s.number, s.managed = r.ID, r.Number, true
	s.seen.Store(r.Seen.UnixNano())
	s.interested.Store(r.Roster)
	s.blockPush.Store(r.Blocks)
	if r.Presence != "" {
		p := s.parse(r.Presence)
		if p == nil {
			return nil, st, errors.New("its presence cannot be read")
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
	s.handled.Store(st.in)
	k := &acks{acked: st.out, unknown: !st.exact, safe: st.in}
	bytes := st.bytes
	for _, c := range st.sent {
		p := bytes[:c.n]
		bytes = bytes[c.n:]
		if c.waits {
			c.waits = false
			k.queued, s.out.buf = append(k.queued, c), append(s.out.buf, p...)
		} else {
			k.sent, k.kept = append(k.sent, c), append(k.kept, p...)
		}
	}
	k.thinned, k.thin = len(k.sent), len(k.kept)
	if len(s.out.buf) > 0 {
		s.out.holds = []hold{{end: len(s.out.buf)}}
	}
	s.out.acks = k
	s.resting, s.until = true, time.Now().Add(v.settings.Load().Resume)
	if s.presence.Load() != nil && s.priority >= 0 {
		s.catchUp(st.cursor)
	}
	s.saved = standingMark{st.out, st.cursor, len(st.sent), st.exact}
	return s, st, nil
}
