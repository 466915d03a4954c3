package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"parley/xmpp/jid"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

const nsRegisterFeature = "http://jabber.org/features/iq-register"

// place is one address to try.
type place struct {
	addr   string
	direct bool // TLS from the first byte (XEP-0368)
}

// places are tried one after the other.
func (c *Config) places() ([]place, error) {
	if c.HostPort != "" {
		return []place{{addr: c.HostPort}}, nil
	}
	if c.Domain == "" {
		return nil, errors.New("client: neither an address nor a domain is given")
	}
	host := c.Domain
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' { // an IPv6 address as a domain
		host = host[1 : n-1]
	}
	return []place{{net.JoinHostPort(host, "5223"), true}, {net.JoinHostPort(host, "5222"), false}}, nil
}

// connect brings a link to the point where one signs in: protected, the server's key accepted, features read.
func connect(ctx context.Context, cfg *Config) (*link, error) {
	places, err := cfg.places()
	if err != nil {
		return nil, err
	}
	missed := &UnreachableError{}
	for _, p := range places {
		l, err := connectTo(ctx, cfg, p)
		if err == nil {
			return l, nil
		}
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) {
			return nil, err
		}
		missed.Tried, missed.Err = append(missed.Tried, p.addr), unreachable.Err
	}
	return nil, missed
}

func connectTo(ctx context.Context, cfg *Config, p place) (*link, error) {
	nc, err := openConn(ctx, cfg, p.addr)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("client: connect: %w", ctx.Err())
		}
		return nil, &UnreachableError{Tried: []string{p.addr}, Err: err}
	}
	_ = nc.SetDeadline(time.Now().Add(negotiatePatience))
	l := &link{addr: p.addr, host: cfg.Domain, conn: stream.New(nc, limitsBefore), domain: cfg.Domain}
	if host, _, err := net.SplitHostPort(p.addr); l.host == "" && err == nil {
		l.host = host
	}
	l.stop = context.AfterFunc(ctx, func() { _ = nc.Close() })
	if err := l.negotiate(cfg, p.direct); err != nil {
		l.close()
		return nil, l.explain(ctx, err)
	}
	return l, nil
}

func openConn(ctx context.Context, cfg *Config, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	if cfg.Net != nil {
		return cfg.Net(ctx, "tcp", addr)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

// negotiate secures the connection; there is no way around it but Config.Insecure.
func (l *link) negotiate(cfg *Config, direct bool) error {
	switch {
	case cfg.Insecure:
		return l.open(cfg.Domain)
	case direct:
		if err := l.secure(cfg, stream.ALPN); err != nil {
			return err
		}
		return l.open(cfg.Domain)
	}
	if err := l.open(cfg.Domain); err != nil {
		return err
	}
	if !l.features.Has(stream.NSTLS, "starttls") {
		return ErrNoTLS
	}
	if err := l.conn.Send(xml.New(stream.NSTLS, "starttls")); err != nil {
		return lost(err)
	}
	el, err := l.read()
	if err != nil {
		return err
	}
	if el.Name != (xml.Name{Space: stream.NSTLS, Local: "proceed"}) {
		return ErrNoTLS
	}
	if err := l.secure(cfg); err != nil {
		return err
	}
	// What the server said in clear is forgotten, the domain above all: anybody could have said it.
	return l.open(cfg.Domain)
}

func (l *link) secure(cfg *Config, protocols ...string) error {
	err := l.conn.Secure(l.tlsConfig(cfg, protocols...), false)
	var refused *KeyError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return refused
	case errors.Is(err, stream.ErrInjected):
		return fmt.Errorf("client: start tls: %w", err)
	}
	return &UnreachableError{Tried: []string{l.addr}, Err: fmt.Errorf("client: start tls: %w", err)}
}

// open opens the stream and reads the server's header and features. Without a domain of our own the server's is taken.
func (l *link) open(domain string) error {
	if err := l.conn.Open(stream.Header{To: domain, Lang: "en"}); err != nil {
		return lost(err)
	}
	h, err := l.conn.Header()
	if err != nil {
		return broken(err)
	}
	el, err := l.read()
	if err != nil {
		return err
	}
	if el.Name != (xml.Name{Space: stream.NS, Local: "features"}) {
		return fmt.Errorf("client: expected the stream's features, got <%s>", el.Name.Local)
	}
	l.features = el
	from, err := jid.Parse(h.From)
	switch {
	case h.From == "" && domain != "":
		return nil
	case err != nil || !from.IsServer():
		return errors.New("client: the server does not say whom it speaks for")
	}
	if domain != "" {
		want, err := jid.Parse(domain)
		if err != nil {
			return fmt.Errorf("client: domain %q: %w", domain, err)
		}
		if want != from {
			return fmt.Errorf("client: asked for %s, the server speaks for %s", want, from)
		}
	}
	l.domain = from.Domain()
	return nil
}

// offersRegistration tells whether the server announces XEP-0077.
func (l *link) offersRegistration() bool { return l.features.Has(nsRegisterFeature, "register") }
