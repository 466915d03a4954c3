package c2s

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"parley/im"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

const nsRegister = "jabber:iq:register"

// newID is an identifier that nobody can guess: 128 bits.
func newID() string { return rand.Text() }

// shortID is how much of an identifier tells the connections in a log apart.
const shortID = 8

// negotiate brings the connection from its first byte to a bound session (RFC 6120 §4 to §7). All of it has to
// happen within preAuthTime.
func (c *conn) negotiate(ctx context.Context) (err error) {
	defer c.caught(&err)
	deadline := time.Now().Add(preAuthTime)
	if err := c.until(deadline); err != nil {
		return err
	}
	if c.mode == Direct {
		if err := c.secure(deadline); err != nil {
			return err
		}
	}
	for {
		switch {
		case c.mode == StartTLS && !c.stream.Protected():
			err = c.startTLS(deadline)
		case c.name == "":
			err = c.signIn(ctx)
		default:
			return c.bind(ctx)
		}
		if err != nil {
			return err
		}
		c.stream.Restart()
	}
}

// until sets the deadline of what is read next, unless the connection has been told to end meanwhile.
func (c *conn) until(t time.Time) error {
	if err := c.stream.SetReadDeadline(t); err != nil {
		return err
	}
	if c.over() {
		return errors.New("c2s: closed while negotiating")
	}
	return nil
}

// secure does the TLS handshake, which has handshakeTime, and no more than is left until the deadline.
func (c *conn) secure(deadline time.Time) error {
	end := time.Now().Add(handshakeTime)
	if end.After(deadline) {
		end = deadline
	}
	if err := c.until(end); err != nil {
		return err
	}
	if err := c.stream.Secure(c.srv.TLS, true); err != nil {
		if errors.Is(err, stream.ErrInjected) {
			return &stream.Error{Condition: stream.PolicyViolation, Text: "Nothing may follow <starttls/> before the handshake."}
		}
		return err
	}
	return c.until(deadline)
}

// open exchanges the stream headers, and offers.
func (c *conn) open(offers []byte) error {
	h, err := c.stream.Header()
	if err != nil {
		return err
	}
	own := stream.Header{From: c.srv.Domain, To: h.From, ID: newID(), Lang: "en"}
	if len(own.To) > 3071 {
		own.To = ""
	}
	if c.serves(h.To) {
		return c.stream.Open(own, offers...)
	}
	if err := c.stream.Open(own); err != nil {
		return err
	}
	return &stream.Error{Condition: stream.HostUnknown, Text: "This server is " + c.srv.Domain + "."}
}

// serves tells whether a stream to that name is for us. No name, or an address of the network, is a client that does
// not know the name yet and learns it from our header.
func (c *conn) serves(name string) bool {
	if name == "" {
		return true
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	j, err := jid.Parse(name)
	return err == nil && j == c.srv.Hall.Domain()
}

// startTLS offers TLS and nothing else (RFC 6120 §5).
func (c *conn) startTLS(deadline time.Time) error {
	if err := c.open(c.set.startTLS); err != nil {
		return err
	}
	el, err := c.stream.Read()
	if err != nil {
		return err
	}
	if el.Name != (xml.Name{Space: stream.NSTLS, Local: "starttls"}) {
		return &stream.Error{Condition: stream.PolicyViolation, Text: "TLS must be started first."}
	}
	if c.stream.Buffered() {
		return &stream.Error{Condition: stream.PolicyViolation, Text: "Nothing may follow <starttls/> before the handshake."}
	}
	if err := c.stream.Send(xml.New(stream.NSTLS, "proceed")); err != nil {
		return err
	}
	return c.secure(deadline)
}

// bind gives the connection its session (RFC 6120 §7).
func (c *conn) bind(ctx context.Context) error {
	if err := c.open(c.set.signedIn); err != nil {
		return err
	}
	for range 5 {
		el, err := c.stream.Read()
		if err != nil {
			return err
		}
		if el.Name == (xml.Name{Space: stream.NSManagement, Local: "resume"}) {
			if done, err := c.resume(ctx, el); done || err != nil {
				return err
			}
			continue
		}
		st, err := stanza.Parse(el)
		if st == nil || st.Kind != stanza.IQ {
			return &stream.Error{Condition: stream.NotAuthorized, Text: "A resource must be bound first."}
		}
		request := st.Child(stream.NSBind, "bind")
		if err != nil || request == nil || st.Type != stanza.Set {
			if err := c.stream.Send(answer(st.Fail(stanza.Bad(stanza.NotAllowed, "A resource must be bound first.")))); err != nil {
				return err
			}
			continue
		}
		if done, err := c.bindAs(ctx, st, request); done || err != nil {
			return err
		}
	}
	return &stream.Error{Condition: stream.PolicyViolation, Text: "Too many attempts to bind a resource."}
}

func (c *conn) bindAs(ctx context.Context, st *stanza.Stanza, request *xml.Element) (done bool, err error) {
	resource := ""
	if r := request.Child(stream.NSBind, "resource"); r != nil {
		resource = r.Text()
	}
	if resource == "" {
		resource = newID()[:12]
	}
	if _, err := c.srv.Hall.Domain().WithResource(resource); err != nil {
		return false, c.stream.Send(answer(st.Fail(stanza.Bad(stanza.BadRequest, "That is no resource."))))
	}
	s, err := c.srv.Hall.Bind(ctx, c.name, resource)
	switch {
	case errors.Is(err, im.ErrTooMany):
		return false, c.stream.Send(answer(st.Fail(stanza.Bad(stanza.ResourceConstraint, "This account is signed in too often."))))
	case errors.Is(err, im.ErrNoAccount):
		return false, &stream.Error{Condition: stream.NotAuthorized, Text: "This account was removed."}
	case errors.Is(err, im.ErrLocked): // since the sign-in
		return false, &stream.Error{Condition: stream.NotAuthorized, Text: accountLocked}
	case err != nil:
		return false, fmt.Errorf("c2s: bind: %w", err)
	}
	c.session = s
	c.say(slog.LevelDebug, "session bound", slog.String("jid", s.JID().String()))
	bound := xml.New(stream.NSBind, "bind").With(xml.New(stream.NSBind, "jid").WithText(s.JID().String()))
	s.ReplyPlain(st.Result(bound))
	c.begin()
	return true, nil
}

// begin gives the connection to its session.
func (c *conn) begin() {
	c.stream.SetTotal(-1)
	c.stream.SetLimits(&c.set.limits)
	c.srv.signed(c)
	c.session.Attach(c.reading, c)
}

// answer is a stanza as an element, for the time before there is an outbox.
func answer(st *stanza.Stanza) *xml.Element {
	el, err := xml.Parse(st.String(), stanza.NSClient, xml.Limits{})
	if err != nil { // the serializer writes what the scanner accepts
		panic(err)
	}
	return el
}
