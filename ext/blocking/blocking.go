// Package blocking is the protocol of the block list (XEP-0191). The list itself, and what it does to messages,
// presence and iq, is state of im.Account.
//
//	get <blocklist/>                  →  <blocklist> <item jid=/>… </blocklist>
//	set <block> <item jid=/>… </block>    everybody named is blocked; a push to the account's other clients
//	set <unblock> <item/>… </unblock>     … is not any more; without items nobody is
//
// What the protocol asks for twice is no error: whoever is blocked can be blocked again.
package blocking

import (
	"context"

	"parley/im"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// New is the extension.
func New() im.Extension {
	change := func(on bool) im.Reply {
		return func(_ context.Context, q *im.Query) (*xml.Element, error) { return nil, set(q, on) }
	}
	return im.Extension{
		Name:     "blocking",
		Specs:    []string{"XEP-0191 1.3"},
		Features: []string{stanza.NSBlocking},
		Answers: []im.Answer{
			{At: im.AtSelf, Name: xml.Name{Space: stanza.NSBlocking, Local: "blocklist"}, Get: list, InTurn: true},
			{At: im.AtSelf, Name: xml.Name{Space: stanza.NSBlocking, Local: "block"}, Set: change(true)},
			{At: im.AtSelf, Name: xml.Name{Space: stanza.NSBlocking, Local: "unblock"}, Set: change(false)},
		},
	}
}

// list answers with the block list; whoever asks gets its changes from now on (XEP-0191 §3.2).
func list(_ context.Context, q *im.Query) (*xml.Element, error) {
	q.Session.WantBlockList() // before it is read: a change in between is pushed, and told twice at worst
	return im.BlockItems("blocklist", q.Account.Blocked()), nil
}

// set changes the list (XEP-0191 §3.3 to §3.5).
func set(q *im.Query, on bool) error {
	who, err := named(q.Payload)
	if err != nil {
		return err
	}
	if on && len(who) == 0 {
		return stanza.Bad(stanza.BadRequest, "Nobody was named to be blocked.")
	}
	return q.Account.SetBlocked(q.Journey, on, who)
}

// named reads the items. Reports inside them (XEP-0377) are not looked at.
func named(el *xml.Element) ([]jid.JID, error) {
	var out []jid.JID
	seen := map[jid.JID]bool{}
	for c := range el.Children() {
		if c.Name != (xml.Name{Space: stanza.NSBlocking, Local: "item"}) {
			continue
		}
		address := c.Attr("jid")
		if address == "" {
			return nil, stanza.Bad(stanza.BadRequest, "An item has no address.")
		}
		j, err := jid.Parse(address)
		if err != nil {
			return nil, stanza.Bad(stanza.JIDMalformed, "An item's address is not a valid one.")
		}
		if !seen[j] {
			seen[j] = true
			out = append(out, j)
		}
	}
	if len(out) == 0 && el.Len() > 0 { // not "unblock everybody", which nobody should do by mistake
		return nil, stanza.Bad(stanza.BadRequest, "Only items may stand here.")
	}
	return out, nil
}
