// Package stream carries one XMPP stream (RFC 6120 §4) over a connection: TCP, TLS or memory, in either role.
//
//	<stream:stream …>        Open, Header      each side opens once, and again after TLS and after SASL
//	  <message/> …           Read, Write       complete first-level elements
//	  <stream:error/>        Fail
//	</stream:stream>         End
package stream

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"parley/xmpp/xml"
)

// Namespaces of streams and their negotiation.
const (
	NS      = "http://etherx.jabber.org/streams"
	NSError = "urn:ietf:params:xml:ns:xmpp-streams"
	NSTLS   = "urn:ietf:params:xml:ns:xmpp-tls"
	NSSASL  = "urn:ietf:params:xml:ns:xmpp-sasl"
	NSBind  = "urn:ietf:params:xml:ns:xmpp-bind"

	NSManagement = "urn:xmpp:sm:3" // XEP-0198

	// ALPN is the protocol name of direct TLS for clients (XEP-0368).
	ALPN = "xmpp-client"
)

// ErrInjected is returned by Secure when plaintext was waiting behind the request for TLS: whoever put it there
// wanted it to be taken for protected.
var ErrInjected = errors.New("stream: bytes in clear behind starttls")

// Conn is one stream. One goroutine reads; one at a time writes; anyone may Close, more than once.
type Conn struct {
	raw    net.Conn // fixed: what is closed, and has deadlines
	tcp    tcp      // of raw, if it is that
	direct bool     // owned by the reader while it negotiates, fixed afterwards: what is written can go to tcp

	// owned by the reader
	scan  xml.Scanner
	src   source
	total int64 // bytes still allowed before the sender has authenticated; < 0: no limit

	patience atomic.Int64 // how long a write may make no progress, in nanoseconds

	// owned by the writer of the moment
	opened bool

	// owned by the reader while it negotiates, fixed afterwards
	nc     net.Conn // raw, or TLS on top of it
	secure *tls.Conn
}

// New is a stream over nc, in clear until Secure is called.
func New(nc net.Conn, l xml.Limits) *Conn {
	c := &Conn{raw: nc, nc: nc, total: -1}
	c.scan.SetLimits(&l)
	c.patience.Store(int64(30 * time.Second))
	if c.direct = c.tcp.over(nc); c.direct {
		c.src = &c.tcp // it owns no buffer while it waits
	} else {
		c.src = &plainSource{r: nc}
	}
	return c
}

// SetLimits changes what the peer may send from the next element on. What l points to must not change any more.
func (c *Conn) SetLimits(l *xml.Limits) { c.scan.SetLimits(l) }

// SetTotal bounds all bytes that the peer may send from now on; negative lifts the bound.
func (c *Conn) SetTotal(n int64) { c.total = n }

// SetReadDeadline bounds the wait of Read and Header.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.raw.SetReadDeadline(t) }

// SetPatience bounds how long a write may make no progress before the connection counts as dead: 30 s unless set. It
// holds for a write under way, too.
func (c *Conn) SetPatience(d time.Duration) {
	c.patience.Store(int64(d))
	_ = c.raw.SetWriteDeadline(time.Now().Add(d))
}

// Protected tells whether there is TLS.
func (c *Conn) Protected() bool { return c.secure != nil }

// Read returns the next complete first-level element. io.EOF: the peer closed its stream in order;
// io.ErrUnexpectedEOF: the connection ended without that; *Error: the peer sent what must be answered with Fail.
func (c *Conn) Read() (*xml.Element, error) {
	for {
		el, err := c.scan.Next()
		switch {
		case err == nil:
			return el, nil
		case !errors.Is(err, xml.ErrMore):
			return nil, asStreamError(err)
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
}

// Next is Read as far as the peer has sent the next element already; xml.ErrMore: it takes Await. The element is lent: it is
// good until the next call or Restart, what is copied of it stays good.
func (c *Conn) Next() (*xml.Element, error) {
	el, err := c.scan.Lend()
	if err == nil {
		return el, nil
	}
	return nil, asStreamError(err)
}

// Buffered tells whether the peer has already sent more than what was read.
func (c *Conn) Buffered() bool { return c.scan.Buffered() }

// Await waits until the peer has sent more, which is what Read does when nothing complete is there. Of a connection that
// waits for long, it holds less of the goroutine's stack.
func (c *Conn) Await() error { return c.fill() }

func (c *Conn) fill() error {
	p, err := c.src.next()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		return err
	}
	if c.total >= 0 {
		if c.total -= int64(len(p)); c.total < 0 {
			c.total = 0 // nor may anything come later
			return &Error{Condition: PolicyViolation, Text: "Too much was sent before signing in."}
		}
	}
	c.scan.Feed(p)
	return nil
}

// writeChunk is the most that is handed to the connection at once: a peer on a slow link has the whole patience for
// each piece, so that only one that takes nothing at all is given up.
const writeChunk = 32 << 10

// Write sends complete elements.
func (c *Conn) Write(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), writeChunk)
		if err := c.raw.SetWriteDeadline(time.Now().Add(time.Duration(c.patience.Load()))); err != nil {
			return fmt.Errorf("stream: write: %w", err)
		}
		if _, err := c.nc.Write(p[:n]); err != nil {
			return fmt.Errorf("stream: write: %w", err)
		}
		p = p[n:]
	}
	if c.secure != nil { // TLS writes by itself, too, when it changes its keys
		_ = c.raw.SetWriteDeadline(time.Time{})
	}
	return nil
}

// Direct tells whether WriteNow ever writes anything: a TCP connection in clear.
func (c *Conn) Direct() bool { return c.direct }

// WriteNow writes as much of p as the connection takes at once, and returns how much that was.
func (c *Conn) WriteNow(p []byte) (int, error) {
	if !c.direct {
		return 0, nil
	}
	n, err := c.tcp.writeNow(p)
	if err != nil {
		return n, fmt.Errorf("stream: write: %w", err)
	}
	return n, nil
}

// Send writes one element; for negotiation, where there is no outbox yet.
func (c *Conn) Send(el *xml.Element) error { return c.Write(Append(nil, el)) }

// Append renders el as a first-level element of a stream for jabber:client. The stream's own elements get the prefix that
// Open declares, because there are peers that know them by it (RFC 6120 §4.8.5).
func Append(dst []byte, el *xml.Element) []byte {
	if el.Name.Space != NS || len(el.Attrs) > 0 {
		return el.Append(dst, "jabber:client")
	}
	dst = append(append(dst, "<stream:"...), el.Name.Local...)
	if el.Empty() {
		return append(dst, '/', '>')
	}
	dst = el.AppendInside(append(dst, '>'), "jabber:client")
	return append(append(append(dst, "</stream:"...), el.Name.Local...), '>')
}

// Secure turns the stream into a protected one, as the server or as the client; both sides open it anew afterwards.
func (c *Conn) Secure(cfg *tls.Config, server bool) error {
	if c.Buffered() {
		return ErrInjected
	}
	below := &under{Conn: c.raw, src: c.src}
	tc := tls.Client(below, cfg)
	if server {
		tc = tls.Server(below, cfg)
	}
	if err := tc.Handshake(); err != nil {
		return fmt.Errorf("stream: tls handshake: %w", err)
	}
	below.settled = true
	c.direct = false
	c.nc, c.secure = tc, tc
	c.src = &tlsSource{tls: tc, under: below}
	c.Restart()
	return nil
}

// Restart forgets the streams of both directions: they are opened anew (RFC 6120 §4.3.3).
func (c *Conn) Restart() {
	c.scan.Restart()
	c.opened = false
}

// End closes the stream in order (RFC 6120 §4.4); the connection stays for the peer's own end.
func (c *Conn) End() error {
	if !c.opened {
		return nil
	}
	return c.Write([]byte("</stream:stream>"))
}

// Linger says that nothing more will be written, and reads on for at most d, so that the last words reach a peer that is
// still sending: closing at once would destroy them on their way (RFC 1122 §4.2.2.13). The writer and the reader of
// the moment calls it, as the last thing before Close.
func (c *Conn) Linger(d time.Duration) {
	defer c.src.giveBack()
	var err error
	switch nc := c.nc.(type) {
	case *tls.Conn:
		err = nc.CloseWrite()
	case *net.TCPConn:
		err = nc.CloseWrite()
	default:
		return
	}
	if err != nil || c.raw.SetReadDeadline(time.Now().Add(d)) != nil {
		return
	}
	for n := 0; n < 1<<20; {
		p, err := c.src.next()
		if err != nil {
			return
		}
		n += len(p)
	}
}

// Close cuts the connection.
func (c *Conn) Close() error { return c.raw.Close() }
