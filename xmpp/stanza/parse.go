package stanza

import (
	"parley/xmpp/jid"
	"parley/xmpp/xml"
)

const nsXML = "http://www.w3.org/XML/1998/namespace"

// Parse reads a first-level element of a stream as a stanza. The error is always an *Error fit to be sent back with
// [Stanza.Fail]: jid-malformed for an address that is none (RFC 6120 §8.3.3.8), bad-request for an iq without id or
// with a type or payload that RFC 6120 §8.2.3 forbids. The stanza is returned beside the error, as far as it was
// understood, so that the answer has its kind, id and sender. Attributes other than the five of RFC 6120 §8.1 carry
// no meaning in XMPP and are left behind.
func Parse(el *xml.Element) (*Stanza, error) {
	s := &Stanza{Content: el.Content}
	switch el.Name.Local {
	case "message":
		s.Kind = Message
	case "presence":
		s.Kind = Presence
	case "iq":
		s.Kind = IQ
	default:
		return nil, ErrNotAStanza
	}
	if el.Name.Space != NSClient {
		return nil, ErrNotAStanza
	}
	var from, to string
	for i := range el.Attrs {
		a := &el.Attrs[i]
		switch {
		case a.Name.Space == nsXML && a.Name.Local == "lang":
			s.Lang = a.Value
		case a.Name.Space != "":
		case a.Name.Local == "from":
			from = a.Value
		case a.Name.Local == "to":
			to = a.Value
		case a.Name.Local == "id":
			s.ID = a.Value
		case a.Name.Local == "type":
			s.Type = a.Value
		}
	}
	var err error
	if from != "" {
		if s.From, err = jid.Parse(from); err != nil {
			return s, Bad(JIDMalformed, "The address in 'from' is not a valid one.")
		}
	}
	if to != "" {
		if s.To, err = jid.Parse(to); err != nil {
			return s, Bad(JIDMalformed, "The address in 'to' is not a valid one.")
		}
	}
	return s, s.check()
}

// check holds the stanza against the rules on types (RFC 6120 §8.2.3; RFC 6121 §4.7.1, §5.2.2).
func (s *Stanza) check() error {
	switch s.Kind {
	case Message:
		switch s.Type {
		case "", Normal, Chat, Headline, Groupchat, ErrorType:
		default: // RFC 6121 §5.2.2: an unknown type is normal
			s.Type = ""
		}
	case Presence:
		switch s.Type {
		case "", Unavailable, Probe, Subscribe, Subscribed, Unsubscribe, Unsubscribed, ErrorType:
		default:
			return Bad(BadRequest, "That type of presence does not exist.")
		}
	case IQ:
		if s.ID == "" {
			return Bad(BadRequest, "An iq needs an id.")
		}
		switch s.Type {
		case Get, Set:
			if s.Len() != 1 {
				return Bad(BadRequest, "An iq of type get or set has exactly one payload.")
			}
		case Result:
			if s.Len() > 1 {
				return Bad(BadRequest, "An iq of type result has at most one payload.")
			}
		case ErrorType:
		default:
			return Bad(BadRequest, "The type of an iq is get, set, result or error.")
		}
	}
	return nil
}

// Must parses s, a stanza as on the wire, and panics when it is none. It is for tests and constants.
func Must(s string) *Stanza {
	el, err := xml.Parse(s, NSClient, xml.Limits{})
	if err != nil {
		panic(err)
	}
	st, err := Parse(el)
	if err != nil {
		panic(err)
	}
	return st
}
