package load

import (
	"context"
	"errors"
	"fmt"
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
		_ = g.wire.Close()
		return nil, fmt.Errorf("%w (account %s)", err, u.Name)
	}
	_ = g.wire.SetDeadline(time.Time{})
	return &conn{n: n, wire: g.wire, jid: jid, domain: g.domain, managed: c.Managed}, nil
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

func refusal(el *xml.Element) error {
	why := "no reason given"
	if c := el.First(); c != nil {
		why = c.Name.Local
	}
	return fmt.Errorf("load: the server refuses to sign in: %s", why)
}

// register makes account n, unless it is there already.
func (c *Config) register(ctx context.Context, n int, a Account) error {
	g, err := c.open(ctx, n)
	if err != nil {
		return err
	}
	defer g.wire.Close()
	el, err := g.ask(request("set", "register", xml.New(nsRegister, "query").With(
		xml.New(nsRegister, "username").WithText(a.Name), xml.New(nsRegister, "password").WithText(a.Password))))
	if err != nil {
		return err
	}
	if el.Attr("type") == "result" {
		return nil
	}
	why := errors.New("the server does not register accounts")
	if st, err := stanza.Parse(el); err == nil && st.Type == stanza.ErrorType {
		e := stanza.ErrorOf(st)
		if e.Condition == stanza.Conflict {
			return nil
		}
		why = e
	}
	return fmt.Errorf("load: register %s: %w", a.Name, why)
}

func request(kind, id string, payload *xml.Element) *xml.Element {
	return xml.New(stanza.NSClient, "iq", xml.A("type", kind), xml.A("id", id)).With(payload)
}
