package im

import (
	"context"
	"log/slog"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
)

// fate is what becomes of a stanza at an account (RFC 6121 §8.5).
type fate uint8

const (
	refused   fate = iota // service-unavailable to the sender
	ignored               // nothing
	delivered             // to the targets
	kept                  // nobody can take it now
)

// targets decides who gets a message or an iq that is for the address 'to': the rules of RFC 6121 §8.5.2 and §8.5.3, table 1. The sessions are
// valid during the turn. The caller holds a.mu.
func (a *Account) targets(st *stanza.Stanza, to jid.JID) (fate, []*Session) {
	if r := to.Resource(); r != "" { // §8.5.3
		if s := a.session(r); s != nil {
			a.aim = append(a.aim[:0], s)
			return delivered, a.aim
		}
		switch {
		case st.Kind == stanza.IQ, st.Type == stanza.Groupchat, st.Type == "", st.Type == stanza.Normal:
			return refused, nil // §8.5.3.2
		case st.Type == stanza.Headline, st.Type == stanza.ErrorType:
			return ignored, nil
		}
		// chat to a resource that is gone is treated as if it were for the account (§8.5.3.2.1)
	}
	switch {
	case st.Kind == stanza.IQ:
		return refused, nil // the server answers for the account (§8.5.2.1.3); results for nobody end in failure()
	case st.Type == stanza.Groupchat:
		return refused, nil
	case st.Type == stanza.ErrorType:
		return ignored, nil
	}
	a.aim = a.aim[:0]
	for _, s := range a.Sessions() {
		if s.presence.Load() != nil && s.priority >= 0 {
			a.aim = append(a.aim, s)
		}
	}
	switch {
	case len(a.aim) > 0:
		return delivered, a.aim // to all of them, not to the "most available" one (§8.5.2.1.1)
	case st.Type == stanza.Headline:
		return ignored, nil
	}
	return kept, nil
}

// arrive is the recipient's turn: block list, targets, Arriving steps, delivery. What follows is returned.
func (a *Account) arrive(ctx context.Context, by *Session, j store.Journey, st *stanza.Stanza) ([]*stanza.Stanza, error) {
	if a.Blocks(st.From) {
		return nil, a.srv.errBlocked(st)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	f, to := a.targets(st, st.To)
	switch f {
	case refused:
		return nil, stanza.Bad(stanza.ServiceUnavailable, "")
	case ignored:
		return nil, nil
	}
	d := a.begin(Delivery{Stanza: st, Account: a, Targets: to, Journey: j, by: by})
	defer a.end()
	for _, step := range a.srv.arriving {
		if err := step(ctx, d); err != nil {
			return d.emitted, err
		}
	}
	err := a.deliver(ctx, d)
	return d.emitted, err
}

// begin makes d the stanza whose turn it is. The caller holds a.mu, and calls end before he lets go of it.
func (a *Account) begin(d Delivery) *Delivery {
	a.turn = d
	return &a.turn
}

func (a *Account) end() { a.turn = Delivery{} }

// deliver hands the original to its targets. Who is catching up will find it in the Log; who cannot take it now
// begins to catch up. The caller holds a.mu.
func (a *Account) deliver(ctx context.Context, d *Delivery) error {
	if d.Stanza.Kind == stanza.IQ {
		for _, s := range d.Targets {
			if !s.push(d.Stanza, s.jid, a.srv.store.Mark()) {
				return stanza.Bad(stanza.ServiceUnavailable, "") // it is closed, and will answer nothing
			}
		}
		return nil
	}
	behind := len(d.Targets) == 0
	for _, list := range [...][]*Session{d.Targets, d.Copies} {
		for _, s := range list {
			behind = behind || s.catching || d.ID == 0 && s.away()
		}
	}
	if behind && d.ID == 0 {
		if err := a.miss(ctx, d); err != nil {
			return err
		}
		if d.ID == 0 && len(d.Targets) == 0 && d.Stanza.Body() != "" { // chat states and the like are for now or never (XEP-0160 §3)
			return stanza.Bad(stanza.ServiceUnavailable, "The recipient is offline, and the message asks not to be kept.")
		}
	}
	st := d.Stanza
	if d.ID != 0 {
		st = st.With(a.StanzaID(d.ID))
	}
	for _, s := range d.Targets {
		place := d.ID
		if s.presence.Load() == nil || s.priority < 0 {
			place = 0 // what others sent to the account is not for this session: it moves no cursor
		}
		if err := a.give(ctx, d, s, st, st.To, place); err != nil {
			return err
		}
	}
	return a.copy(ctx, d, st)
}

// copy gives the copies of st, which is d's stanza with its id. They move no cursor: whoever got the original does. The
// caller holds a.mu.
func (a *Account) copy(ctx context.Context, d *Delivery, st *stanza.Stanza) error {
	if len(d.Copies) == 0 {
		return nil
	}
	st = d.Wrap(st)
	for _, s := range d.Copies {
		if err := a.give(ctx, d, s, st, s.jid, 0); err != nil {
			return err
		}
	}
	return nil
}

// give puts a message, or a copy of it, into the outbox of a session. Who is catching up will come by it in the Log; who
// cannot take it now begins to catch up, or is closed when it is not kept. The caller holds a.mu.
func (a *Account) give(ctx context.Context, d *Delivery, s *Session, st *stanza.Stanza, to jid.JID, place store.ID) error {
	if s.catching && d.ID != 0 {
		return nil
	}
	if s.put(st, to, a.srv.store.Mark(), what{id: d.ID, moves: place != 0, message: true}, false) {
		if d.by != nil {
			d.by.woken.add(s)
		} else {
			s.kick()
		}
		return nil
	}
	if d.ID == 0 && d.Session == nil {
		if err := a.miss(ctx, d); err != nil {
			return err
		}
	}
	if d.ID != 0 {
		s.catchUp(d.ID - 1)
		s.feedMe() // what filled the outbox may have been written by now, and nothing else would start the feed
		return nil
	}
	switch {
	case s.away(): // who is not there misses what is for now or never
	case s.squeeze(st, to, a.srv.store.Mark()):
		s.kick()
	default:
		s.End(&stream.Error{Condition: stream.ResourceConstraint, Text: "This client reads too slowly."})
	}
	return nil
}

// bounce gives a session the error that the server itself answers its message with. For the account that is an error
// like those which come from elsewhere: the Arriving steps see it.
func (a *Account) bounce(ctx context.Context, s *Session, st *stanza.Stanza) {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.begin(Delivery{Stanza: st, Account: a, Targets: []*Session{s}})
	defer a.end()
	for _, step := range a.srv.arriving {
		if err := step(ctx, d); err != nil {
			a.srv.log.Error("a step refused an error", slog.String("jid", s.jid.String()), slog.Any("err", err))
			return
		}
	}
	s.replyError(d.Stanza)
	if err := a.copy(ctx, d, d.Stanza); err != nil {
		a.srv.log.Error("an error was not copied", slog.String("jid", s.jid.String()), slog.Any("err", err))
	}
}

// miss runs the Missed steps: whoever keeps the message sets d.ID.
func (a *Account) miss(ctx context.Context, d *Delivery) error {
	for _, step := range a.srv.missed {
		if err := step(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// errBlocked is what the sender of st learns when the recipient has blocked him (XEP-0191 §3.5;
// docs/protocol.md, "Blocking").
func (v *Server) errBlocked(st *stanza.Stanza) error {
	if st.Kind == stanza.Message && v.settings.Load().BlockedSender == Silent {
		return ErrDrop
	}
	if st.Kind == stanza.Message && v.settings.Load().BlockedSender == Explicit {
		return stanza.Bad(stanza.ServiceUnavailable, "Your message could not be delivered as the recipient has blocked you.")
	}
	return stanza.Bad(stanza.ServiceUnavailable, "")
}

// Headline delivers a message of type headline to everybody online but its sender; no sender is the server, which
// nobody blocks. It returns how many accounts were reached, and how many were passed over because one of the two has
// blocked the other.
func (v *Server) Headline(ctx context.Context, from *Account, st *stanza.Stanza) (reached, blocked int) {
	var woken wakes
	defer func() { woken.write() }()
	shared := st.Share()
	for _, b := range v.online() {
		if b == from {
			continue
		}
		if from != nil && (b.Blocks(from.jid) || from.Blocks(b.jid)) {
			blocked++
			continue
		}
		b.mu.Lock()
		f, to := b.targets(st, b.jid)
		for _, s := range to {
			if s.pushed(shared, b.jid, 0) {
				woken.add(s)
			}
		}
		b.mu.Unlock()
		if f == delivered {
			reached++
		}
	}
	return reached, blocked
}

// Tell sends a chat message from the server's own address to a session.
func (v *Server) Tell(s *Session, text string) {
	st := stanza.New(stanza.Message, stanza.Chat, v.domain, s.jid, stanza.Body(text))
	st.ID = v.nextID()
	s.Reply(st)
}
