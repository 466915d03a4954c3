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

// item is a contact of the account's. What was agreed with an account that has gone does not count for the one that has
// its name now.
func (a *Account) item(who jid.JID) item {
	it, ok := a.roster.Load().items[who]
	if ok && it.Owner != a.srv.ownerOf(who) {
		it.subscription, it.Request = subscription{}, ""
	}
	return it
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
	return a.item(who.Bare()).From
}

// Knows tells whether who is on the account's roster, or the account itself.
func (a *Account) Knows(who jid.JID) bool {
	who = who.Bare()
	return who == a.jid || a.srv.managed(who) || a.roster.Load().items[who].Listed
}

// sees tells whether the account gets the presence of who.
func (a *Account) sees(who jid.JID) bool {
	return a.srv.managed(who) || a.item(who).To
}

// maxRequest is how many bytes a subscription request may have inside, and maxRequests how many may wait for an answer
// of one account: each is kept whole, and given to the account's clients at every sign-in.
const (
	maxRequest  = 4 << 10
	maxRequests = 200
)

// agree carries a subscription stanza of account a to the contact's account. Both change in one journey: two accounts of
// this server never disagree, whenever the power fails. refused is why it was not taken, err the store's end.
func (v *Server) agree(ctx context.Context, a *Account, st *stanza.Stanza) (refused, err error) {
	b, refused := v.contactAt(ctx, st.To) // before the journey: inside one nobody waits for a disk
	if refused != nil {
		return refused, nil
	}
	j, err := v.store.Begin(ctx)
	if err != nil {
		return nil, err
	}
	refused = v.subscribe(j, a, b, st)
	j.End()
	a.drain(ctx)
	if b != nil {
		b.drain(ctx)
	}
	return refused, nil
}

// subscribe is the part of a subscription stanza's way that is inside the journey: the sender's turn, the contact's turn,
// and the sender's again for what the contact's server answers by itself. b is the contact's account, nil if there is
// none here. What the two say of their condition is still to be drained.
func (v *Server) subscribe(j store.Journey, a, b *Account, st *stanza.Stanza) error {
	to := st.To.Bare()
	st = st.Addressed(a.jid, to)
	switch {
	case to == a.jid:
		return nil
	case to.Domain() != v.domain.Domain():
		return stanza.Bad(stanza.RemoteServerNotFound, "This server does not talk to other servers.")
	case v.managed(to):
		return v.subscribeManaged(a, st)
	case b == nil && st.Type == stanza.Subscribe:
		return stanza.Bad(stanza.ItemNotFound, "There is no such account here.")
	case st.Type == stanza.Subscribe && len(st.Raw()) > maxRequest:
		return stanza.Bad(stanza.PolicyViolation, "A request may have at most 4 KiB.")
	}
	v.agreeing.Lock() // else the contact may hear of two devices' changes in another order than they were made
	defer v.agreeing.Unlock()
	was, route, err := a.sends(j, st)
	if err != nil || !route {
		return err
	}
	return bring(j, a, b, st, was.From)
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
// then shows and hides the two as they agreed. The caller holds Server.agreeing.
func bring(j store.Journey, a, b *Account, st *stanza.Stanza, shown bool) error {
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
			b.align(j, a.jid, was.From)
		}
	}
	if st.Type == stanza.Subscribed || st.Type == stanza.Unsubscribed {
		a.align(j, st.To, shown)
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
	old := a.item(st.To)
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
	return a.receivesOf(j, st, a.item(st.From))
}

// receivesOf is receives from somebody of whom the roster says this. The caller holds a.mu.
func (a *Account) receivesOf(j store.Journey, st *stanza.Stanza, old item) (was subscription, grant bool, err error) {
	blocked := a.Blocks(st.From)
	if blocked && st.Type == stanza.Subscribe {
		return was, false, nil
	}
	it := old
	deliver, grant := it.subscription.receives(st.Type)
	if deliver && st.Type == stanza.Subscribe && len(a.requests()) >= maxRequests {
		return was, false, stanza.Bad(stanza.ResourceConstraint, "Too many requests wait for this user's answer. Try again later.")
	}
	deliver = deliver && !blocked // the state changes all the same, or the two would disagree after the block
	switch {
	case deliver && st.Type == stanza.Subscribe:
		it.Request = string(st.Append(nil)) // said again at every sign-in until it is answered
	case !it.Asked:
		it.Request = ""
	}
	it.Listed = it.Listed || it.From
	if it.subscription != old.subscription {
		if err := a.keepItem(j, st.From, it); err != nil {
			return was, false, err
		}
	}
	if deliver { // before the push (§3.1.6)
		for _, s := range a.Sessions() {
			if s.interested.Load() && st.Type != stanza.Subscribe || s.presence.Load() != nil {
				s.push(st, a.jid, j.Mark())
			}
		}
	}
	if !it.looksLike(old) {
		a.pushRoster(j.Mark(), a.rosterItem(st.From))
	}
	return old.subscription, grant, nil
}

// align shows the account to a contact who may see it now, or hides it from one who no longer may, once that is durable.
// shown tells what he could before.
func (a *Account) align(j store.Journey, who jid.JID, shown bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch now := a.Shows(who); {
	case now && !shown:
		a.sayTo(who, a.presences(), j.Mark())
	case shown && !now && !a.Blocks(who): // else it is hidden already
		a.sayTo(who, a.withdrawn(who, true), j.Mark())
	}
}

// removeContact takes a contact off the roster, and ends what the two see of each other (§2.5.2). b is the contact's
// account, nil if there is none here. What the two say of their condition is still to be drained.
func (v *Server) removeContact(j store.Journey, a, b *Account, who jid.JID) error {
	v.agreeing.Lock()
	defer v.agreeing.Unlock()
	it, err := a.dropItem(j, who)
	if err != nil || b == nil {
		return err
	}
	if it.To || it.Asks {
		err = bring(j, a, b, stanza.New(stanza.Presence, stanza.Unsubscribe, a.jid, who), it.From)
	}
	if err == nil && (it.From || it.Asked) {
		err = bring(j, a, b, stanza.New(stanza.Presence, stanza.Unsubscribed, a.jid, who), it.From)
	}
	return err
}

// dropItem takes a contact off the roster and returns what he was.
func (a *Account) dropItem(j store.Journey, who jid.JID) (item, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	it := a.item(who)
	if !it.Listed {
		return it, stanza.Bad(stanza.ItemNotFound, "Nobody of that address is on your contact list.")
	}
	return it, a.change(j, who, item{})
}

// leaveRosters ends what others see of an account that is being removed, and what it was to see of them.
func (v *Server) leaveRosters(ctx context.Context, a *Account) error {
	for who, it := range a.roster.Load().items {
		b, err := v.contactAt(ctx, who)
		if err != nil {
			return err
		}
		if b == nil || b.owner != it.Owner {
			continue
		}
		if err := v.Within(ctx, b, func(j store.Journey) error { return v.leaveRoster(j, a, b) }); err != nil {
			return err
		}
	}
	return nil
}

func (v *Server) leaveRoster(j store.Journey, a, b *Account) error {
	v.agreeing.Lock()
	defer v.agreeing.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range []string{stanza.Unsubscribe, stanza.Unsubscribed} {
		it := b.roster.Load().items[a.jid]
		if it.Owner != a.owner && it.Owner != 0 { // 0: the first of the two has changed it already
			return nil
		}
		if _, _, err := b.receivesOf(j, stanza.New(stanza.Presence, t, a.jid, b.jid), it); err != nil {
			return err
		}
	}
	it, known := b.roster.Load().items[a.jid]
	if !known {
		return nil
	}
	it.subscription, it.Request = subscription{}, "" // an approval beforehand, too
	return b.change(j, a.jid, it)
}

// requests are the subscription requests that wait for an answer (§3.1.3), for a session that has become available. The
// caller holds a.mu.
func (a *Account) requests() []*stanza.Stanza {
	var out []*stanza.Stanza
	for who := range a.roster.Load().items {
		request := a.item(who).Request
		if request == "" {
			continue
		}
		el, err := xml.Parse(request, stanza.NSClient, xml.Limits{})
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
