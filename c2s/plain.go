package c2s

import (
	"context"

	"parley/xmpp/sasl"
	"parley/xmpp/xml"
)

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
