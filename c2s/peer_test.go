package c2s_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"parley/imtest"
	"parley/xmpp/sasl"
	"parley/xmpp/stream"
)

// header opens a stream as any client does.
const header = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='" + stream.NS + "' to='localhost' version='1.0'>"

// peer is the other end of a connection: it sends bytes and looks at bytes, and knows nothing of XMPP.
type peer struct {
	t        testing.TB
	nc       net.Conn
	got      string        // received, and not yet looked at
	patience time.Duration // how long what must come may take
	err      error         // why nothing more comes
}

// dial connects a peer to a server and does the TLS handshake where TLS comes first.
func dial(t testing.TB, s *imtest.Server) *peer {
	t.Helper()
	nc, direct := s.Dial()
	p := newPeer(t, nc)
	if direct {
		p.secure()
	}
	return p
}

func newPeer(t testing.TB, nc net.Conn) *peer {
	p := &peer{t: t, nc: nc, patience: 20 * time.Second}
	t.Cleanup(p.close)
	return p
}

func (p *peer) close() { _ = p.nc.Close() }

func (p *peer) secure() {
	p.t.Helper()
	tc := tls.Client(p.nc, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{stream.ALPN}})
	_ = p.nc.SetDeadline(time.Now().Add(p.patience))
	if err := tc.Handshake(); err != nil {
		p.t.Fatalf("tls: %v", err)
	}
	p.nc = tc
}

// send writes text. That the server has closed the connection meanwhile is no error: the reader will see it.
func (p *peer) send(text string) {
	_ = p.nc.SetWriteDeadline(time.Now().Add(p.patience))
	_, _ = p.nc.Write([]byte(text))
}

// pour writes what next returns until it returns nothing or the connection is closed, while others read. The channel is
// closed when it has ended; it carries how many bytes were written.
func (p *peer) pour(next func() string) <-chan int {
	sent := make(chan int, 1)
	nc := p.nc
	go func() {
		n := 0
		defer func() { sent <- n }()
		for {
			text := next()
			if text == "" {
				return
			}
			_ = nc.SetWriteDeadline(time.Now().Add(p.patience))
			k, err := nc.Write([]byte(text))
			n += k
			if err != nil {
				return
			}
		}
	}()
	return sent
}

func (p *peer) read() bool {
	if p.err != nil {
		return false
	}
	buf := make([]byte, 4096)
	_ = p.nc.SetReadDeadline(time.Now().Add(p.patience))
	n, err := p.nc.Read(buf)
	p.got += string(buf[:n])
	p.err = err
	return n > 0 || err == nil
}

// get waits for text and forgets all until its end; it returns what came before it.
func (p *peer) get(text string) string {
	p.t.Helper()
	for {
		if before, after, found := strings.Cut(p.got, text); found {
			p.got = after
			return before
		}
		if !p.read() {
			p.t.Fatalf("waited for %q, got %q and %v", text, p.got, p.err)
		}
	}
}

// end reads until the server has closed the connection, and returns what came.
func (p *peer) end() string {
	p.t.Helper()
	for p.read() {
		continue
	}
	if ne, ok := p.err.(net.Error); ok && ne.Timeout() {
		p.t.Fatalf("not closed; the last words are %q", p.got)
	}
	p.close()
	return p.got
}

// follow reads until the connection has ended; then the channel is closed, and all that came is there to be looked at.
func (p *peer) follow() <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for p.read() {
			continue
		}
	}()
	return ended
}

// refused expects the stream to end with this condition.
func (p *peer) refused(condition stream.Condition) {
	p.t.Helper()
	got := p.end()
	if want := "<" + string(condition) + " xmlns='" + stream.NSError + "'/>"; !strings.Contains(got, want) || !strings.HasSuffix(got, "</stream:stream>") {
		p.t.Errorf("closed with %q instead of %s (%v)", got, condition, p.err)
	}
}

// open opens the stream and returns the features.
func (p *peer) open() string {
	p.t.Helper()
	p.send(header)
	p.get("<stream:features>")
	return p.get("</stream:features>")
}

// toSASL brings the connection to where SASL is offered.
func (p *peer) toSASL() {
	p.t.Helper()
	if strings.Contains(p.open(), "<starttls") {
		p.startTLS()
		p.open()
	}
}

func (p *peer) startTLS() {
	p.t.Helper()
	p.send("<starttls xmlns='" + stream.NSTLS + "'/>")
	p.get("<proceed xmlns='" + stream.NSTLS + "'/>")
	p.secure()
}

func firstMessage(text string) string {
	return "<auth xmlns='" + stream.NSSASL + "' mechanism='" + sasl.Mechanism + "'>" + sasl.Encode([]byte(text)) + "</auth>"
}

func proofMessage(text string) string {
	return "<response xmlns='" + stream.NSSASL + "'>" + sasl.Encode([]byte(text)) + "</response>"
}

// challenge waits for the server's challenge and returns it in clear.
func (p *peer) challenge() string {
	p.t.Helper()
	p.get("<challenge xmlns='" + stream.NSSASL + "'>")
	text, err := sasl.Decode(p.get("</challenge>"))
	if err != nil {
		p.t.Fatalf("challenge: %v", err)
	}
	return string(text)
}

// attempt does a SASL exchange up to the proof, and returns what the server says to it.
func (p *peer) attempt(name, password string) string {
	p.t.Helper()
	x, err := sasl.NewClient(name, password, "")
	if err != nil {
		p.t.Fatal(err)
	}
	first, _, err := x.Step(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(firstMessage(string(first)))
	answer := p.element()
	text, ok := strings.CutPrefix(answer, "<challenge xmlns='"+stream.NSSASL+"'>")
	if !ok {
		return answer
	}
	in, err := sasl.Decode(strings.TrimSuffix(text, "</challenge>"))
	if err != nil {
		p.t.Fatal(err)
	}
	proof, _, err := x.Step(in)
	if err != nil {
		p.t.Fatal(err)
	}
	p.send(proofMessage(string(proof)))
	return p.element()
}

// element waits for the next element of a SASL exchange.
func (p *peer) element() string {
	p.t.Helper()
	for {
		if empty := "<success xmlns='" + stream.NSSASL + "'/>"; strings.HasPrefix(p.got, empty) { // of PLAIN
			p.got = strings.TrimPrefix(p.got, empty)
			return empty
		}
		for _, name := range []string{"challenge", "success", "failure"} {
			if before, after, found := strings.Cut(p.got, "</"+name+">"); found {
				p.got = after
				return before + "</" + name + ">"
			}
		}
		if !p.read() {
			p.t.Fatalf("waited for an answer of SASL, got %q and %v", p.got, p.err)
		}
	}
}

// signIn signs in, and opens the stream that follows.
func (p *peer) signIn(name string) {
	p.t.Helper()
	if answer := p.attempt(name, imtest.Password); !strings.HasPrefix(answer, "<success") {
		p.t.Fatalf("sign in as %s: %s", name, answer)
	}
	p.open()
}

// bind binds a resource.
func (p *peer) bind(resource string) {
	p.t.Helper()
	p.send(fmt.Sprintf("<iq type='set' id='bind'><bind xmlns='%s'><resource>%s</resource></bind></iq>", stream.NSBind, resource))
	p.get("</jid></bind></iq>")
}

// fence waits until the server has dealt with all that was sent.
func (p *peer) fence() {
	p.t.Helper()
	p.send("<iq type='get' to='localhost' id='fence'><ping xmlns='urn:xmpp:ping'/></iq>")
	p.get("id='fence'")
}

// point is a place in the life of a stream.
type point struct {
	name   string
	reach  func(p *peer)
	clear  bool // only where a connection begins in clear and TLS is to come
	header bool // a header is due
	bound  bool // there is a session
}

// points are all places where bytes of a client are read.
func points() []point {
	return []point{
		{name: "instead of the header", header: true, reach: func(*peer) {}},
		{name: "instead of starttls", clear: true, reach: func(p *peer) { p.open() }},
		{name: "instead of the header after TLS", clear: true, header: true, reach: func(p *peer) { p.open(); p.startTLS() }},
		{name: "instead of auth", reach: func(p *peer) { p.toSASL() }},
		{name: "instead of the response", reach: func(p *peer) { p.toSASL(); p.send(firstMessage("n,,n=alice,r=abc")); p.challenge() }},
		{name: "instead of the header after SASL", header: true, reach: func(p *peer) {
			p.toSASL()
			if answer := p.attempt("alice", imtest.Password); !strings.HasPrefix(answer, "<success") {
				p.t.Fatal(answer)
			}
		}},
		{name: "instead of bind", reach: func(p *peer) { p.toSASL(); p.signIn("alice") }},
		{name: "in the session", bound: true, reach: func(p *peer) {
			p.toSASL()
			p.signIn("alice")
			p.bind("")
		}},
		{name: "available", bound: true, reach: func(p *peer) {
			p.toSASL()
			p.signIn("alice")
			p.bind("")
			p.send("<presence/>")
			p.fence()
		}},
	}
}

// has tells whether a server reached over that transport has the point.
func (x point) on(tr imtest.Transport) bool { return !x.clear || tr == imtest.TCP }
