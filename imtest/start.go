// Package imtest starts whole servers for tests and talks XMPP to them: scripted dialogues in text files (see Play),
// and clients that send and expect single stanzas. Only tests import it.
package imtest

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"testing"

	"parley/c2s"
	"parley/config"
	"parley/im"
	"parley/server"
	"parley/store"
	"parley/store/memory"
)

// Transport is a way to reach a server.
type Transport string

// The transports. Every dialogue runs over each of them.
const (
	TCP    Transport = "tcp"    // in clear until STARTTLS
	TLS    Transport = "tls"    // from the first byte
	Clear  Transport = "clear"  // no TLS
	Memory Transport = "memory" // no network and no TLS
)

// Transports are all of them.
func Transports() []Transport { return []Transport{Memory, Clear, TCP, TLS} }

// Server is a running server.
type Server struct {
	*server.Server
	t         testing.TB
	transport Transport
	ctx       context.Context
	stop      context.CancelFunc
	ended     chan struct{}
	once      sync.Once
	Engine    store.Engine
}

// Options say how a server differs from the default one: memory for storage, no rate limits, 4,096 iterations.
type Options struct {
	Transport Transport
	Settings  map[string]string // by key, as in docs/configuration.md
	Engine    store.Engine
	Store     store.Options
	First     []im.Extension // see server.Parts
	Last      []im.Extension
}

// Start starts a server, and stops it when the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Transport == "" {
		o.Transport = Memory
	}
	c := settings(t, o.Settings)
	c.Port, c.Listen, c.TLSPort = 0, []string{"127.0.0.1"}, 0
	if o.Transport == Clear {
		c.InsecureListen = "127.0.0.1:0"
	}
	if o.Engine == nil {
		o.Engine = memory.New()
	}
	ctx, stop := context.WithCancel(context.Background())
	srv, err := server.NewWith(ctx, c, Logger(t), server.Parts{Engine: o.Engine, Store: o.Store, Version: "0-test", First: o.First, Last: o.Last})
	if err != nil {
		t.Fatalf("start a server: %v", err)
	}
	s := &Server{Server: srv, t: t, transport: o.Transport, ctx: ctx, stop: stop, ended: make(chan struct{}), Engine: o.Engine}
	go func() {
		defer close(s.ended)
		if err := srv.Serve(ctx); err != nil {
			t.Errorf("server: %v", err)
		}
	}()
	t.Cleanup(s.Stop)
	return s
}

func settings(t testing.TB, given map[string]string) config.Config {
	t.Helper()
	args := map[string]config.Arg{"auth.iterations": {Text: "4096"}, "limits.rates": {Text: "false"}, "data": {Text: "/nowhere"}}
	for key, value := range given {
		args[key] = config.Arg{Text: value, Name: key}
	}
	c, err := config.Load(config.Sources{Args: args})
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		t.Fatalf("settings of the server: %v", err)
	}
	return c
}

// Stop stops the server in order and waits for it.
func (s *Server) Stop() {
	s.once.Do(func() {
		s.stop()
		<-s.ended
	})
}

// Password is the password of every account that tests make.
const Password = "correct horse battery"

// Account makes accounts.
func (s *Server) Account(names ...string) {
	s.t.Helper()
	for _, name := range names {
		if _, err := s.Accounts().Add(s.ctx, name, Password); err != nil {
			s.t.Fatalf("add %s: %v", name, err)
		}
	}
}

// Dial opens a connection to the server, without a word of XMPP. direct tells whether TLS comes first.
func (s *Server) Dial() (nc net.Conn, direct bool) {
	s.t.Helper()
	if s.transport == Memory {
		near, far := net.Pipe()
		s.Clients().Carry(s.ctx, far, c2s.Insecure)
		return near, false
	}
	addr := s.Facts().Listen
	switch s.transport {
	case Clear:
		addr = s.Facts().Insecure
	case TLS:
		addr = s.Facts().TLSListen
	}
	nc, err := net.DialTimeout("tcp", addr[0], patience)
	if err != nil {
		s.t.Fatal(err)
	}
	return nc, s.transport == TLS
}

// clientTLS takes any certificate: what is tested here is not the client.
func clientTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"xmpp-client"}}
}

// Logger writes a server's log to the test's.
func Logger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	if w.t.Context().Err() == nil {
		w.t.Logf("%s", p[:max(0, len(p)-1)])
	}
	return len(p), nil
}
