package stanza

import (
	"errors"

	"parley/xmpp/xml"
)

// ErrNotAStanza is returned by [Parse] for an element that is neither message, presence nor iq in jabber:client: the
// stream answers with unsupported-stanza-type (RFC 6120 §4.9.3.24).
var ErrNotAStanza = errors.New("stanza: not a stanza")

// Condition is a defined condition of a stanza error (RFC 6120 §8.3.3).
type Condition string

// The conditions that Parley sends, and those that it tells apart when it reads them.
const (
	BadRequest            Condition = "bad-request"
	Conflict              Condition = "conflict"
	FeatureNotImplemented Condition = "feature-not-implemented"
	Forbidden             Condition = "forbidden"
	InternalServerError   Condition = "internal-server-error"
	ItemNotFound          Condition = "item-not-found"
	JIDMalformed          Condition = "jid-malformed"
	NotAcceptable         Condition = "not-acceptable"
	NotAllowed            Condition = "not-allowed"
	NotAuthorized         Condition = "not-authorized"
	PolicyViolation       Condition = "policy-violation"
	RegistrationRequired  Condition = "registration-required"
	RemoteServerNotFound  Condition = "remote-server-not-found"
	ResourceConstraint    Condition = "resource-constraint"
	ServiceUnavailable    Condition = "service-unavailable"
	UndefinedCondition    Condition = "undefined-condition"
	UnexpectedRequest     Condition = "unexpected-request"
)

// ErrorClass tells the sender what he can do about an error (RFC 6120 §8.3.2).
type ErrorClass string

// The classes of errors.
const (
	ClassAuth     ErrorClass = "auth"
	ClassCancel   ErrorClass = "cancel"
	ClassContinue ErrorClass = "continue"
	ClassModify   ErrorClass = "modify"
	ClassWait     ErrorClass = "wait"
)

// Error is a stanza error (RFC 6120 §8.3). Returned by a step or an answer, it becomes the error that the sender gets.
type Error struct {
	Class     ErrorClass
	Condition Condition
	Text      string       // for people, in English; may be empty
	App       *xml.Element // application-specific condition (RFC 6120 §8.3.4), or nil
}

// Error says the condition and the text.
func (e *Error) Error() string {
	if e.Text == "" {
		return string(e.Condition)
	}
	return string(e.Condition) + ": " + e.Text
}

// Bad is an error with the class that RFC 6120 §8.3.3 assigns to its condition.
func Bad(c Condition, text string) *Error { return &Error{Class: classOf(c), Condition: c, Text: text} }

func classOf(c Condition) ErrorClass {
	switch c {
	case BadRequest, JIDMalformed, NotAcceptable, PolicyViolation:
		return ClassModify
	case Forbidden, NotAuthorized, RegistrationRequired:
		return ClassAuth
	case ResourceConstraint, UnexpectedRequest:
		return ClassWait
	}
	return ClassCancel
}

// Element is the error as it stands inside a stanza.
func (e *Error) Element() *xml.Element {
	el := xml.New(NSClient, "error", xml.A("type", string(e.Class)))
	kids := []*xml.Element{xml.New(NSStanzas, string(e.Condition))}
	if e.Text != "" {
		text := xml.New(NSStanzas, "text")
		text.Attrs = append(text.Attrs, xml.Attr{Name: xml.Name{Space: nsXML, Local: "lang"}, Value: "en"})
		kids = append(kids, text.WithText(e.Text))
	}
	if e.App != nil {
		kids = append(kids, e.App)
	}
	return el.With(kids...)
}

// Fail is the error answer to s: same kind and id, addresses swapped. For an iq the payload is not repeated
// (RFC 6120 §8.3.1 leaves that open). A stanza of type error, a result, or a presence that is no request must never
// be answered so (RFC 6120 §8.3.1); [Stanza.MayFail] tells.
func (s *Stanza) Fail(e *Error) *Stanza {
	r := &Stanza{Kind: s.Kind, Type: ErrorType, ID: s.ID, From: s.To, To: s.From}
	r.Content = xml.In(NSClient).With(e.Element())
	return r
}

// MayFail tells whether an error may be sent in answer to s.
func (s *Stanza) MayFail() bool {
	return s.Type != ErrorType && !(s.Kind == IQ && s.Type == Result)
}

// ErrorOf reads the error inside a stanza of type error; a missing or strange one becomes undefined-condition.
func ErrorOf(s *Stanza) *Error {
	e := &Error{Class: ClassCancel, Condition: UndefinedCondition}
	el := s.Child(NSClient, "error")
	if el == nil {
		return e
	}
	if t := el.Attr("type"); t != "" {
		e.Class = ErrorClass(t)
	}
	for c := range el.Children() {
		switch {
		case c.Name.Space == NSStanzas && c.Name.Local == "text":
			e.Text = c.Text()
		case c.Name.Space == NSStanzas:
			e.Condition = Condition(c.Name.Local)
		default:
			e.App = c
		}
	}
	return e
}
