package client

import (
	"context"
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

// contacts is what a session knows about others. Guarded by the session's mu.
type contacts struct {
	roster  map[jid.JID]Contact
	online  map[jid.JID]map[string]bool // bare address → resources
	blocked map[jid.JID]bool
	settled bool // what comes now is news
}

func newContacts() contacts {
	return contacts{roster: map[jid.JID]Contact{}, online: map[jid.JID]map[string]bool{}, blocked: map[jid.JID]bool{}}
}

// Start fetches roster and block list and announces us as available, all in one piece. It returns when the server has
// answered everything; Presence events before that moment are no news.
func (s *Session) Start(ctx context.Context) error {
	roster := stanza.New(stanza.IQ, stanza.Get, jid.JID{}, jid.JID{}, xml.New(stanza.NSRoster, "query"))
	blocks := stanza.New(stanza.IQ, stanza.Get, jid.JID{}, jid.JID{}, xml.New(stanza.NSBlocking, "blocklist"))
	ping := stanza.New(stanza.IQ, stanza.Get, jid.JID{}, s.server, xml.New(nsPing, "ping"))
	settled := make(chan error, 1)
	for _, q := range []struct {
		req    *stanza.Stanza
		answer func(*stanza.Stanza, error)
	}{
		{roster, func(st *stanza.Stanza, err error) { s.gotRoster(st) }},
		{blocks, func(st *stanza.Stanza, err error) { s.gotBlocks(st) }},
		{ping, func(st *stanza.Stanza, err error) {
			s.mu.Lock()
			s.people.settled = true
			s.mu.Unlock()
			settled <- nil
		}},
	} {
		q.req.ID = s.NewID()
		if err := s.expect(q.req, q.answer); err != nil {
			return err
		}
	}
	if err := s.send(roster, blocks, &stanza.Stanza{Kind: stanza.Presence}, ping); err != nil {
		return err
	}
	select {
	case <-settled:
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
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Contact, 0, len(s.people.roster))
	for j, c := range s.people.roster {
		if j == s.server {
			continue
		}
		c.Online, c.Blocked = len(s.people.online[j]) > 0, s.people.blocked[j]
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Contact) int { return a.JID.Compare(b.JID) })
	return list
}

// everyone is the roster group in which a Parley server puts all its accounts, and itself.
const everyone = "Everyone"

// Complete tells whether the roster holds every account of the server: who is not in it does not exist.
func (s *Session) Complete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.people.roster[s.server].Groups, everyone)
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
	s.mu.Lock()
	defer s.mu.Unlock()
	s.people.roster = map[jid.JID]Contact{}
	if q := st.Child(stanza.NSRoster, "query"); q != nil {
		s.people.addItems(q)
	}
}

func (s *Session) rosterChanged(query *xml.Element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.people.addItems(query)
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
	s.mu.Lock()
	p := &s.people
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
	s.mu.Unlock()
	if was != now {
		s.handle(Presence{JID: bare, Online: now, News: news})
	}
}

// message takes a text. A delay is believed from our server and our account only: it says when, and others could lie.
func (s *Session) message(st *stanza.Stanza) {
	body := st.Child(stanza.NSClient, "body")
	if body == nil {
		return
	}
	m := Message{From: st.From, ID: st.ID, Body: body.Text()}
	if m.From.IsZero() {
		m.From = s.jid.Bare()
	}
	// What a user sends has a resource in its sender's address; only the server can speak from a bare one.
	m.Broadcast = st.Type == stanza.Headline && m.From.IsBare() && m.From.Local() != "" && m.From.Server() == s.server
	for c := range st.Children() {
		if c.Name.Space != stanza.NSDelay || c.Name.Local != "delay" {
			continue
		}
		if from, err := jid.Parse(c.Attr("from")); err == nil && (from == s.server || from == s.jid.Bare()) {
			if t, err := stanza.ParseDateTime(c.Attr("stamp")); err == nil {
				m.Delayed = t
			}
		}
	}
	s.handle(m)
}
