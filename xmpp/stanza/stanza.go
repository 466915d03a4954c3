// Package stanza has the three stanzas of XMPP as immutable values: message, presence and iq (RFC 6120 §8).
//
// A Stanza keeps its head decoded and its content as the checked bytes that came from the wire. Rendering writes a
// new head and copies the content, so that a stanza that only travels is never taken apart:
//
//	<message from='…' to='…' id='…' type='…' xml:lang='…'> content as it came </message>
//	└──────────────── Stanza's fields ──────────────────┘ └── xml.Content ──┘
package stanza

import (
	"parley/xmpp/jid"
	"parley/xmpp/xml"
)

// Namespaces that the core of the protocol and several extensions share.
const (
	NSClient   = "jabber:client"
	NSStanzas  = "urn:ietf:params:xml:ns:xmpp-stanzas"
	NSDelay    = "urn:xmpp:delay"   // XEP-0203
	NSHints    = "urn:xmpp:hints"   // XEP-0334
	NSID       = "urn:xmpp:sid:0"   // XEP-0359
	NSParley   = "urn:parley:0"     // elements of our own
	NSForms    = "jabber:x:data"    // XEP-0004
	NSRoster   = "jabber:iq:roster" // RFC 6121 §2
	NSIdle     = "urn:xmpp:idle:1"  // XEP-0319
	NSStates   = "http://jabber.org/protocol/chatstates"
	NSReceipt  = "urn:xmpp:receipts"
	NSBlocking = "urn:xmpp:blocking" // XEP-0191
)

// Kind is one of the three kinds of stanza.
type Kind uint8

// The kinds of stanza.
const (
	Message Kind = iota + 1
	Presence
	IQ
)

// String is the element's name on the wire.
func (k Kind) String() string {
	switch k {
	case Message:
		return "message"
	case Presence:
		return "presence"
	case IQ:
		return "iq"
	}
	return "unknown"
}

// Values of the attribute type that the code decides by.
const (
	Normal      = "normal" // message; the same as no type at all
	Chat        = "chat"
	Headline    = "headline"
	Groupchat   = "groupchat"
	ErrorType   = "error" // of all kinds
	Get         = "get"   // iq
	Set         = "set"
	Result      = "result"
	Unavailable = "unavailable" // presence; no type means available
	Probe       = "probe"
	Subscribe   = "subscribe"
	Subscribed  = "subscribed"
	Unsubscribe = "unsubscribe"

	Unsubscribed = "unsubscribed"
)

// Stanza is one message, presence or iq. It is never edited once made: change is a copy.
type Stanza struct {
	Kind     Kind
	Type     string // as on the wire; "" stands for normal (message) and available (presence)
	ID       string
	Lang     string  // xml:lang, "" when absent
	From, To jid.JID // zero when absent
	xml.Content
}

// Append renders the stanza for a stream whose default namespace is jabber:client.
func (s *Stanza) Append(dst []byte) []byte { return s.AppendTo(dst, s.To) }

// AppendTo renders the stanza with another address in 'to': one stanza serves several recipients.
func (s *Stanza) AppendTo(dst []byte, to jid.JID) []byte {
	return s.appendTail(appendAttr(s.appendHead(dst), " to='", to.String()))
}

// Shared is a stanza as it is rendered for any number of recipients: they differ in 'to' alone.
type Shared struct{ head, tail []byte }

// Share renders the stanza but for its 'to'.
func (s *Stanza) Share() *Shared { return &Shared{s.appendHead(nil), s.appendTail(nil)} }

// AppendTo is that of the stanza.
func (s *Shared) AppendTo(dst []byte, to jid.JID) []byte {
	return append(appendAttr(append(dst, s.head...), " to='", to.String()), s.tail...)
}

// appendHead renders what stands before the 'to'.
func (s *Stanza) appendHead(dst []byte) []byte {
	dst = append(dst, '<')
	dst = append(dst, s.Kind.String()...)
	return appendAttr(dst, " from='", s.From.String())
}

// appendTail renders what stands behind the 'to'.
func (s *Stanza) appendTail(dst []byte) []byte {
	dst = appendAttr(dst, " id='", s.ID)
	dst = appendAttr(dst, " type='", s.Type)
	dst = appendAttr(dst, " xml:lang='", s.Lang)
	if s.Empty() {
		return append(dst, '/', '>')
	}
	dst = append(dst, '>')
	dst = s.AppendInside(dst, NSClient)
	dst = append(dst, '<', '/')
	dst = append(dst, s.Kind.String()...)
	return append(dst, '>')
}

func appendAttr(dst []byte, open, value string) []byte {
	if value == "" {
		return dst
	}
	dst = append(dst, open...)
	dst = xml.AppendEscaped(dst, value)
	return append(dst, '\'')
}

// String is the rendered stanza.
func (s *Stanza) String() string { return string(s.Append(nil)) }

// With is a copy with els appended to its content.
func (s *Stanza) With(els ...*xml.Element) *Stanza {
	c := *s
	c.Content = s.Content.With(els...)
	return &c
}

// Without is a copy that lacks the direct children for which drop answers true.
func (s *Stanza) Without(drop func(*xml.Element) bool) *Stanza {
	c := *s
	c.Content = s.Content.Without(drop)
	return &c
}

// Addressed is a copy with other addresses.
func (s *Stanza) Addressed(from, to jid.JID) *Stanza {
	c := *s
	c.From, c.To = from, to
	return &c
}

// Body is the text of the first body (RFC 6121 §5.2.3), "" when there is none.
func (s *Stanza) Body() string {
	if b := s.Child(NSClient, "body"); b != nil {
		return b.Text()
	}
	return ""
}

// IsRequest tells whether the stanza is an iq that must be answered (RFC 6120 §8.2.3).
func (s *Stanza) IsRequest() bool { return s.Kind == IQ && (s.Type == Get || s.Type == Set) }

// Result is the answer to an iq, with the addresses swapped; payload may be nil.
func (s *Stanza) Result(payload *xml.Element) *Stanza {
	r := &Stanza{Kind: IQ, Type: Result, ID: s.ID, From: s.To, To: s.From}
	if payload != nil {
		r.Content = xml.In(NSClient).With(payload)
	}
	return r
}

// New is a stanza with the given children.
func New(kind Kind, typ string, from, to jid.JID, children ...*xml.Element) *Stanza {
	s := &Stanza{Kind: kind, Type: typ, From: from, To: to}
	s.Content = xml.In(NSClient).With(children...)
	return s
}

// Body is a body element for New and With.
func Body(text string) *xml.Element { return xml.New(NSClient, "body").WithText(text) }
