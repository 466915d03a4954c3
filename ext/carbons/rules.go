package carbons

import (
	"hash/maphash"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
)

// Namespaces of what the rules look at.
const (
	nsMUC        = "http://jabber.org/protocol/muc#user" // XEP-0045
	nsConference = "jabber:x:conference"                 // XEP-0249
	nsMarkers    = "urn:xmpp:chat-markers:0"             // XEP-0333
	nsJingle     = "urn:xmpp:jingle-message:0"           // XEP-0353
)

// private tells whether a message is to stay where it goes (XEP-0280 §9, XEP-0334 §4.3).
func private(st *stanza.Stanza) bool {
	return st.Has(NS, "private") || st.Has(stanza.NSHints, "no-copy")
}

// eligible tells whether a message is one that is copied: the rules of XEP-0280 §6.1, apart from that on errors, with
// which out tells the messages that the account sends from those that it gets.
func eligible(st *stanza.Stanza, out bool) bool {
	switch st.Type {
	case stanza.Groupchat, stanza.Headline, stanza.ErrorType:
		return false
	}
	if private(st) {
		return false
	}
	if st.Has(nsConference, "x") {
		return true // an invitation
	}
	if x := st.Child(nsMUC, "x"); x != nil {
		switch {
		case x.Has(nsMUC, "invite"):
			return true
		case out && st.To.Resource() != "":
			return true // to an occupant of a room
		case !out && st.From.Resource() != "":
			return false // from an occupant: the room gives it to all clients that are in it
		}
	}
	if st.Type == stanza.Chat || st.Has(stanza.NSClient, "body") {
		return true
	}
	for i := range st.Len() {
		switch st.NameOf(i).Space {
		case stanza.NSReceipt, stanza.NSStates, nsMarkers, nsJingle:
			return true
		}
	}
	return false
}

// known are the last messages that a session has seen, whether sent or got: from or to whom, and their ids. They are kept
// as hashes, which take little memory whatever the ids are.
type known struct {
	sums [64]uint64
	next int
	seed maphash.Seed // fixed
}

func (k *known) sum(peer jid.JID, id string) uint64 {
	var h maphash.Hash
	h.SetSeed(k.seed)
	_, _ = h.WriteString(peer.Bare().String())
	_ = h.WriteByte(0)
	_, _ = h.WriteString(id)
	return h.Sum64()
}

// add notes a message; one without id cannot be answered so that anybody could tell.
func (k *known) add(peer jid.JID, id string) {
	if id == "" {
		return
	}
	k.sums[k.next] = k.sum(peer, id)
	k.next = (k.next + 1) % len(k.sums)
}

func (k *known) has(peer jid.JID, id string) bool {
	if id == "" {
		return false
	}
	want := k.sum(peer, id)
	for _, s := range k.sums {
		if s == want {
			return true
		}
	}
	return false
}
