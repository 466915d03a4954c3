package client

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// Contact is somebody in the roster (RFC 6121 §2.1.2).
type Contact struct {
	JID          jid.JID
	Name         string
	Subscription string // none, to, from, both
	Groups       []string
	Online       bool
	Blocked      bool
}

// contacts is what a session knows about others. Guarded by the memory's mu.
type contacts struct {
	roster  map[jid.JID]Contact
	online  map[jid.JID]map[string]bool // bare address → resources
	blocked map[jid.JID]bool
	settled bool // what comes now is news
}

func newContacts() contacts {
	return contacts{roster: map[jid.JID]Contact{}, online: map[jid.JID]map[string]bool{}, blocked: map[jid.JID]bool{}}
}

// Start fetches roster and block list, begins to catch up from the archive and announces us as available. It returns when the server has answered the rest; Presence events before that moment are no news. A session that
// was resumed has all of it, and goes on catching up where it stood.
func (s *Session) Start(ctx context.Context) error {
	s.mem.mu.Lock()
	settled := s.mem.people.settled
	s.mem.mu.Unlock()
	if settled {
		return s.catchUp()
	}
	roster := stanza.New(stanza.IQ, stanza.Get, jid.JID{}, jid.JID{}, xml.New(stanza.NSRoster, "query"))
	blocks := stanza.New(stanza.IQ, stanza.Get, jid.JID{}, jid.JID{}, xml.New(stanza.NSBlocking, "blocklist"))
	ping := stanza.New(stanza.IQ, stanza.Get, jid.JID{}, s.server, xml.New(nsPing, "ping"))
	done := make(chan error, 1)
	for _, q := range []struct {
		req    *stanza.Stanza
		answer func(*stanza.Stanza, error)
	}{
		{roster, func(st *stanza.Stanza, err error) { s.gotRoster(st) }},
		{blocks, func(st *stanza.Stanza, err error) { s.gotBlocks(st) }},
		{ping, func(st *stanza.Stanza, err error) {
			var end *End
			s.mem.mu.Lock()
			s.mem.people.settled = !errors.As(err, &end)
			s.mem.mu.Unlock()
			done <- nil
		}},
	} {
		q.req.ID = s.NewID()
		if err := s.expect(q.req, q.answer); err != nil {
			return err
		}
	}
	// Who asks his archive before he is available is not sent what it has; who has nothing to ask for is. What comes out of it
	// comes when we know our contacts.
	if err := s.send(roster, blocks); err != nil {
		return err
	}
	behind := s.hold()
	if err := s.catchUp(); err != nil {
		return err
	}
	all := []*stanza.Stanza{{Kind: stanza.Presence}, ping}
	if !behind {
		mark, err := s.mark()
		if err != nil {
			return err
		}
		all = append(all, mark)
	}
	if err := s.send(all...); err != nil {
		return err
	}
	select {
	case <-done:
	case <-ctx.Done():
		return fmt.Errorf("client: start: %w", ctx.Err())
	}
	if end := s.End(); end != nil {
		return end
	}
	return nil
}

// Contacts is the roster, sorted by address, without the server's own entry in it.
func (s *Session) Contacts() []Contact {
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	list := make([]Contact, 0, len(s.mem.people.roster))
	for j, c := range s.mem.people.roster {
		if j == s.server {
			continue
		}
		c.Online, c.Blocked = len(s.mem.people.online[j]) > 0, s.mem.people.blocked[j]
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Contact) int { return a.JID.Compare(b.JID) })
	return list
}

// everyone is the roster group in which a Parley server puts all its accounts, and itself.
const everyone = "Everyone"

// Complete tells whether the roster holds every account of the server: who is not in it does not exist.
func (s *Session) Complete() bool {
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	return slices.Contains(s.mem.people.roster[s.server].Groups, everyone)
}

// Roster fetches the roster without announcing us.
func (s *Session) Roster(ctx context.Context) ([]Contact, error) {
	st, err := s.IQ(ctx, stanza.Get, jid.JID{}, xml.New(stanza.NSRoster, "query"))
	if err != nil {
		return nil, err
	}
	s.gotRoster(st)
	return s.Contacts(), nil
}

func (s *Session) gotRoster(st *stanza.Stanza) {
	if st == nil {
		return
	}
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	s.mem.people.roster = map[jid.JID]Contact{}
	if q := st.Child(stanza.NSRoster, "query"); q != nil {
		s.mem.people.addItems(q)
	}
}

func (s *Session) rosterChanged(query *xml.Element) {
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	s.mem.people.addItems(query)
}

func (p *contacts) addItems(query *xml.Element) {
	for item := range query.Children() {
		j, err := jid.Parse(item.Attr("jid"))
		if err != nil || item.Name != (xml.Name{Space: stanza.NSRoster, Local: "item"}) {
			continue
		}
		c := Contact{JID: j, Name: item.Attr("name"), Subscription: item.Attr("subscription")}
		if c.Subscription == "remove" {
			delete(p.roster, j)
			continue
		}
		for g := range item.Children() {
			if g.Name.Local == "group" {
				c.Groups = append(c.Groups, g.Text())
			}
		}
		p.roster[j] = c
	}
}

// presence follows who is there. Our own other resources and the server are no contacts.
func (s *Session) presence(st *stanza.Stanza) {
	bare := st.From.Bare()
	here := st.Type == ""
	if bare.Local() == "" || bare == s.jid.Bare() || !here && st.Type != stanza.Unavailable && st.Type != stanza.ErrorType {
		return
	}
	s.mem.mu.Lock()
	p := &s.mem.people
	was := len(p.online[bare]) > 0
	switch {
	case here && p.online[bare] == nil:
		p.online[bare] = map[string]bool{st.From.Resource(): true}
	case here:
		p.online[bare][st.From.Resource()] = true
	case st.From.IsBare(): // for all resources at once
		delete(p.online, bare)
	default:
		if delete(p.online[bare], st.From.Resource()); len(p.online[bare]) == 0 {
			delete(p.online, bare)
		}
	}
	now, news := len(p.online[bare]) > 0, p.settled
	s.mem.mu.Unlock()
	if was != now {
		s.handle(Presence{JID: bare, Online: now, News: news})
	}
}
