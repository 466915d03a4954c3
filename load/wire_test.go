package load

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"testing"
	"time"
)

// ends are the two ends of a TCP connection; the loop has the first one.
func ends(t *testing.T) (*wire, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return &wire{Conn: near}, far
}

func newTestLoop(t *testing.T) *loop {
	t.Helper()
	l, err := newLoop()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// TestHalfWritten: what the kernel does not take at once leaves when it can, in order, while the rest goes on.
func TestHalfWritten(t *testing.T) {
	w, far := ends(t)
	l := newTestLoop(t)
	c := &conn{wire: w, jid: "a"}
	if err := l.add(c); err != nil {
		t.Fatal(err)
	}
	var want []byte
	write := func(n int, b byte) {
		p := bytes.Repeat([]byte{b}, n)
		want = append(want, p...)
		l.send(c, func(dst []byte) []byte { return append(dst, p...) })
		if err := l.run(t.Context(), l.clock()+time.Millisecond, nil); err != nil {
			t.Fatal(err)
		}
	}
	write(1, 'a')
	if len(w.rest) > 0 || c.wants {
		t.Fatal("one byte does not leave")
	}
	write(8<<20, 'b')
	write(1, 'c')
	write(1000, 'd')
	if len(w.rest) == 0 || !c.wants {
		t.Fatal("nothing is left: that proves nothing")
	}
	read := make(chan []byte, 1)
	go func() {
		p := make([]byte, len(want))
		n, _ := io.ReadFull(far, p)
		read <- p[:n]
	}()
	if err := l.run(t.Context(), l.clock()+20*time.Second, func() bool { return len(w.rest) == 0 && !c.wants }); err != nil {
		t.Fatal(err)
	}
	if got := <-read; !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, of %d, or others", len(got), len(want))
	}
	far.Close()
	for range 3 { // until the reset is there
		l.send(c, func(dst []byte) []byte { return append(dst, 'e') })
		if err := l.run(t.Context(), l.clock()+time.Second, func() bool { return l.conns[0] == nil }); err != nil {
			break
		}
	}
	if l.failed == nil || w.fd != -1 {
		t.Errorf("%v, %d", l.failed, w.fd)
	}
	if _, err := w.Write([]byte("f")); err == nil {
		t.Error("a closed connection takes something")
	}
}

// gathered holds what is written until it is told to let go.
type gathered struct {
	net.Conn
	hold bool
	all  []byte
}

func (g *gathered) Write(p []byte) (int, error) {
	if !g.hold {
		return g.Conn.Write(p)
	}
	g.all = append(g.all, p...)
	return len(p), nil
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// TestRecords: many records of TLS that come at once are all read, although epoll reports them once; those too that came before
// the loop had the connection.
func TestRecords(t *testing.T) {
	for _, before := range []bool{false, true} {
		w, far := ends(t)
		g := &gathered{Conn: far}
		server := tls.Server(g, &tls.Config{Certificates: []tls.Certificate{certificate(t)}})
		shaken := make(chan error, 1)
		go func() { shaken <- server.Handshake() }()
		w.secure = tls.Client(w, &tls.Config{InsecureSkipVerify: true})
		if err := w.secure.Handshake(); err != nil {
			t.Fatal(err)
		}
		if err := <-shaken; err != nil {
			t.Fatal(err)
		}
		const n = 200
		g.hold = true
		for range n {
			if _, err := server.Write([]byte("<message/>")); err != nil {
				t.Fatal(err)
			}
		}
		l := newTestLoop(t)
		c := &conn{wire: w, jid: "a"}
		came := 0
		l.handle = func(*conn, []byte) { came++ }
		if before {
			_, _ = far.Write(g.all)
			time.Sleep(10 * time.Millisecond)
		}
		if err := l.add(c); err != nil {
			t.Fatal(err)
		}
		if !before {
			_, _ = far.Write(g.all)
		}
		if err := l.run(t.Context(), l.clock()+2*time.Second, func() bool { return came == n }); err != nil || came != n {
			t.Errorf("before the loop: %v: %d of %d, %v", before, came, n, err)
		}
	}
}

// TestReason: why the server has closed a connection is told, not that it cannot be written to.
func TestReason(t *testing.T) {
	w, far := ends(t)
	if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	l := newTestLoop(t)
	c := &conn{wire: w, jid: "a"}
	if err := l.add(c); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write([]byte("<stream:error><conflict/></stream:error></stream:stream>")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Millisecond)
	l.send(c, func(dst []byte) []byte { return append(dst, '.') })
	if err := l.run(t.Context(), l.clock()+time.Second, nil); err == nil || err.Error() != "load: a: the server ends the stream: <stream:error><conflict/></stream:error>" {
		t.Errorf("%v", err)
	}
}
