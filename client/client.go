// Package client is the client's side of XMPP for Parley: it finds and checks a server, signs in or registers, and
// holds one session. It knows the protocol only, so it works with any server.
//
//	Probe                      which key, which domain, is registration open: nobody signs in
//	Dial                       TCP, TLS, key, SASL, bind → Session
//	Session.Start              roster, block list, presence: from here on others see this client
//	Session.Message, Command … what a person does
//	Config.Handle              what happens, as values, in order
//	Session.Close              an orderly goodbye
//
// A session whose connection broke off is taken up by the next one (Config.Before): the server resumes it, and both sides
// send what the other had not counted (XEP-0198). Where that is not possible, messages that may not have arrived are sent
// again under the same origin-id, and what came meanwhile is fetched from the archive (XEP-0313).
package client

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// Config says where to connect and as whom. Only HostPort or Domain must be set, and User and Password for Dial.
type Config struct {
	HostPort string // where the server listens (STARTTLS); "" = found by Domain: port 5223 (TLS), then 5222 (STARTTLS)
	Domain   string // of the account; "" = the one that the server names
	User     string // local part of the address
	Password string
	Register bool   // make the account first (XEP-0077)
	Resource string // asked for; "" leaves it to the server

	// Before is a session of the same account that has ended and is to be gone on with, or nil.
	Before *Session

	// Trust is asked about the server's key in the middle of the TLS handshake, before anything of the user's is sent.
	// An error ends Dial and comes out of it wrapped. Without it only certificates that an authority vouches for are taken.
	Trust func(Key) error
	Roots *x509.CertPool // authorities; nil = the computer's

	// Handle gets every Event in order, on the reader's goroutine: it may take its time, which holds up the server, but
	// must not wait for an answer of the session. May be nil.
	Handle func(Event)

	// Insecure leaves out TLS altogether: for measurements and tests on one computer, never on a network.
	Insecure bool
	// Net opens connections; nil = the network.
	Net func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Waits of connecting. A person may be watching.
const (
	dialPatience      = 5 * time.Second
	negotiatePatience = 30 * time.Second
)

// limits of what a server may send before and after we are signed in: a mistaken or hostile one costs bounded memory.
var (
	limitsBefore = xml.Limits{Bytes: 64 << 10, Depth: 20, Elements: 1000, Attrs: 50, Declarations: 50, Name: 256, Value: 8 << 10}
	limitsAfter  = xml.Limits{Bytes: 8 << 20, Depth: 100, Elements: 200_000, Attrs: 100, Declarations: 100, Name: 256, Value: 64 << 10}
)

// Info is what a server shows before anybody signs in.
type Info struct {
	HostPort     string // where it answered
	Domain       string // whom it speaks for
	Registration bool   // accounts can be made in band (XEP-0077)
}

// Probe connects as Dial does, up to the point where a client would sign in, and hangs up.
func Probe(ctx context.Context, cfg Config) (Info, error) {
	l, err := connect(ctx, &cfg)
	if err != nil {
		return Info{}, err
	}
	defer l.close()
	_ = l.conn.End()
	return Info{HostPort: l.addr, Domain: l.domain, Registration: l.offersRegistration()}, nil
}

// Dial signs in and binds a resource. The errors that people have to be told apart are *KeyError, *UnreachableError,
// ErrPassword, *LockedError, *RegisterError and *End; others say what was attempted. The session's reader runs from
// here on; Close ends it.
func Dial(ctx context.Context, cfg Config) (*Session, error) {
	l, err := connect(ctx, &cfg)
	if err != nil {
		return nil, err
	}
	s, err := l.signIn(ctx, &cfg)
	if err != nil {
		l.close()
		return nil, l.explain(ctx, err)
	}
	return s, nil
}

func (l *link) signIn(ctx context.Context, cfg *Config) (*Session, error) {
	if cfg.Register {
		if err := l.register(cfg.User, cfg.Password); err != nil {
			return nil, err
		}
	}
	if err := l.authenticate(cfg.User, cfg.Password); err != nil {
		return nil, err
	}
	mem := cfg.memory()
	me, resumed, err := l.begin(cfg, mem)
	if err != nil {
		return nil, err
	}
	if err := l.release(); err != nil {
		return nil, err
	}
	return newSession(l.conn, me, cfg, mem, resumed), nil
}

// link is a connection on its way to becoming a session. One goroutine uses it.
type link struct {
	// fixed
	addr string // host:port that answered
	host string // name that the certificate is checked against
	stop func() bool

	conn     *stream.Conn
	domain   string
	features *xml.Element
}

// close hangs up.
func (l *link) close() {
	l.stop()
	_ = l.conn.Close()
}

// release hands the connection over to a session. It fails when the context ended at the last moment and closed it, or
// somebody else did.
func (l *link) release() error {
	if !l.stop() {
		return lost(net.ErrClosed)
	}
	after := limitsAfter
	l.conn.SetLimits(&after)
	if err := l.conn.SetReadDeadline(time.Time{}); err != nil {
		return lost(err)
	}
	return nil
}

// explain prefers the reason of the caller over what it did to the connection.
func (l *link) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("client: connect: %w", ctx.Err())
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &UnreachableError{Tried: []string{l.addr}, Err: err}
	}
	return err
}

// read is the next element of the negotiation; a stream error and the end of the connection come as *End.
func (l *link) read() (*xml.Element, error) {
	el, err := l.conn.Read()
	if err != nil {
		return nil, broken(err)
	}
	if e := stream.ReadError(el); e != nil {
		return nil, endOf(e)
	}
	return el, nil
}

// broken tells what went wrong with reading during the negotiation.
func broken(err error) error {
	var timeout net.Error
	var strange *stream.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return err
	case errors.As(err, &strange):
		return fmt.Errorf("%w (%v)", ErrNotXMPP, strange)
	}
	return lost(err)
}
