package c2s

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"parley/auth"
	"parley/xmpp/sasl"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// maxExchanges is how many SASL exchanges, of whatever outcome, one stream may begin (RFC 6120 §6.4.5 asks for two to
// five retries).
const maxExchanges = 5

// accountLocked is what the owner of a locked account reads, where he signs in and where he binds.
const accountLocked = "This account is locked. Ask an administrator of this server."

// signIn offers SASL and, where it is open, registration, until somebody has signed in.
func (c *conn) signIn(ctx context.Context) error {
	offers := c.set.inClear
	if c.stream.Protected() {
		offers = c.set.protected
	}
	if err := c.open(offers); err != nil {
		return err
	}
	for exchanges, wrong := 0, 0; exchanges < maxExchanges && wrong < maxNames; {
		el, err := c.stream.Read()
		if err != nil {
			return err
		}
		if el.Name == (xml.Name{Space: stanza.NSClient, Local: "iq"}) && c.set.Register != nil {
			if err := c.register(ctx, el); err != nil {
				return err
			}
			continue
		}
		if el.Name != (xml.Name{Space: stream.NSSASL, Local: "auth"}) {
			return &stream.Error{Condition: stream.NotAuthorized, Text: "Sign in first."}
		}
		exchanges++
		err = c.exchange(ctx, el)
		var no *refusal
		switch {
		case err == nil:
			return nil
		case !errors.As(err, &no):
			return err
		}
		if err := c.stream.Send(no.element()); err != nil {
			return err
		}
		if no.wrong {
			wrong++
		}
		if no.final {
			break
		}
	}
	return &stream.Error{Condition: stream.PolicyViolation, Text: "Too many attempts to sign in."}
}

// refusal is a SASL failure (RFC 6120 §6.5).
type refusal struct {
	condition string
	text      string
	wrong     bool // it was a wrong password
	final     bool // the stream closes
}

func (r *refusal) Error() string { return "c2s: sign in: " + r.condition }

func (r *refusal) element() *xml.Element {
	kids := []*xml.Element{xml.New(stream.NSSASL, r.condition)}
	if r.text != "" {
		text := xml.New(stream.NSSASL, "text")
		text.Attrs = append(text.Attrs, xml.Attr{Name: xml.Name{Space: "http://www.w3.org/XML/1998/namespace", Local: "lang"}, Value: "en"})
		kids = append(kids, text.WithText(r.text))
	}
	return xml.New(stream.NSSASL, "failure").With(kids...)
}

// exchange is one SASL exchange from <auth/> to <success/>.
func (c *conn) exchange(ctx context.Context, first *xml.Element) error {
	mechanism := first.Attr("mechanism")
	if !slices.Contains(c.srv.mechanisms(c.stream.Protected()), mechanism) {
		return &refusal{condition: "invalid-mechanism"}
	}
	if mechanism == sasl.Plain {
		return c.plain(ctx, first)
	}
	counts := true
	x := sasl.NewServer(mechanism, c.srv.Domain, func(name string) (known sasl.Credentials, err error) {
		if err := c.srv.Lockout.Check(name, c.addr); err != nil {
			return known, err
		}
		if mechanism == sasl.MechanismSHA1 {
			known, counts = c.srv.Accounts.CredentialsSHA1(name)
			return known, nil
		}
		return c.srv.Accounts.Credentials(name), nil
	})
	var attempt *auth.Attempt
	defer func() {
		if attempt != nil {
			attempt.Abandon() // does nothing once the attempt has its outcome
		}
	}()
	text := first.Text()
	for {
		in, err := sasl.Decode(text)
		if err != nil {
			return &refusal{condition: "incorrect-encoding"}
		}
		if x.Name() != "" { // what comes now is the proof
			if attempt, err = c.srv.Lockout.Try(ctx, x.Name(), c.addr); err != nil {
				return c.refusalFor(x.Name(), nil, err)
			}
		}
		out, done, err := x.Step(in)
		if errors.Is(err, sasl.ErrProof) && !counts {
			c.say(slog.LevelInfo, "no verifier for SCRAM-SHA-1, so every password is wrong", slog.String("name", x.Name()), slog.String("addr", c.addr.String()))
			attempt.Abandon() // CredentialsSHA1 says why
			return wrongPassword()
		}
		if err != nil {
			return c.refusalFor(x.Name(), attempt, err)
		}
		if done {
			return c.success(x.Name(), attempt, out)
		}
		if text, err = c.challenge(out); err != nil {
			return err
		}
	}
}

// challenge sends a challenge and waits for the client's answer.
func (c *conn) challenge(data []byte) (string, error) {
	challenge := xml.New(stream.NSSASL, "challenge")
	if len(data) > 0 { // "=" stands for nothing in an initial response only (RFC 6120 §6.4.2)
		challenge = challenge.WithText(sasl.Encode(data))
	}
	if err := c.stream.Send(challenge); err != nil {
		return "", err
	}
	el, err := c.stream.Read()
	if err != nil {
		return "", err
	}
	switch el.Name {
	case xml.Name{Space: stream.NSSASL, Local: "response"}:
		if text := el.Text(); text != "" {
			return text, nil
		}
		return "=", nil // a response is never absent
	case xml.Name{Space: stream.NSSASL, Local: "abort"}:
		return "", &refusal{condition: "aborted"}
	}
	return "", &stream.Error{Condition: stream.NotAuthorized, Text: "Sign in first."}
}

// success ends an exchange well.
func (c *conn) success(name string, attempt *auth.Attempt, out []byte) error {
	account, ok := c.srv.Accounts.Lookup(name)
	if !ok { // removed while the exchange went on
		return c.refusalFor(name, attempt, sasl.ErrProof)
	}
	attempt.Succeed()
	if account.Locked { // said only to whoever knows the password; a link in the text would be taken for a bill by some clients
		return &refusal{condition: "account-disabled", text: accountLocked}
	}
	c.name = account.Name // which stays in any case; name is a part of what the client sent
	return c.stream.Send(xml.New(stream.NSSASL, "success").WithText(sasl.Encode(out)))
}

// refusalFor gives an error of an exchange its condition. Only a wrong proof counts as an attempt.
func (c *conn) refusalFor(name string, attempt *auth.Attempt, err error) error {
	var locked *auth.Locked
	switch {
	case errors.As(err, &locked):
		return lockedOut(locked)
	case errors.Is(err, sasl.ErrProof):
		c.say(slog.LevelInfo, "wrong password", slog.String("name", name), slog.String("addr", c.addr.String()))
		if _, locked := attempt.Fail(); locked != nil {
			return lockedOut(locked)
		}
		return wrongPassword()
	case errors.Is(err, auth.ErrBusy):
		return &refusal{condition: "temporary-auth-failure", text: "Too many attempts to sign in at the same time.", final: true}
	case errors.Is(err, sasl.ErrAuthzid):
		return &refusal{condition: "invalid-authzid", text: "You can only sign in as yourself."}
	case errors.Is(err, sasl.ErrName):
		return &refusal{condition: "not-authorized", text: "Wrong name or password."}
	case errors.Is(err, sasl.ErrBinding):
		return &refusal{condition: "malformed-request", text: "Channel binding was not offered."}
	case errors.Is(err, sasl.ErrMalformed):
		return &refusal{condition: "malformed-request"}
	}
	c.say(slog.LevelError, "sign-in failed in the server", slog.Any("err", err))
	return &refusal{condition: "temporary-auth-failure", text: "The server cannot check passwords at the moment."}
}

func wrongPassword() *refusal {
	return &refusal{condition: "not-authorized", text: "Wrong name or password.", wrong: true}
}

func lockedOut(l *auth.Locked) *refusal {
	unit := "seconds"
	if l.Seconds() == 1 {
		unit = "second"
	}
	return &refusal{
		condition: "temporary-auth-failure", final: true,
		text: fmt.Sprintf("Too many wrong passwords. Try again in %d %s.", l.Seconds(), unit),
	}
}

// register answers an iq about registration before sign-in (XEP-0077).
func (c *conn) register(ctx context.Context, el *xml.Element) error {
	st, err := stanza.Parse(el)
	if err != nil || !st.IsRequest() || !st.Has(nsRegister, "query") {
		return &stream.Error{Condition: stream.NotAuthorized, Text: "Sign in first."}
	}
	result, err := c.set.Register.Handle(ctx, el, c.addr)
	var no *stanza.Error
	switch {
	case errors.As(err, &no):
		return c.stream.Send(answer(st.Fail(no)))
	case err != nil:
		c.say(slog.LevelError, "registration failed in the server", slog.Any("err", err))
		return c.stream.Send(answer(st.Fail(stanza.Bad(stanza.InternalServerError, ""))))
	}
	return c.stream.Send(answer(st.Result(result)))
}
