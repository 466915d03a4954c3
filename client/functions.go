package client

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
	"parley/xmpp/xml"
)

const (
	nsCommands = "http://jabber.org/protocol/commands"

	nodeBroadcast    = stanza.NSParley + "#broadcast"
	nodeWhoElse      = stanza.NSParley + "#whoelse"
	nodeWhoElseSince = stanza.NSParley + "#whoelsesince"
)

// Message sends a text to somebody under an id of NewID, or of a session before. Accepted tells when the server has it, a
// Bounce that it was refused, Delivered that it reached a client of the recipient. After an error it will never arrive and
// can be sent again in another session; otherwise a session that goes on with this one (Config.Before) sends it again if
// need be, under the same origin-id (XEP-0359), by which the server knows it.
func (s *Session) Message(to jid.JID, id, body string) error {
	st := stanza.New(stanza.Message, stanza.Chat, jid.JID{}, to, stanza.Body(body))
	st.ID = id
	return s.send(st.With(originID(id), xml.New(stanza.NSReceipt, "request")))
}

func originID(id string) *xml.Element { return xml.New(stanza.NSID, "origin-id", xml.A("id", id)) }

// Outcome is what an ad-hoc command brought (XEP-0050).
type Outcome struct {
	Note    string // for people
	Warning bool   // the note is of type warn
	Form    *form.Form
}

// Command runs an ad-hoc command of the server in one step; fields may be nil.
func (s *Session) Command(ctx context.Context, node string, fields map[string]string) (Outcome, error) {
	cmd := xml.New(nsCommands, "command", xml.A("node", node), xml.A("action", "execute"))
	if fields != nil {
		f := form.New(form.Submit, stanza.NSParley, "")
		for name, value := range fields {
			f.Fields = append(f.Fields, form.Field{Var: name, Values: strings.Split(value, "\n")})
		}
		cmd = cmd.With(f.Element())
	}
	st, err := s.IQ(ctx, stanza.Set, s.server, cmd)
	if err != nil {
		return Outcome{}, err
	}
	done := st.Child(nsCommands, "command")
	if done == nil || done.Attr("status") != "completed" {
		return Outcome{}, fmt.Errorf("client: command %s: the server wants more steps", node)
	}
	var o Outcome
	if note := done.Child(nsCommands, "note"); note != nil {
		o.Note, o.Warning = note.Text(), note.Attr("type") == "warn"
	}
	if x := done.Child(stanza.NSForms, "x"); x != nil {
		if o.Form, err = form.Parse(x); err != nil {
			return o, fmt.Errorf("client: command %s: %w", node, err)
		}
	}
	return o, nil
}

// Broadcast sends a text to everyone online. The outcome's note says how many were reached, and whether some were not.
func (s *Session) Broadcast(ctx context.Context, body string) (Outcome, error) {
	return s.Command(ctx, nodeBroadcast, map[string]string{"body": body})
}

// Person is one line of whoelse or whoelsesince.
type Person struct {
	JID   jid.JID
	State string // online, away, offline
	Last  string // now, or a time (XEP-0082); as the server says it
	Since string // when they came, a time; "" for who is not here, and from servers that do not say it
}

// WhoElse is who else is online.
func (s *Session) WhoElse(ctx context.Context) ([]Person, error) {
	o, err := s.Command(ctx, nodeWhoElse, nil)
	return people(o), err
}

// WhoElseSince is who else was online at any moment of the last while: seconds, or a number with s, m, h or d.
func (s *Session) WhoElseSince(ctx context.Context, while string) ([]Person, error) {
	o, err := s.Command(ctx, nodeWhoElseSince, map[string]string{"since": while})
	return people(o), err
}

func people(o Outcome) []Person {
	if o.Form == nil {
		return nil
	}
	var list []Person
	for _, item := range o.Form.Items {
		var p Person
		for _, f := range item {
			if len(f.Values) == 0 {
				continue
			}
			switch f.Var {
			case "jid":
				p.JID, _ = jid.Parse(f.Values[0])
			case "state":
				p.State = f.Values[0]
			case "last":
				p.Last = f.Values[0]
			case "since":
				p.Since = f.Values[0]
			}
		}
		if !p.JID.IsZero() {
			list = append(list, p)
		}
	}
	return list
}

// IdleLimit is after how much time without anything done the server ends a session, 0 = never.
func (s *Session) IdleLimit(ctx context.Context) (time.Duration, error) {
	st, err := s.IQ(ctx, stanza.Get, s.server, xml.New(nsInfo, "query"))
	if err != nil {
		return 0, err
	}
	q := st.Child(nsInfo, "query")
	if q == nil {
		return 0, nil
	}
	for x := range q.Children() {
		if x.Name.Space != stanza.NSForms {
			continue
		}
		f, err := form.Parse(x)
		if err != nil || f.Value(form.TypeVar) != stanza.NSParley {
			continue
		}
		n, err := strconv.ParseUint(f.Value("timeout"), 10, 31)
		if err != nil {
			return 0, nil
		}
		return time.Duration(n) * time.Second, nil
	}
	return 0, nil
}

// Block asks for nothing more to come from somebody (XEP-0191). It is no error when that is so already.
func (s *Session) Block(ctx context.Context, who jid.JID) error {
	return s.changeBlocks(ctx, "block", who)
}

// Unblock takes a block back.
func (s *Session) Unblock(ctx context.Context, who jid.JID) error {
	return s.changeBlocks(ctx, "unblock", who)
}

func (s *Session) changeBlocks(ctx context.Context, what string, who jid.JID) error {
	change := xml.New(stanza.NSBlocking, what).With(xml.New(stanza.NSBlocking, "item", xml.A("jid", who.String())))
	if _, err := s.IQ(ctx, stanza.Set, jid.JID{}, change); err != nil {
		return err
	}
	s.blocksChanged(change) // the push may come later
	return nil
}

// BlockList is whom the account has blocked.
func (s *Session) BlockList(ctx context.Context) ([]jid.JID, error) {
	st, err := s.IQ(ctx, stanza.Get, jid.JID{}, xml.New(stanza.NSBlocking, "blocklist"))
	if err != nil {
		return nil, err
	}
	s.gotBlocks(st)
	var list []jid.JID
	if el := st.Child(stanza.NSBlocking, "blocklist"); el != nil {
		list = items(el)
	}
	return list, nil
}

func (s *Session) gotBlocks(st *stanza.Stanza) {
	if st == nil {
		return
	}
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	s.mem.people.blocked = map[jid.JID]bool{}
	if el := st.Child(stanza.NSBlocking, "blocklist"); el != nil {
		for _, j := range items(el) {
			s.mem.people.blocked[j] = true
		}
	}
}

// blocksChanged takes a push, or our own change once it was accepted.
func (s *Session) blocksChanged(change *xml.Element) {
	list := items(change)
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	switch {
	case change.Name.Local == "block":
		for _, j := range list {
			s.mem.people.blocked[j] = true
		}
	case change.Name.Local == "unblock" && len(list) == 0 && change.Len() == 0:
		s.mem.people.blocked = map[jid.JID]bool{}
	case change.Name.Local == "unblock":
		for _, j := range list {
			delete(s.mem.people.blocked, j)
		}
	}
}

func items(el *xml.Element) []jid.JID {
	var list []jid.JID
	for item := range el.Children() {
		if j, err := jid.Parse(item.Attr("jid")); err == nil && item.Name.Local == "item" {
			list = append(list, j)
		}
	}
	return list
}
