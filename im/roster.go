package im

import (
	"context"

	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// Group is the roster group that holds all accounts of the server.
const Group = "Everyone"

// rosterExtension answers for the roster that the server manages: every account is everybody's contact, and so is the
// server itself.
func (v *Server) rosterExtension() Extension {
	return Extension{
		Name:  "roster",
		Specs: []string{"RFC 6121 §2"},
		Answers: []Answer{{
			At: AtSelf, Name: xml.Name{Space: stanza.NSRoster, Local: "query"},
			Get: v.rosterGet, Set: v.rosterSet,
		}},
	}
}

func (v *Server) rosterGet(_ context.Context, q *Query) (*xml.Element, error) {
	q.Session.WantRoster()
	items := []*xml.Element{v.rosterItem(v.domain.String(), ContactName, "both")}
	for _, name := range v.everyone() {
		if name == q.Account.jid.Local() {
			continue
		}
		items = append(items, v.rosterItem(name+"@"+v.domain.String(), name, "both"))
	}
	return xml.New(stanza.NSRoster, "query").With(items...), nil
}

// rosterSet refuses: who is in this roster is the server's to say.
func (v *Server) rosterSet(context.Context, *Query) (*xml.Element, error) {
	return nil, stanza.Bad(stanza.NotAllowed, "This server keeps the contact list itself: everybody here is on it.")
}

func (v *Server) rosterItem(address, name, subscription string) *xml.Element {
	item := xml.New(stanza.NSRoster, "item", xml.A("jid", address), xml.A("subscription", subscription))
	if subscription == "remove" {
		return item
	}
	return item.WithAttr("name", name).With(xml.New(stanza.NSRoster, "group").WithText(Group))
}

// RosterChanged tells everybody that an account was added, or removed.
func (v *Server) RosterChanged(ctx context.Context, localpart string, added bool) {
	subscription := "both"
	if !added {
		subscription = "remove"
	}
	query := xml.New(stanza.NSRoster, "query").With(v.rosterItem(localpart+"@"+v.domain.String(), localpart, subscription))
	v.table.each(func(a *Account) {
		if a.jid.Local() == localpart || len(a.Sessions()) == 0 {
			return
		}
		a.mu.Lock()
		a.pushTo(query, 0, func(s *Session) bool { return s.interested.Load() })
		a.mu.Unlock()
		a.drain(ctx)
	})
}
