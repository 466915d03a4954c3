package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/xmpp/sasl"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

const (
	nsRegister = "jabber:iq:register"
	resource   = "bench"
)

// signIn brings account n to a bound session. The connection still belongs to the caller's goroutine.
func (c *Config) signIn(ctx context.Context, n int, u *user) (*conn, error) {
	g, err := c.open(ctx, n)
	if err != nil {
		return nil, err
	}
	jid, err := g.signIn(u)
	if err != nil {
		g.close()
		return nil, fmt.Errorf("%w (account %s)", err, u.Name)
	}
	g.stop()
	_ = g.wire.SetDeadline(time.Time{})
	return &conn{n: n, wire: g.wire, part: g.heard.behind(), jid: jid, domain: g.domain, managed: c.Managed}, nil
}

func (g *negotiation) signIn(u *user) (jid string, err error) {
	if err := g.authenticate(u); err != nil {
		return "", err
	}
	g.stream.Restart()
	if err := g.header(); err != nil {
		return "", err
	}
	bind := xml.New(stream.NSBind, "bind").With(xml.New(stream.NSBind, "resource").WithText(resource))
	el, err := g.ask(request("set", "bind", bind))
	if err != nil {
		return "", err
	}
	if b := el.Child(stream.NSBind, "bind"); b != nil {
		if j := b.Child(stream.NSBind, "jid"); j != nil {
			jid = j.Text()
		}
	}
	if jid == "" {
		return "", fmt.Errorf("load: binding a resource was answered with <%s type='%s'>", el.Name.Local, el.Attr("type"))
	}
	if g.cfg.Managed {
		el, err := g.ask(xml.New(stream.NSManagement, "enable"))
		if err != nil {
			return "", err
		}
		if el.Name.Local != "enabled" {
			return "", fmt.Errorf("load: stream management was answered with <%s>", el.Name.Local)
		}
	}
	return jid, nil
}

// authenticate proves the password with the mechanism that was asked for (RFC 6120 §6).
func (g *negotiation) authenticate(u *user) error {
	if err := g.offered(); err != nil {
		return err
	}
	step := func(string) (string, error) { return "\x00" + u.Name + "\x00" + u.Password, nil }
	if u.proof != nil {
		step = u.proof.NewConversation().Step
	}
	out, err := step("")
	if err != nil {
		return fmt.Errorf("load: sign in: %w", err)
	}
	el := xml.New(stream.NSSASL, "auth", xml.A("mechanism", g.cfg.Mechanism)).WithText(sasl.Encode([]byte(out)))
	for {
		answer, err := g.ask(el)
		if err != nil {
			return err
		}
		if answer.Name.Local == "failure" {
			return refusal(answer)
		}
		if answer.Name.Local == "success" && u.proof == nil {
			return nil
		}
		in, err := sasl.Decode(answer.Text())
		if err != nil {
			return fmt.Errorf("load: sign in: %w", err)
		}
		if out, err = step(string(in)); err != nil {
			return fmt.Errorf("load: sign in: %w", err)
		}
		if answer.Name.Local == "success" {
			return nil
		}
		el = xml.New(stream.NSSASL, "response")
		if out != "" {
			el = el.WithText(sasl.Encode([]byte(out)))
		}
	}
}

// offered tells whether the server takes the mechanism, in an error.
func (g *negotiation) offered() error {
	var list []string
	if m := g.features.Child(stream.NSSASL, "mechanisms"); m != nil {
		for c := range m.Children() {
			list = append(list, strings.TrimSpace(c.Text()))
		}
	}
	if slices.Contains(list, g.cfg.Mechanism) {
		return nil
	}
	var fix []string
	for _, m := range []string{ScramSHA256, ScramSHA1, Plain} {
		if slices.Contains(list, m) {
			fix = append(fix, "--mechanism "+m)
		}
	}
	if g.cfg.TLS == NoTLS {
		fix = append(fix, "--tls "+StartTLS)
	}
	return &Error{
		Why: fmt.Sprintf("the server does not offer %s here, but %s", g.cfg.Mechanism, cmp.Or(strings.Join(list, ", "), "nothing")),
		Fix: strings.Join(fix, "\n"),
	}
}

func refusal(el *xml.Element) error {
	why := "no reason given"
	if c := el.First(); c != nil {
		why = c.Name.Local
	}
	if t := el.Child(stream.NSSASL, "text"); t != nil {
		why += ": " + t.Text()
	}
	return &Error{Why: "the server refuses to sign in: " + why, Fix: "make the accounts first:  --register\naccounts that are there:  --accounts FILE"}
}

// register makes account n, unless it is there already.
func (c *Config) register(ctx context.Context, n int, a Account) error {
	g, err := c.open(ctx, n)
	if err != nil {
		return err
	}
	defer g.close()
	el, err := g.ask(request("set", "register", xml.New(nsRegister, "query").With(
		xml.New(nsRegister, "username").WithText(a.Name), xml.New(nsRegister, "password").WithText(a.Password))))
	var why *stream.Error // of a server that hears nobody who has not signed in
	if err != nil && !errors.As(err, &why) {
		return err
	}
	if err == nil {
		if err = unregistered(el); err == nil {
			return nil
		}
	}
	return &Error{
		Why: fmt.Sprintf("the account %s cannot be registered: %s", a.Name, strings.TrimPrefix(err.Error(), "load: ")),
		Fix: "let the server take registrations (Parley: --registration open)\naccounts that are there:  --accounts FILE",
	}
}

// unregistered says why an account was not made; nil: it is there.
func unregistered(answer *xml.Element) error {
	if answer.Attr("type") == "result" {
		return nil
	}
	st, err := stanza.Parse(answer)
	if err != nil || st.Type != stanza.ErrorType {
		return errors.New("the server does not know how")
	}
	e := stanza.ErrorOf(st)
	if e.Condition == stanza.Conflict {
		return nil
	}
	return e
}

func request(kind, id string, payload *xml.Element) *xml.Element {
	return xml.New(stanza.NSClient, "iq", xml.A("type", kind), xml.A("id", id)).With(payload)
}
