package im

import (
	"context"
	"slices"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// isSubscription tells whether a presence is about who may see whom (RFC 6121 §3).
func isSubscription(st *stanza.Stanza) bool {
	switch st.Type {
	case stanza.Subscribe, stanza.Subscribed, stanza.Unsubscribe, stanza.Unsubscribed:
		return st.Kind == stanza.Presence
	}
	return false
}

// contactAt is the account at an address; nil when there is none of this server.
func (v *Server) contactAt(ctx context.Context, who jid.JID) (*Account, error) {
	if who.Local() == "" || who.Domain() != v.domain.Domain() {
		return nil, nil
	}
	return v.account(ctx, who.Local())
}

// Shows tells whether who may see the account's presence: itself, everybody where the server manages the roster, else
// those to whom it was granted (RFC 6121 §2.1.2.5); nobody who is blocked.
func (a *Account) Shows(who jid.JID) bool {
	switch {
	case who.Bare() == a.jid:
		return true
	case a.Blocks(who):
		return false
	case a.srv.everyone != nil:
		return a.srv.ownerOf(who) != 0
	}
	return a.roster.Load().items[who.Bare()].From
}

// Knows tells whether who is on the account's roster, or the account itself.
func (a *Account) Knows(who jid.JID) bool {
	who = who.Bare()
	return who == a.jid || a.srv.managed(who) || a.roster.Load().items[who].Listed
}

// sees tells whether the account gets the presence of who.
func (a *Account) sees(who jid.JID) bool {
	return a.srv.managed(who) || a.roster.Load().items[who].To
}

// subscribe carries a subscription stanza of account a to the contact's account, within journey j: the sender's turn, the
// contact's turn, and the sender's again for what the contact's server answers by itself. Two accounts of this server
// thus never disagree, whenever the power fails.
func (v *Server) subscribe(ctx context.Context, j store.Journey, a *Account, st *stanza.Stanza) error {
	to := st.To.Bare()
	st = st.Addressed(a.jid, to)
	switch {
	case to == a.jid:
		return nil
	case to.Domain() != v.domain.Domain():
		return stanza.Bad(stanza.RemoteServerNotFound, "This server does not talk to other servers.")
	case v.managed(to):
		return v.subscribeManaged(a, st)
	}
	v.agreeing.Lock() // else the contact may hear of two devices' changes in another order than they were made
	defer v.agreeing.Unlock()
	was, route, err := a.sends(j, st)
	if err != nil || !route {
		return err
	}
	return v.bring(ctx, j, a, st, was.From)
}

// subscribeManaged answers for a contact that the server keeps: all are subscribed already.
func (v *Server) subscribeManaged(a *Account, st *stanza.Stanza) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Blocks(st.To) {
		return errBlockedByYou()
	}
	if st.Type == stanza.Subscribe {
		a.say(outgoing{st: st})
	}
	return nil
}

// bring has the contact's account hear of a subscription stanza of a's, who was shown to the contact before it or not, and
// then shows and hides the two as they agreed.
func (v *Server) bring(ctx context.Context, j store.Journey, a *Account, st *stanza.Stanza, shown bool) error {
	b, err := v.contactAt(ctx, st.To)
	if err != nil {
		return err
	}
	if b != nil { // else it is ignored (§8.5.1)
		was, grant, err := b.receives(j, st)
		if err != nil {
			return err
		}
		if grant {
			if _, _, err := a.receives(j, stanza.New(stanza.Presence, stanza.Subscribed, b.jid, a.jid)); err != nil {
				return err
			}
		}
		if grant || st.Type == stanza.Unsubscribe {
			b.align(a.jid, was.From)
			b.drain(ctx)
		}
	}
	if st.Type == stanza.Subscribed || st.Type == stanza.Unsubscribed {
		a.align(st.To, shown)
	}
	return nil
}

// sends is the sender's turn for a subscription stanza. It returns the state before, and whether the contact is to hear
// of it.
func (a *Account) sends(j store.Journey, st *stanza.Stanza) (was subscription, route bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Blocks(st.To) {
		return was, false, errBlockedByYou()
	}
	old := a.roster.Load().items[st.To]
	it := old
	route = it.subscription.sends(st.Type)
	it.Listed = it.Listed || it.Asks || it.From || it.Approved
	if !it.Asked {
		it.Request = ""
	}
	if it.subscription == old.subscription {
		return old.subscription, route, nil
	}
	return old.subscription, route, a.change(j, st.To, it)
}

// receives is the contact's turn for a subscription stanza. It returns the state before, and whether the server grants a
// request on the account's behalf (§3.1.3).
func (a *Account) receives(j store.Journey, st *stanza.Stanza) (was subscription, grant bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	blocked := a.Blocks(st.From)
	if blocked && st.Type == stanza.Subscribe {
		return was, false, nil
	}
	old := a.roster.Load().items[st.From]
	it := old
	deliver, grant := it.subscription.receives(st.Type)
	deliver = deliver && !blocked // the state changes all the same, or the two would disagree after the block
	switch {
	case deliver && st.Type == stanza.Subscribe:
		it.Request = string(st.Append(nil)) // said again at every sign-in until it is answered
	case !it.Asked:
		it.Request = ""
	}
	it.Listed = it.Listed || it.From
	if deliver { // before the push (§3.1.6)
		for _, s := range a.Sessions() {
			if s.interested.Load() && st.Type != stanza.Subscribe || s.presence.Load() != nil {
				s.push(st, a.jid, j.Mark())
			}
		}
	}
	if it.subscription == old.subscription {
		return old.subscription, grant, nil
	}
	return old.subscription, grant, a.change(j, st.From, it)
}

// align shows the account to a contact who may see it now, or hides it from one who no longer may. shown tells what he
// could before.
func (a *Account) align(who jid.JID, shown bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch now := a.Shows(who); {
	case now && !shown:
		a.sayTo(who, a.presences())
	case shown && !now && !a.Blocks(who): // else it is hidden already
		a.sayTo(who, a.withdrawn(who, true))
	}
}

// removeContact takes a contact off the roster, and ends what the two see of each other (§2.5.2).
func (v *Server) removeContact(ctx context.Context, j store.Journey, a *Account, who jid.JID, b *Account) error {
	v.agreeing.Lock()
	defer v.agreeing.Unlock()
	a.mu.Lock()
	it := a.roster.Load().items[who]
	if !it.Listed {
		a.mu.Unlock()
		return stanza.Bad(stanza.ItemNotFound, "Nobody of that address is on your contact list.")
	}
	err := a.change(j, who, item{})
	a.mu.Unlock()
	if err != nil {
		return err
	}
	if b == nil {
		return nil
	}
	if it.To || it.Asks {
		err = v.bring(ctx, j, a, stanza.New(stanza.Presence, stanza.Unsubscribe, a.jid, who), it.From)
	}
	if err == nil && (it.From || it.Asked) {
		err = v.bring(ctx, j, a, stanza.New(stanza.Presence, stanza.Unsubscribed, a.jid, who), it.From)
	}
	return err
}

// leaveRosters ends what others see of an account that is being removed, and what it was to see of them.
func (v *Server) leaveRosters(ctx context.Context, a *Account) error {
	for who := range a.roster.Load().items {
		b, err := v.contactAt(ctx, who)
		if err != nil {
			return err
		}
		if b == nil {
			continue
		}
		err = v.Within(ctx, b, func(j store.Journey) error {
			v.agreeing.Lock()
			defer v.agreeing.Unlock()
			for _, t := range []string{stanza.Unsubscribe, stanza.Unsubscribed} {
				if _, _, err := b.receives(j, stanza.New(stanza.Presence, t, a.jid, who)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// requests are the subscription requests that wait for an answer (§3.1.3), for a session that has become available. The
// caller holds a.mu.
func (a *Account) requests() []*stanza.Stanza {
	var out []*stanza.Stanza
	for _, it := range a.roster.Load().items {
		if it.Request == "" {
			continue
		}
		el, err := xml.Parse(it.Request, stanza.NSClient, xml.Limits{})
		if err != nil {
			continue
		}
		if st, err := stanza.Parse(el); err == nil {
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(x, y *stanza.Stanza) int { return x.From.Compare(y.From) })
	return out
}
