package im

import (
	"context"
	"fmt"
	"slices"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// Limits of what a person may call a contact, and of how he groups him.
const (
	maxItemName   = 1023 // bytes, of a name and of a group
	maxItemGroups = 20
)

// rosterExtension answers for the roster (RFC 6121 §2).
func (v *Server) rosterExtension() Extension {
	return Extension{
		Name:  "roster",
		Specs: []string{"RFC 6121 §2"},
		Answers: []Answer{{
			At: AtSelf, Name: xml.Name{Space: stanza.NSRoster, Local: "query"},
			Get: rosterGet, Set: v.rosterSet, InTurn: true, Outside: true,
		}},
	}
}

// rosterGet answers with the roster, or with nothing when the client has this version of it (§2.6.3).
func rosterGet(_ context.Context, q *Query) (*xml.Element, error) {
	a := q.Account
	q.Session.interested.Store(true)
	q.Session.stale.Store(true)
	version := a.rosterVersion()
	if q.Payload.Attr("ver") == version {
		return nil, nil
	}
	return xml.New(stanza.NSRoster, "query", xml.A("ver", version)).With(a.rosterItems()...), nil
}

// rosterSet adds a contact, changes one, or removes him (§2.3 to §2.5).
func (v *Server) rosterSet(ctx context.Context, q *Query) (*xml.Element, error) {
	a := q.Account
	who, it, remove, err := readItem(q.Payload)
	switch {
	case err != nil:
		return nil, err
	case who == a.jid:
		return nil, stanza.Bad(stanza.NotAllowed, "You cannot be your own contact.")
	case remove && v.managed(who):
		return nil, stanza.Bad(stanza.NotAllowed, "This server keeps the contact list itself: everybody here is on it.")
	case !remove:
		return nil, v.Within(ctx, a, func(j store.Journey) error {
			a.mu.Lock()
			defer a.mu.Unlock()
			old := a.item(who)
			it.subscription, it.Request = old.subscription, old.Request
			it.Groups = slices.DeleteFunc(it.Groups, func(g string) bool { return g == Group && v.everyone != nil && v.managed(who) })
			return a.change(j, who, it)
		})
	}
	contact, err := v.contactAt(ctx, who)
	if err != nil {
		return nil, err
	}
	err = v.Within(ctx, a, func(j store.Journey) error { return v.removeContact(j, a, contact, who) })
	if contact != nil {
		contact.drain(ctx)
	}
	return nil, err
}

// readItem reads the one item of a roster set (§2.1.5, §2.3.3).
func readItem(query *xml.Element) (who jid.JID, it item, remove bool, err error) {
	bad := func(text string) (jid.JID, item, bool, error) {
		return jid.JID{}, item{}, false, stanza.Bad(stanza.BadRequest, text)
	}
	el := query.First()
	if el == nil || query.Len() != 1 || el.Name != (xml.Name{Space: stanza.NSRoster, Local: "item"}) {
		return bad("A change of the roster has exactly one item.")
	}
	address := el.Attr("jid")
	if address == "" {
		return bad("The item has no address.")
	}
	if who, err = jid.Parse(address); err != nil {
		return jid.JID{}, item{}, false, stanza.Bad(stanza.JIDMalformed, "The item's address is not a valid one.")
	}
	it = item{Listed: true, Name: el.Attr("name")}
	if len(it.Name) > maxItemName {
		return jid.JID{}, item{}, false, stanza.Bad(stanza.NotAcceptable, fmt.Sprintf("A name has at most %d bytes.", maxItemName))
	}
	for c := range el.Children() {
		if c.Name != (xml.Name{Space: stanza.NSRoster, Local: "group"}) {
			continue
		}
		group := c.Text()
		switch {
		case group == "" || len(group) > maxItemName:
			return jid.JID{}, item{}, false, stanza.Bad(stanza.NotAcceptable, fmt.Sprintf("A group's name has 1 to %d bytes.", maxItemName))
		case slices.Contains(it.Groups, group):
			return bad("The item names a group twice.")
		}
		it.Groups = append(it.Groups, group)
	}
	if len(it.Groups) > maxItemGroups {
		return jid.JID{}, item{}, false, stanza.Bad(stanza.ResourceConstraint, fmt.Sprintf("A contact is in at most %d groups.", maxItemGroups))
	}
	return who.Bare(), it, el.Attr("subscription") == "remove", nil
}
