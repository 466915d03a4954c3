package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"parley/xmpp/stream"
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

// open brings a new connection to the features that are offered before signing in.
func (c *Config) open(ctx context.Context, n int) (*negotiation, error) {
	w, err := c.dial(ctx, n)
	if err != nil {
		return nil, err
	}
	g := &negotiation{cfg: c, wire: w, domain: c.Domain, buf: make([]byte, 2<<10)}
	g.stop = context.AfterFunc(ctx, func() { _ = w.SetDeadline(time.Unix(1, 0)) })
	if err := g.begin(); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
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
	if find(g.features, "starttls") == nil {
		return &Error{Why: "the server offers no STARTTLS", Fix: "--tls direct\n--tls none"}
	}
	el, err := g.ask("<starttls xmlns='" + stream.NSTLS + "'/>")
	if err != nil {
		return err
	}
	if local(el) != "proceed" {
		return fmt.Errorf("load: STARTTLS was answered with <%s>", local(el))
	}
	if err := g.secure(); err != nil {
		return err
	}
	return g.header()
}

// secure begins TLS. The generator measures a server of its user's own: it takes any key.
func (g *negotiation) secure() error {
	g.in = nil // what was in clear
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
	return nil
}
