package client

import (
	"errors"
	"fmt"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

const nsRegister = "jabber:iq:register"

// ask sends a request during the negotiation and waits for its answer. An error of the server comes as *stanza.Error.
func (l *link) ask(id string, to jid.JID, payload *xml.Element) (*stanza.Stanza, error) {
	req := stanza.New(stanza.IQ, stanza.Set, jid.JID{}, to, payload)
	req.ID = id
	if err := l.conn.Write(req.Append(nil)); err != nil {
		return nil, lost(err)
	}
	for {
		el, err := l.read()
		if err != nil {
			return nil, err
		}
		st, err := stanza.Parse(el)
		if err != nil || st.Kind != stanza.IQ || st.ID != id || st.IsRequest() {
			continue
		}
		if st.Type == stanza.ErrorType {
			return nil, stanza.ErrorOf(st)
		}
		return st, nil
	}
}

// register makes the account (XEP-0077 §3.1).
func (l *link) register(user, password string) error {
	if !l.offersRegistration() {
		return ErrNoRegistration
	}
	server, err := jid.Parse(l.domain)
	if err != nil {
		return fmt.Errorf("client: register: %w", err)
	}
	_, err = l.ask("register", server, xml.New(nsRegister, "query").With(
		xml.New(nsRegister, "username").WithText(user),
		xml.New(nsRegister, "password").WithText(password)))
	var refused *stanza.Error
	if errors.As(err, &refused) {
		return &RegisterError{Err: refused}
	}
	return err
}

// bind asks for a resource (RFC 6120 §7).
func (l *link) bind(resource string) (jid.JID, error) {
	if !l.features.Has(stream.NSBind, "bind") {
		return jid.JID{}, errors.New("client: the server offers no binding of a resource")
	}
	el := xml.New(stream.NSBind, "bind")
	if resource != "" {
		el = el.With(xml.New(stream.NSBind, "resource").WithText(resource))
	}
	st, err := l.ask("bind", jid.JID{}, el)
	if err != nil {
		return jid.JID{}, fmt.Errorf("client: bind a resource: %w", err)
	}
	var me string
	if b := st.Child(stream.NSBind, "bind"); b != nil {
		if j := b.Child(stream.NSBind, "jid"); j != nil {
			me = j.Text()
		}
	}
	j, err := jid.Parse(me)
	if err != nil || j.Resource() == "" || j.Domain() != l.domain {
		return jid.JID{}, fmt.Errorf("client: bind a resource: the server gave the address %q", me)
	}
	return j, nil
}
