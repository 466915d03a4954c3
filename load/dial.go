package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// patience is how long one sign-in, or one answer, may take.
const patience = 60 * time.Second

// dial opens the connection of account n.
func (c *Config) dial(ctx context.Context, n int) (*wire, error) {
	d := net.Dialer{Timeout: patience, KeepAlive: -1}
	if c.Sources > 0 {
		i := n % c.Sources
		d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, byte(i/254), byte(1+i%254))}
	}
	nc, err := d.DialContext(ctx, "tcp", c.HostPort)
	if err != nil {
		return nil, fmt.Errorf("load: connect: %w", err)
	}
	_ = nc.SetDeadline(time.Now().Add(patience))
	return &wire{Conn: nc}, nil
}

// negotiation is a connection that is not signed in yet.
type negotiation struct {
	cfg      *Config
	wire     *wire
	stream   *stream.Conn
	domain   string
	features *xml.Element
}

// open brings a new connection to the features that are offered before signing in.
func (c *Config) open(ctx context.Context, n int) (*negotiation, error) {
	w, err := c.dial(ctx, n)
	if err != nil {
		return nil, err
	}
	g := &negotiation{cfg: c, wire: w, stream: stream.New(w, xml.Limits{}), domain: c.Domain}
	if err := g.begin(); err != nil {
		_ = w.Close()
		return nil, err
	}
	return g, nil
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
		return fmt.Errorf("load: the server offers no STARTTLS")
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
	cfg := &tls.Config{InsecureSkipVerify: true, ServerName: g.domain}
	if g.cfg.TLS == Direct {
		cfg.NextProtos = []string{stream.ALPN}
	}
	t := tls.Client(g.wire, cfg)
	if err := t.Handshake(); err != nil {
		return fmt.Errorf("load: TLS: %w", err)
	}
	g.wire.secure, g.stream = t, stream.New(t, xml.Limits{})
	return nil
}

// header opens the stream, anew after each step, and reads what is offered.
func (g *negotiation) header() error {
	if err := g.stream.Open(stream.Header{To: g.domain}); err != nil {
		return err
	}
	h, err := g.stream.Header()
	if err != nil {
		return fmt.Errorf("load: the stream's header: %w", err)
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
		return nil, fmt.Errorf("load: sign in: %w", e)
	}
	return el, nil
}
