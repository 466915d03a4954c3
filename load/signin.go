package load

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	return &conn{n: n, wire: g.wire, part: g.behind(), jid: jid, domain: g.domain, managed: c.Managed}, nil
}

func (g *negotiation) signIn(u *user) (jid string, err error) {
	if err := g.authenticate(u); err != nil {
		return "", err
	}
	if err := g.header(); err != nil {
		return "", err
	}
	el, err := g.ask("<iq type='set' id='bind'><bind xmlns='" + stream.NSBind + "'><resource>" + resource + "</resource></bind></iq>")
	if err != nil {
		return "", err
	}
	if jid = string(inside(el, "jid")); jid == "" {
		return "", fmt.Errorf("load: binding a resource was answered with %s", el[:min(len(el), 1000)])
	}
	if g.cfg.Managed {
		el, err := g.ask("<enable xmlns='" + stream.NSManagement + "'/>")
		if err != nil {
			return "", err
		}
		if local(el) != "enabled" {
			return "", fmt.Errorf("load: stream management was answered with <%s>", local(el))
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
	say := "<auth xmlns='" + stream.NSSASL + "' mechanism='" + g.cfg.Mechanism + "'>" + sasl.Encode([]byte(out)) + "</auth>"
	for {
		answer, err := g.ask(say)
		if err != nil {
			return err
		}
		name := local(answer)
		switch {
		case name == "failure":
			return g.refusal(answer)
		case name != "challenge" && name != "success":
			return fmt.Errorf("load: the proof of the password was answered with <%s>", name)
		case name == "success" && u.proof == nil:
			return nil
		}
		in, err := sasl.Decode(string(textOf(answer)))
		if err != nil {
			return fmt.Errorf("load: sign in: %w", err)
		}
		if out, err = step(string(in)); err != nil {
			return fmt.Errorf("load: sign in: %w", err)
		}
		if name == "success" {
			return nil
		}
		say = "<response xmlns='" + stream.NSSASL + "'>" + sasl.Encode([]byte(out)) + "</response>"
	}
}

// offered tells whether the server takes the mechanism, in an error.
func (g *negotiation) offered() error {
	if bytes.Contains(g.features, []byte(">"+g.cfg.Mechanism+"<")) {
		return nil
	}
	features, err := g.parse(g.features)
	if err != nil {
		return err
	}
	var list []string
	if m := features.Child(stream.NSSASL, "mechanisms"); m != nil {
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

func (g *negotiation) refusal(answer []byte) error {
	el, err := g.parse(answer)
	if err != nil {
		return err
	}
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
	request := xml.New(stanza.NSClient, "iq", xml.A("type", "set"), xml.A("id", "register")).With(xml.New(nsRegister, "query").With(
		xml.New(nsRegister, "username").WithText(a.Name), xml.New(nsRegister, "password").WithText(a.Password)))
	answer, err := g.ask(string(stream.Append(nil, request)))
	var why *stream.Error // of a server that hears nobody who has not signed in
	if err != nil && !errors.As(err, &why) {
		return err
	}
	if err == nil {
		if err = g.unregistered(answer); err == nil {
			return nil
		}
	}
	return &Error{
		Why: fmt.Sprintf("the account %s cannot be registered: %s", a.Name, strings.TrimPrefix(err.Error(), "load: ")),
		Fix: "let the server take registrations (Parley: --registration open)\naccounts that are there:  --accounts FILE",
	}
}

// unregistered says why an account was not made; nil: it is there.
func (g *negotiation) unregistered(answer []byte) error {
	el, err := g.parse(answer)
	if err != nil {
		return err
	}
	if el.Attr("type") == "result" {
		return nil
	}
	st, err := stanza.Parse(el)
	if err != nil || st.Type != stanza.ErrorType {
		return errors.New("the server does not know how")
	}
	e := stanza.ErrorOf(st)
	if e.Condition == stanza.Conflict {
		return nil
	}
	return e
}
