package client

import (
	"time"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
)

// Event is something that happened: Message, Bounce, Presence or *End.
type Event interface{ event() }

// Message is a text that somebody wrote.
type Message struct {
	From      jid.JID
	ID        string
	Body      string
	Broadcast bool      // to everyone online, sent by the server for From
	Delayed   time.Time // when it was written, if the server kept it meanwhile; otherwise zero
}

// Bounce tells that a message of ours was not delivered.
type Bounce struct {
	To  jid.JID // as it was addressed
	ID  string  // as Session.Message returned it
	Err *stanza.Error
}

// Presence tells that a contact came or went: the first of its resources or the last.
type Presence struct {
	JID    jid.JID // bare
	Online bool
	// News: it happened now. Otherwise it is how things stood when Start announced us.
	News bool
}

func (Message) event()  {}
func (Bounce) event()   {}
func (Presence) event() {}
func (*End) event()     {}
