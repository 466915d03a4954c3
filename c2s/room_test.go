package c2s_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"parley/auth"
	"parley/c2s"
	"parley/ext/archive"
	"parley/ext/ping"
	"parley/im"
	"parley/imtest"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/sasl"
)

// room is a server without a network, in the time of a testing/synctest bubble as well as in that of the world.
type room struct {
	*c2s.Server
	t    testing.TB
	ctx  context.Context
	ends sync.WaitGroup // of connections
}

type roomOptions struct {
	c2s.Config
	block  time.Duration
	store  store.Options
	engine store.Engine
	outbox int
	exts   []im.Extension
}

// newRoom is a room with these accounts.
func newRoom(t testing.TB, o roomOptions, names ...string) *room {
	t.Helper()
	ctx := context.Background()
	log := slog.New(slog.DiscardHandler)
	if o.engine == nil {
		o.engine = memory.New()
	}
	st := store.New(o.engine, o.store)
	var work sync.WaitGroup
	work.Go(func() { _ = st.Run(ctx) })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	accounts, err := auth.Open(ctx, st, auth.Options{Domain: "localhost", Iterations: sasl.MinIterations})
	must(err)
	lockout, err := auth.OpenLockout(ctx, st, auth.LockoutOptions{Duration: o.block})
	must(err)
	if o.outbox == 0 {
		o.outbox = 256 << 10
	}
	hall, err := im.New(im.Config{
		Domain: "localhost", Store: st, Directory: directory{accounts}, Everyone: accounts.Everyone, Log: log,
		Settings: im.Settings{BlockedSender: im.Explicit, Sessions: 20, Outbox: o.outbox},
	})
	must(err)
	keeps, err := archive.New(ctx, hall, archive.Options{Always: true})
	must(err)
	must(hall.Use(append([]im.Extension{keeps.Extension(), ping.New()}, o.exts...)...))
	o.Domain, o.Hall, o.Accounts, o.Lockout, o.Log = "localhost", hall, accounts, lockout, log
	if o.Settings.Stanza == 0 {
		o.Settings.Stanza = 256 << 10
	}
	r := &room{Server: c2s.New(o.Config), t: t, ctx: ctx}
	for _, name := range names {
		_, err := accounts.Add(ctx, name, imtest.Password)
		must(err)
	}
	t.Cleanup(func() {
		r.Shutdown(ctx)
		r.ends.Wait()
		_ = st.Close(ctx)
		work.Wait()
	})
	return r
}

type directory struct{ accounts *auth.Accounts }

func (d directory) Owner(localpart string) (store.Owner, bool) {
	a, ok := d.accounts.Lookup(localpart)
	return a.Owner, ok
}

// connect opens a connection. The channel is closed when the server has let go of it.
func (r *room) connect(mode c2s.Mode) (*peer, <-chan struct{}) {
	near, far := net.Pipe()
	done := make(chan struct{})
	r.ends.Go(func() {
		defer close(done)
		r.Run(r.ctx, far, mode)
		_ = far.Close()
	})
	p := newPeer(r.t, near)
	p.patience = time.Hour
	return p, done
}

// join signs in and binds, and says that it is there when available is set.
func (r *room) join(name, resource string, available bool) (*peer, <-chan struct{}) {
	r.t.Helper()
	p, done := r.connect(c2s.Insecure)
	p.toSASL()
	p.signIn(name)
	p.bind(resource)
	if available {
		p.send("<presence/>")
		p.fence()
	}
	return p, done
}

// serverTLS is a certificate made for this moment.
func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(240 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}
