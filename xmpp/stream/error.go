package stream

import (
	"errors"

	"parley/xmpp/xml"
)

// Condition is a defined condition of a stream error (RFC 6120 §4.9.3).
type Condition string

// The conditions that Parley sends or tells apart.
const (
	BadFormat              Condition = "bad-format"
	BadNamespacePrefix     Condition = "bad-namespace-prefix"
	Conflict               Condition = "conflict"
	ConnectionTimeout      Condition = "connection-timeout"
	HostUnknown            Condition = "host-unknown"
	InternalServerError    Condition = "internal-server-error"
	InvalidNamespace       Condition = "invalid-namespace"
	NotAuthorized          Condition = "not-authorized"
	NotWellFormed          Condition = "not-well-formed"
	PolicyViolation        Condition = "policy-violation"
	ResourceConstraint     Condition = "resource-constraint"
	RestrictedXML          Condition = "restricted-xml"
	SystemShutdown         Condition = "system-shutdown"
	UndefinedCondition     Condition = "undefined-condition"
	UnsupportedEncoding    Condition = "unsupported-encoding"
	UnsupportedStanzaType  Condition = "unsupported-stanza-type"
	UnsupportedVersion     Condition = "unsupported-version"
	UnsupportedFeature     Condition = "unsupported-feature"
	RemoteConnectionFailed Condition = "remote-connection-failed"
)

// Error is a stream error (RFC 6120 §4.9): it ends the stream.
type Error struct {
	Condition Condition
	Text      string       // for people, in English; may be empty
	App       *xml.Element // application-specific condition, or nil
}

// Error says the condition and the text.
func (e *Error) Error() string {
	if e.Text == "" {
		return "stream error " + string(e.Condition)
	}
	return "stream error " + string(e.Condition) + ": " + e.Text
}

// Element is the error as it stands on the stream.
func (e *Error) Element() *xml.Element {
	kids := []*xml.Element{xml.New(NSError, string(e.Condition))}
	if e.Text != "" {
		kids = append(kids, xml.New(NSError, "text").WithText(e.Text))
	}
	if e.App != nil {
		kids = append(kids, e.App)
	}
	return xml.New(NS, "error").With(kids...)
}

// ReadError reads a <stream:error/> element; nil when el is none.
func ReadError(el *xml.Element) *Error {
	if el.Name.Space != NS || el.Name.Local != "error" {
		return nil
	}
	e := &Error{Condition: UndefinedCondition}
	for c := range el.Children() {
		switch {
		case c.Name.Space == NSError && c.Name.Local == "text":
			e.Text = c.Text()
		case c.Name.Space == NSError:
			e.Condition = Condition(c.Name.Local)
		default:
			e.App = c
		}
	}
	return e
}

// Fail sends e and the end of the stream; before the stream was opened, it is opened first (RFC 6120 §4.9.1.1),
// with h.
func (c *Conn) Fail(e *Error, h Header) error {
	if !c.opened {
		if err := c.Open(h); err != nil {
			return err
		}
	}
	return c.Write(append(Append(nil, e.Element()), "</stream:stream>"...))
}

// asStreamError gives what the scanner refuses its condition (RFC 6120 §4.9.3, §11).
func asStreamError(err error) error {
	var x *xml.Error
	if !errors.As(err, &x) {
		return err
	}
	e := &Error{Condition: NotWellFormed}
	switch x.Kind {
	case xml.Restricted:
		e.Condition = RestrictedXML
	case xml.BadPrefix:
		e.Condition = BadNamespacePrefix
	case xml.BadEncoding:
		e.Condition = UnsupportedEncoding
	case xml.TooLarge:
		e.Condition, e.Text = PolicyViolation, "A limit of this server was passed: "+x.Reason+"."
	}
	return e
}
