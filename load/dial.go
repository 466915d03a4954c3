package load

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// dial opens the connection of account n.
func (c *Config) dial(ctx context.Context, n int) (*wire, error) {
	d := net.Dialer{Timeout: c.patience, KeepAlive: -1}
	if c.Sources > 0 {
		i := n % c.Sources
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, byte(i/254), byte(1+i%254))}
	}
	nc, err := d.DialContext(ctx, "tcp", c.HostPort)
	if err != nil {
		return nil, fmt.Errorf("load: connect: %w", err)
	}
	_ = nc.SetDeadline(time.Now().Add(c.patience))
	return &wire{Conn: nc}, nil
}

// negotiation is a connection that is not signed in yet.
type negotiation struct {
	cfg      *Config
	wire     *wire
	stop     func() bool // nothing is broken off any more when the context ends
	heard    *heard
	stream   *stream.Conn
	domain   string
	features *xml.Element
}

// heard is a connection that remembers what was read from it. What a server has said behind its last answer has gone into the
// stream that signed in; the loop needs it.
type heard struct {
	net.Conn
	last []byte // since the last question
}

func (h *heard) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	h.last = append(h.last, p[:n]...)
	return n, err
}

// behind is what was heard behind the answer to the last question.
func (h *heard) behind() []byte {
	p := h.last[blank(h.last):]
	return append([]byte(nil), p[max(0, frame(p)):]...)
}

// open brings a new connection to the features that are offered before signing in.
func (c *Config) open(ctx context.Context, n int) (*negotiation, error) {
	w, err := c.dial(ctx, n)
	if err != nil {
		return nil, err
	}
	g := &negotiation{cfg: c, wire: w, domain: c.Domain}
	g.stop = context.AfterFunc(ctx, func() { _ = w.SetDeadline(time.Unix(1, 0)) })
	g.talk(w)
	if err := g.begin(); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// talk begins a stream on the connection, or on TLS over it.
func (g *negotiation) talk(nc net.Conn) {
	g.heard = &heard{Conn: nc}
	g.stream = stream.New(g.heard, xml.Limits{})
}

func (g *negotiation) close() {
	g.stop()
	_ = g.wire.Close()
}

func (g *negotiation) begin() error {
	if g.cfg.TLS == Direct {
		if err := g.secure(); err != nil {
			return err
		}
	}
	if err := g.header(); err != nil {
		return err
	}
	if g.cfg.TLS != StartTLS {
		return nil
	}
	if !g.features.Has(stream.NSTLS, "starttls") {
		return &Error{Why: "the server offers no STARTTLS", Fix: "--tls direct\n--tls none"}
	}
	el, err := g.ask(xml.New(stream.NSTLS, "starttls"))
	if err != nil {
		return err
	}
	if el.Name.Local != "proceed" {
		return fmt.Errorf("load: STARTTLS was answered with <%s>", el.Name.Local)
	}
	if err := g.secure(); err != nil {
		return err
	}
	return g.header()
}

// secure begins TLS. The generator measures a server of its user's own: it takes any key.
func (g *negotiation) secure() error {
	// Every server of today knows this curve: none is measured with a dearer handshake than the others.
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: g.domain, CurvePreferences: []tls.CurveID{tls.X25519}}
	if g.cfg.TLS == Direct {
		cfg.NextProtos = []string{stream.ALPN}
	}
	t := tls.Client(g.wire, cfg)
	if err := t.Handshake(); err != nil {
		return fmt.Errorf("load: TLS: %w", err)
	}
	g.wire.secure = t
	g.talk(t)
	return nil
}

// header opens the stream, anew after each step, and reads what is offered.
func (g *negotiation) header() error {
	if err := g.stream.Open(stream.Header{To: g.domain}); err != nil {
		return err
	}
	h, err := g.stream.Header()
	if err != nil {
		return fmt.Errorf("load: the stream's header: %w", asKnown(err))
	}
	if g.domain == "" {
		g.domain = h.From
	}
	g.features, err = g.read()
	if err == nil && g.features.Name.Local != "features" {
		err = fmt.Errorf("load: expected the stream's features, got <%s>", g.features.Name.Local)
	}
	return err
}

func (g *negotiation) ask(el *xml.Element) (*xml.Element, error) {
	g.heard.last = g.heard.last[:0]
	if err := g.stream.Send(el); err != nil {
		return nil, err
	}
	return g.read()
}

func (g *negotiation) read() (*xml.Element, error) {
	el, err := g.stream.Read()
	if err != nil {
		return nil, fmt.Errorf("load: sign in: %w", err)
	}
	if e := stream.ReadError(el); e != nil {
		return nil, asKnown(e)
	}
	return el, nil
}

// asKnown says what can be done about an error of the stream.
func asKnown(err error) error {
	var e *stream.Error
	if errors.As(err, &e) && (e.Condition == stream.HostUnknown || e.Condition == "improper-addressing") {
		return &Error{Why: "the server wants to be called by its name: " + e.Error(), Fix: "--domain NAME"}
	}
	return fmt.Errorf("load: sign in: %w", err)
}
