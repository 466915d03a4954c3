// Package carbons copies what one session of an account sends or gets to the others that have asked for it (XEP-0280), by
// the rules of its §6.1.
//
//	set <enable/>, <disable/>     the session asks for copies, or no longer
//	Sending    who gets <sent><forwarded> message </forwarded></sent>
//	Arriving   who gets <received>…</received>, because the message itself goes elsewhere
//	CatchUp    <sent/> for a session that could not take it when it was sent
//
// A copy is made where the message is delivered, after all steps, and so has its stanza-id. It waits for the same batch.
// It is for one session, is not kept, and is not copied again. The steps come before those of the archive, because what
// only the server may say (the wrappers), or says to the server (<private/>), must go before anybody keeps the message.
//
// A session loses no copy. One that is catching up gets the messages that it missed as they are, from its account's Log,
// with those that its account sent as <sent/>; one whose outbox is full begins to. What is not kept (typing, hints) it
// misses like any other of that kind: it is closed, and starts anew.
package carbons

import (
	"context"
	"hash/maphash"
	"slices"
	"time"

	"parley/im"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/forward"
	"parley/xmpp/xml"
)

// NS is the namespace of XEP-0280.
const NS = "urn:xmpp:carbons:2"

// carbons is the extension at work.
type carbons struct {
	asked im.Slot[known] // nothing for a session that has not; guarded by its account's turn
}

// New is the extension.
func New(hall *im.Server) im.Extension {
	c := &carbons{asked: im.NewSlot[known](hall)}
	return im.Extension{
		Name:     "carbons",
		Specs:    []string{"XEP-0280 1.0.1", "XEP-0297 1.0"},
		Features: []string{NS, "urn:xmpp:carbons:rules:0"},
		Answers: []im.Answer{
			{At: im.AtSelf, Name: xml.Name{Space: NS, Local: "enable"}, Set: c.enable},
			{At: im.AtSelf, Name: xml.Name{Space: NS, Local: "disable"}, Set: c.disable},
		},
		Sending:  c.sending,
		Arriving: c.arriving,
		CatchUp:  c.catchUp,
		Save: func(s *im.Session) string {
			if c.asked.Get(s) == nil {
				return ""
			}
			return "on"
		},
		Restore: func(s *im.Session, _ string) { c.asked.Set(s, &known{seed: maphash.MakeSeed()}) },
	}
}

// enable changes nothing for a session that has asked before (XEP-0280 §10.1).
func (c *carbons) enable(_ context.Context, q *im.Query) (*xml.Element, error) {
	if c.asked.Get(q.Session) == nil {
		c.asked.Set(q.Session, &known{seed: maphash.MakeSeed()})
	}
	return nil, nil
}

func (c *carbons) disable(_ context.Context, q *im.Query) (*xml.Element, error) {
	c.asked.Set(q.Session, nil)
	return nil, nil
}

// sending has the other sessions get a copy of what one sends (XEP-0280 §8). What it sends to its own account arrives
// there, and is dealt with then.
func (c *carbons) sending(_ context.Context, d *im.Delivery) error {
	st := d.Stanza
	if st.Kind != stanza.Message || len(d.Account.Sessions()) < 2 || st.To.Bare() == d.Account.JID() {
		return nil
	}
	d.Copies, d.Wrap = c.others(d, st.To), sent
	return nil
}

// arriving has the sessions to which a message does not go get a copy (XEP-0280 §7), and takes out of it what only the
// server may say, and what was said to the server.
func (c *carbons) arriving(_ context.Context, d *im.Delivery) error {
	st := d.Stanza
	if st.Kind != stanza.Message {
		return nil
	}
	if len(d.Account.Sessions()) > 1 || len(d.Targets) == 0 {
		d.Copies, d.Wrap = c.others(d, st.From), received
	}
	for i := range st.Len() {
		if st.NameOf(i).Space == NS {
			d.Stanza = st.Without(func(el *xml.Element) bool { return el.Name.Space == NS })
			return nil
		}
	}
	return nil
}

// others are the sessions that have asked for copies, without those that have the message itself. A message with peer
// that can be copied is noted for all of them, so that an error in answer to it can be copied to those who know what it
// is about (XEP-0280 §6.1).
func (c *carbons) others(d *im.Delivery, peer jid.JID) []*im.Session {
	st := d.Stanza
	var list []*im.Session
	fits, looked := false, false
	for _, s := range d.Account.Sessions() {
		k := c.asked.Get(s)
		if k == nil {
			continue
		}
		if !looked { // nobody has asked, most often
			fits, looked = eligible(st, d.Session != nil), true
		}
		switch {
		case st.Type == stanza.ErrorType:
			if !private(st) && k.has(peer, st.ID) && !itself(d, s) {
				list = append(list, s)
			}
		case fits:
			k.add(peer, st.ID)
			if !itself(d, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// itself tells whether a session has the message itself, because it sends it or gets it.
func itself(d *im.Delivery, s *im.Session) bool {
	return s.JID() == d.Stanza.From || slices.Contains(d.Targets, s)
}

// catchUp makes the copy of a message that was sent while the session could not take it.
func (c *carbons) catchUp(s *im.Session, st *stanza.Stanza) *stanza.Stanza {
	if c.asked.Get(s) == nil || st.From == s.JID() || !eligible(st, true) {
		return nil
	}
	return sent(st)
}

func received(st *stanza.Stanza) *stanza.Stanza { return wrapped("received", st, st.To.Bare()) }

func sent(st *stanza.Stanza) *stanza.Stanza { return wrapped("sent", st, st.From.Bare()) }

// wrapped is the copy of a message for an account (XEP-0280 §7, §8).
func wrapped(name string, st *stanza.Stanza, own jid.JID) *stanza.Stanza {
	return stanza.New(stanza.Message, st.Type, own, jid.JID{}, xml.New(NS, name).With(forward.New(forward.Element(st), time.Time{})))
}
