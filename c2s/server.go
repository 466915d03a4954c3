// Package c2s carries the connections of clients: from the first byte to a bound session, and then between the
// connection and the hall.
//
//	accept ─ admit ─ negotiate: header, STARTTLS, SASL, bind ─ serve: Read → Session.Receive
//	                                                              └─ write: Session.Next → Conn.Write, on demand
package c2s

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"parley/auth"
	"parley/im"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// Limits of what a peer may cost before it has signed in, and after (docs/configuration.md has those that can be set).
const (
	preAuthStanza  = 16 << 10
	preAuthTotal   = 64 << 10
	preAuthTime    = 30 * time.Second
	handshakeTime  = 10 * time.Second
	maxUnsigned    = 4096 // connections that have not signed in, all together
	maxUnsignedPer = 32   // of them from one network; loopback is exempt
	maxNames       = 3    // wrong passwords on one stream
	closeTime      = 5 * time.Second
	writeBuffer    = 64 << 10
	burstMessages  = 2000
	perSecond      = 50 // messages

	burstPresences     = 50
	presencesPerSecond = 1
	burstIQs           = 200
	iqsPerSecond       = 20

	burstArrivals     = 60 // connections from one network; loopback is exempt
	arrivalsPerSecond = 10
)

// Registrar lets people make an account before they sign in (XEP-0077). It is nil where that is not offered.
type Registrar interface {
	Handle(ctx context.Context, el *xml.Element, remote netip.Addr) (*xml.Element, error)
}

// Config is what the listeners need.
type Config struct {
	Domain   string
	Hall     *im.Server
	Accounts *auth.Accounts
	Lockout  *auth.Lockout
	Legacy   bool        // inside TLS, SCRAM-SHA-1 and PLAIN are offered too
	TLS      *tls.Config // for STARTTLS and direct TLS
	Log      *slog.Logger
	Settings Settings // at first; see Change
}

// Settings are what can change while the server runs. A connection keeps those that it has begun with.
type Settings struct {
	Register Registrar     // may be nil
	Caps     *xml.Element  // XEP-0115: announced in the stream features; may be nil
	Timeout  time.Duration // a session whose person does nothing for so long is ended; 0: never
	Stanza   int           // bytes a stanza may have
	Rates    bool          // bound the rate of messages and connections
}

// Mode says how a listener's connections are protected.
type Mode uint8

// The modes.
const (
	StartTLS Mode = iota // in clear until STARTTLS, which is required
	Direct               // TLS from the first byte (XEP-0368)
	Insecure             // never; for tests and measurements on loopback
)

// Server accepts connections of clients.
type Server struct {
	Config
	wg       sync.WaitGroup
	settings atomic.Pointer[current] // what it points to is not changed

	mu       sync.Mutex
	conns    map[*conn]struct{}   // guarded by mu: all of them
	unsigned map[netip.Prefix]int // guarded by mu: those that have not signed in, by network
	waiting  int                  // guarded by mu: their number
	arrivals arrivals             // guarded by mu
	closing  bool                 // guarded by mu
}

// New is a Server without listeners.
func New(c Config) *Server {
	v := &Server{Config: c, conns: map[*conn]struct{}{}, unsigned: map[netip.Prefix]int{}, arrivals: arrivals{}}
	v.Change(c.Settings)
	return v
}

// Change replaces the settings, for connections that come from now on.
func (v *Server) Change(s Settings) { v.settings.Store(v.current(s)) }

// Serve accepts connections on ln until it is closed, and then returns nil. Shutdown waits for the connections.
func (v *Server) Serve(ctx context.Context, ln net.Listener, mode Mode) error {
	pause := time.Duration(0)
	for {
		nc, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil: // out of files, most often: it passes
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			v.Log.Warn("connection not accepted", slog.Any("err", err))
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
			continue
		}
		pause = 0
		if tc, ok := nc.(*net.TCPConn); ok {
			_ = tc.SetWriteBuffer(writeBuffer) // the kernel would take megabytes, and an answer would come after all of them
		}
		v.Carry(ctx, nc, mode)
	}
}

// Carry serves one connection in goroutines of its own, which Shutdown waits for.
func (v *Server) Carry(ctx context.Context, nc net.Conn, mode Mode) {
	c := newConn(v, nc, mode)
	if !v.admit(c) {
		_ = nc.Close()
		return
	}
	go c.run(ctx)
}

// admit counts a connection in, or refuses it before it costs anything. Whom it counts Shutdown waits for, even if he
// comes at the same moment.
func (v *Server) admit(c *conn) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closing || v.waiting >= maxUnsigned {
		return false
	}
	near := network(c.addr)
	if c.set.Rates && !c.addr.IsLoopback() && (v.unsigned[near] >= maxUnsignedPer || !v.arrivals.come(near, time.Now())) {
		return false
	}
	v.wg.Add(1)
	v.conns[c] = struct{}{}
	v.waiting++
	v.unsigned[near]++
	return true
}

// signed takes a connection out of those that have not signed in.
func (v *Server) signed(c *conn) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.signed {
		return
	}
	c.signed = true
	v.waiting--
	near := network(c.addr)
	if v.unsigned[near]--; v.unsigned[near] == 0 {
		delete(v.unsigned, near)
	}
}

// forget takes out a connection that has ended.
func (v *Server) forget(c *conn) {
	v.signed(c)
	v.mu.Lock()
	delete(v.conns, c)
	v.mu.Unlock()
	v.wg.Done()
}

// Shutdown tells every client that the server goes, closes the streams and waits for them. The listeners are closed
// already. When ctx ends first, the connections are cut.
func (v *Server) Shutdown(ctx context.Context) {
	v.each(true, func(c *conn) { c.End(&stream.Error{Condition: stream.SystemShutdown}) })
	done := make(chan struct{})
	go func() {
		v.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		v.each(true, func(c *conn) { _ = c.stream.Close() })
		<-done
	}
}

func (v *Server) each(closing bool, f func(*conn)) {
	v.mu.Lock()
	v.closing = v.closing || closing
	list := make([]*conn, 0, len(v.conns))
	for c := range v.conns {
		list = append(list, c)
	}
	v.mu.Unlock()
	for _, c := range list {
		f(c)
	}
}

// network is the part of an address that belongs to one customer of a provider.
func network(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}
