package im

import (
	"context"
	"strconv"
	"time"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// presences is what the account's available sessions say. The caller holds a.mu.
func (a *Account) presences() []*stanza.Stanza {
	var out []*stanza.Stanza
	for _, s := range a.Sessions() {
		if p := s.presence.Load(); p != nil {
			out = append(out, p)
		}
	}
	return out
}

// setPresence handles presence without 'to' from one of our sessions (RFC 6121 §4.2, §4.4, §4.5).
func (s *Session) setPresence(j store.Journey, st *stanza.Stanza) error {
	switch st.Type {
	case "":
	case stanza.Unavailable:
		s.account.mu.Lock()
		defer s.account.mu.Unlock()
		s.gone(j, st, true)
		return nil
	default:
		return stanza.Bad(stanza.BadRequest, "Presence of that type needs a 'to'.")
	}
	priority, ok := priorityOf(st)
	if !ok {
		return stanza.Bad(stanza.BadRequest, "The priority is a number from -128 to 127.")
	}
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.closed {
		return nil
	}
	first := s.presence.Load() == nil
	waited := first || s.priority < 0
	if first && !a.Online() {
		a.srv.arrived(a)
		a.srv.changed(Change{Account: a, Online: true, Time: time.Now(), Journey: j})
	}
	st = s.kept(st)
	s.presence.Store(st)
	s.priority = priority
	s.stale.Store(true)
	a.say(outgoing{st: st, wide: true})
	if first {
		a.say(outgoing{st: a.srv.greeting, to: []*Session{s}})
		for _, p := range a.presences() { // what the account's other devices say (RFC 6121 §4.2.2)
			if p.From != s.jid {
				a.say(outgoing{st: p, to: []*Session{s}})
			}
		}
		s.due.contacts, s.due.requests = true, a.requests()
		s.due.said = make(chan struct{})
		a.say(outgoing{then: func() { close(s.due.said) }})
	}
	if waited && priority >= 0 && !s.catching {
		s.catching, s.copied = true, a.last
		s.cursor.Store(max(a.cursor.Load(), uint64(s.queried), uint64(s.out.given())))
		s.due.missed = true
	}
	return nil
}

// kept is a presence in memory that can last as long as the session: for most sessions, the only one that they have and
// say. What is made for each stanza and soon let go of would lie around it, and leave holes. The caller holds a.mu.
func (s *Session) kept(st *stanza.Stanza) *stanza.Stanza {
	const small = 1 << 10 // bytes: it stays, also after the next one
	if s.first.Kind != 0 || len(st.Raw()) > small {
		return st
	}
	s.first = *st
	return &s.first
}

// gone makes the session unavailable and tells everybody who believes otherwise, and itself if it stays connected
// (RFC 6121 §4.5.2). The caller holds account.mu.
func (s *Session) gone(j store.Journey, st *stanza.Stanza, stays bool) {
	a := s.account
	s.stale.Store(true)
	was := s.presence.Swap(nil) != nil
	if was {
		if !a.srv.stopping.Load() {
			a.say(outgoing{st: st, wide: true})
		}
		if stays {
			a.say(outgoing{st: st, to: []*Session{s}})
		}
		if !a.Online() {
			a.srv.left(a)
			a.srv.changed(Change{Account: a, Online: false, Time: time.Now(), Journey: j})
		}
	}
	for to := range s.directed {
		heard := was && a.Shows(to) // what is wide, as far as he is available
		if !heard || to.Resource() != "" {
			a.say(outgoing{st: st.Addressed(st.From, to), unseen: heard})
		}
	}
	s.directed = nil
}

func priorityOf(st *stanza.Stanza) (int8, bool) {
	el := st.Child(stanza.NSClient, "priority")
	if el == nil {
		return 0, true
	}
	n, err := strconv.ParseInt(el.Text(), 10, 8)
	return int8(n), err == nil
}

// maxDirected bounds how many addresses a session's directed presence is remembered for.
const maxDirected = 1000

// sendPresence handles presence with a 'to' from one of our sessions: directed presence (RFC 6121 §4.6) and probes.
func (s *Session) sendPresence(st *stanza.Stanza) error {
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Blocks(st.To) {
		return errBlockedByYou()
	}
	switch st.Type {
	case "":
		if len(s.directed) >= maxDirected {
			return stanza.Bad(stanza.ResourceConstraint, "Too many addresses were sent directed presence.")
		}
		if s.directed == nil {
			s.directed = map[jid.JID]struct{}{}
		}
		s.directed[st.To] = struct{}{}
	case stanza.Unavailable:
		delete(s.directed, st.To)
	}
	s.stale.Store(true)
	a.say(outgoing{st: st})
	return nil
}

// tell routes one presence of account a to a single address. No lock is held.
func (v *Server) tell(ctx context.Context, a *Account, o outgoing) {
	st, to := o.st, o.st.To
	switch {
	case to == v.domain:
		if st.Type == stanza.Probe || st.Type == stanza.Subscribe {
			v.pushPresence(a, v.greeting)
		}
		return
	case to.Domain() != v.domain.String() || to.Local() == "":
		return
	}
	b, err := v.account(ctx, to.Local())
	switch {
	case err != nil:
		return
	case b == nil && st.Type == stanza.Probe && v.everyone == nil: // as of somebody who shows himself to others only (see probe)
		a.hear(outgoing{st: stanza.New(stanza.Presence, stanza.Unsubscribed, to.Bare(), st.From)})
		return
	case b == nil:
		return // RFC 6121 §8.5.1: presence to nobody is ignored
	}
	switch st.Type {
	case stanza.Probe:
		v.probe(ctx, b, st.From, nil)
	case stanza.Subscribe: // only for a contact whom the server keeps: he is subscribed to already
		if !b.Blocks(a.jid) {
			v.pushPresence(a, stanza.New(stanza.Presence, stanza.Subscribed, b.jid, a.jid))
		}
	default:
		b.hear(o)
	}
}

// hear delivers a presence to the account's sessions (RFC 6121 §8.5.2.1.2, §8.5.3.1), unless its sender is blocked. The
// answer to a probe is only for a session that is still available: another one would never hear of its end.
func (b *Account) hear(o outgoing) {
	st := o.st
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Blocks(st.From) {
		return
	}
	for _, s := range b.Sessions() {
		available := s.presence.Load() != nil
		switch {
		case st.To.Resource() == "" && !available:
		case st.To.Resource() != "" && st.To != s.jid:
		case o.answer && !available, o.unseen && available:
		case o.wide && b.jid != st.From.Bare() && b.srv.blocks(o.hidden, s.jid): // one of its resources is blocked
		case o.woken == nil:
			s.push(st, s.jid, o.mark)
		case s.pushed(o.shared, s.jid, o.mark):
			o.woken.add(s)
		}
	}
}

// fanOut delivers a presence of account a to everybody online who may see it, and to a's own sessions.
func (v *Server) fanOut(a *Account, o outgoing) {
	var woken wakes
	defer func() { woken.write() }()
	o.shared, o.woken = o.st.Share(), &woken
	if v.everyone != nil {
		for _, b := range v.online() {
			if b == a || !v.blocks(o.hidden, b.jid) {
				b.hear(o)
			}
		}
		return
	}
	a.hear(o)
	for who, it := range o.roster.items {
		if !it.From || v.blocks(o.hidden, who) {
			continue
		}
		if b := v.table.find(who.Local(), it.Owner); b != nil {
			b.hear(o)
		}
	}
}

// probe has account a answer a presence probe from 'from' (RFC 6121 §4.3.2): through a's queue, so that the answer is
// neither older nor newer than what a says anyway. To whom a has blocked, a looks offline. then, if any, is called
// when the answer has been delivered.
func (v *Server) probe(ctx context.Context, a *Account, from jid.JID, then func()) {
	a.mu.Lock()
	var known []*stanza.Stanza
	shown := a.Shows(from)
	if a.jid != from.Bare() && shown {
		known = a.presences()
	}
	for _, p := range known {
		a.say(outgoing{st: p.Addressed(p.From, from), answer: true})
	}
	switch {
	case !shown && !a.Blocks(from): // §4.3.2
		a.say(outgoing{st: stanza.New(stanza.Presence, stanza.Unsubscribed, a.jid, from)})
	case len(known) == 0 && from.Resource() == "":
		a.say(outgoing{st: stanza.New(stanza.Presence, stanza.Unavailable, a.jid, from)})
	}
	if then != nil {
		a.say(outgoing{then: then})
	}
	a.mu.Unlock()
	a.drain(ctx)
}

// pushPresence sends a presence that the server makes to all available sessions of an account.
func (v *Server) pushPresence(a *Account, st *stanza.Stanza) {
	for _, s := range a.Sessions() {
		if s.presence.Load() != nil {
			s.push(st, s.jid, 0)
		}
	}
}

// Delay is the element that says since when a stanza has waited (XEP-0203).
func Delay(from jid.JID, t time.Time) *xml.Element {
	return xml.New(stanza.NSDelay, "delay", xml.A("from", from.String()), xml.A("stamp", stanza.DateTime(t)))
}
