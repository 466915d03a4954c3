package c2s

import (
	"context"

	"parley/xmpp/sasl"
	"parley/xmpp/xml"
)

// mechanisms are what this connection is offered, the best first. The old ones are for the inside of TLS only: PLAIN
// shows the password to whoever reads the connection. The listener without TLS has none of them either, although it has
// SCRAM-SHA-256: it is for tests and measurements, which do without.
func (c *conn) mechanisms() []string {
	if c.srv.Legacy && c.stream.TLS() != nil {
		return []string{sasl.Mechanism, sasl.MechanismSHA1, sasl.Plain}
	}
	return []string{sasl.Mechanism}
}

// plain is an exchange with PLAIN (RFC 4616). A blocked account is refused before anybody looks at the password, and a
// wrong password counts as a wrong proof does.
func (c *conn) plain(ctx context.Context, first *xml.Element) error {
	text := first.Text()
	if text == "" { // no initial response: an empty challenge asks for it
		var err error
		if text, err = c.challenge(nil); err != nil {
			return err
		}
	}
	in, err := sasl.Decode(text)
	if err != nil {
		return &refusal{condition: "incorrect-encoding"}
	}
	name, password, err := sasl.ReadPlain(c.srv.Domain, in)
	if err != nil {
		return c.refusalFor(name, nil, err)
	}
	attempt, err := c.srv.Lockout.Try(ctx, name, c.addr)
	if err != nil {
		return c.refusalFor(name, nil, err)
	}
	defer attempt.Abandon() // does nothing once the attempt has its outcome
	if err := c.srv.Accounts.Verify(ctx, name, password); err != nil {
		return c.refusalFor(name, attempt, err)
	}
	return c.success(name, attempt, nil)
}
