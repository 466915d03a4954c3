package client

import (
	"errors"
	"fmt"

	"parley/xmpp/sasl"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// authenticate proves the password by SCRAM (RFC 6120 §6, RFC 5802). The password itself never leaves this computer,
// and the server has to prove that it knows the account before it is believed.
func (l *link) authenticate(user, password string) error {
	if !l.offers(sasl.Mechanism) {
		return ErrNoMechanism
	}
	c, err := sasl.NewClient(user, password, "")
	switch {
	case errors.Is(err, sasl.ErrName):
		return ErrName
	case errors.Is(err, sasl.ErrPassword):
		return ErrPassword
	case err != nil:
		return fmt.Errorf("client: sign in: %w", err)
	}
	first, _, err := c.Step(nil)
	if err != nil {
		return fmt.Errorf("client: sign in: %w", err)
	}
	if err := l.conn.Send(saslElement("auth", first, xml.A("mechanism", sasl.Mechanism))); err != nil {
		return lost(err)
	}
	proven := false
	for {
		el, err := l.read()
		if err != nil {
			return err
		}
		if el.Name.Space != stream.NSSASL {
			return fmt.Errorf("client: sign in: the server sent <%s>", el.Name.Local)
		}
		switch el.Name.Local {
		case "failure":
			return refusal(el)
		case "success":
			return l.success(c, el, proven)
		case "challenge":
			if proven {
				return fmt.Errorf("client: sign in: the server asks on after the exchange was over")
			}
			var out []byte
			if out, proven, err = step(c, el); err != nil {
				return err
			}
			if err := l.conn.Send(saslElement("response", out)); err != nil {
				return lost(err)
			}
		default:
			return fmt.Errorf("client: sign in: the server sent <%s>", el.Name.Local)
		}
	}
}

// success ends the exchange; the server's proof comes with it or came just before.
func (l *link) success(c *sasl.Client, el *xml.Element, proven bool) error {
	if proven {
		return nil
	}
	_, done, err := step(c, el)
	if err != nil {
		return err
	}
	if !done {
		return ErrServerProof
	}
	return nil
}

func step(c *sasl.Client, el *xml.Element) (out []byte, done bool, err error) {
	in, err := sasl.Decode(el.Text())
	if err != nil {
		return nil, false, fmt.Errorf("client: sign in: %w", err)
	}
	out, done, err = c.Step(in)
	switch {
	case errors.Is(err, sasl.ErrProof):
		return nil, false, ErrPassword
	case errors.Is(err, sasl.ErrSignature):
		return nil, false, ErrServerProof
	case err != nil:
		return nil, false, fmt.Errorf("client: sign in: %w", err)
	}
	return out, done, nil
}

// refusal reads <failure/> (RFC 6120 §6.4.6, §6.5).
func refusal(el *xml.Element) error {
	var e AuthError
	for c := range el.Children() {
		switch {
		case c.Name.Space != stream.NSSASL:
		case c.Name.Local == "text":
			e.Text = c.Text()
		default:
			e.Condition = c.Name.Local
		}
	}
	switch e.Condition {
	case "not-authorized":
		return ErrPassword
	case "temporary-auth-failure":
		return &LockedError{For: secondsIn(e.Text), Text: e.Text}
	}
	return &e
}

// offers tells whether the server lists a mechanism.
func (l *link) offers(mechanism string) bool {
	list := l.features.Child(stream.NSSASL, "mechanisms")
	if list == nil {
		return false
	}
	for m := range list.Children() {
		if m.Name.Local == "mechanism" && m.Text() == mechanism {
			return true
		}
	}
	return false
}

func saslElement(name string, data []byte, attrs ...xml.Attr) *xml.Element {
	el := xml.New(stream.NSSASL, name, attrs...)
	if text := sasl.Encode(data); text != "" {
		el = el.WithText(text)
	}
	return el
}
