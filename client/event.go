package client

import (
	"time"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
)

// Event is something that happened: Message, Accepted, Delivered, Bounce, CaughtUp, Presence or *End.
type Event interface{ event() }

// Message is a text that somebody wrote.
type Message struct {
	From      jid.JID
	ID        string
	Body      string
	Broadcast bool      // to everyone online, sent by the server for From
	Delayed   time.Time // when it was written, if the server kept it meanwhile; otherwise zero
}

// Accepted tells that the server has a message of ours on its disk, or has refused it with a Bounce before.
type Accepted struct {
	ID string // as it was given to Session.Message
}

// Delivered tells that a client of the recipient has a message of ours (XEP-0184), or that a person has read it (XEP-0333).
// Everybody can claim it; it counts from the one to whom the message went.
type Delivered struct {
	ID   string
	By   jid.JID
	Read bool
	At   time.Time // when that was told, if the server kept it meanwhile; otherwise zero
}

// CaughtUp tells that the archive has been read up to now, if there was anything in it.
type CaughtUp struct {
	Messages int  // out of the archive that were new
	More     bool // there was too much: messages in between remain in the archive
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

func (Message) event()   {}
func (Accepted) event()  {}
func (Delivered) event() {}
func (CaughtUp) event()  {}
func (Bounce) event()    {}
func (Presence) event()  {}
func (*End) event()      {}
