package stream

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/xmpp/xml"
)

// ends are two ends of a connection: over memory, or over TCP.
func ends(t *testing.T, tcp bool) (near, far net.Conn) {
	t.Helper()
	if !tcp {
		near, far = net.Pipe()
	} else {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if near, err = net.Dial("tcp", ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
		if far, err = ln.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
	})
	return near, far
}

// each runs a test over memory and over TCP.
func each(t *testing.T, test func(t *testing.T, near net.Conn, c *Conn)) {
	for name, tcp := range map[string]bool{"memory": false, "tcp": true} {
		t.Run(name, func(t *testing.T) {
			near, far := ends(t, tcp)
			_ = near.SetDeadline(time.Now().Add(10 * time.Second))
			test(t, near, New(far, xml.Limits{Bytes: 1000}))
		})
	}
}

const opening = "<stream:stream xmlns='jabber:client' xmlns:stream='" + NS + "' to='here' from='me' version='1.0' xml:lang='de' id='i'>"

func TestHeader(t *testing.T) {
	each(t, func(t *testing.T, near net.Conn, c *Conn) {
		go func() { _, _ = io.WriteString(near, "<?xml version='1.0'?>"+opening) }()
		h, err := c.Header()
		if want := (Header{From: "me", To: "here", ID: "i", Lang: "de", Version: "1.0"}); err != nil || h != want {
			t.Errorf("got %+v, %v", h, err)
		}
	})
	for text, want := range map[string]Condition{
		strings.Replace(opening, "1.0", "1.1", 1):                     "",
		strings.Replace(opening, "1.0", "12.34", 1):                   "",
		strings.Replace(opening, "1.0", "0.9", 1):                     UnsupportedVersion,
		strings.Replace(opening, "1.0", "1", 1):                       UnsupportedVersion,
		strings.Replace(opening, "1.0", "-1.0", 1):                    UnsupportedVersion,
		strings.Replace(opening, "1.0", "1.x", 1):                     UnsupportedVersion,
		strings.Replace(opening, " version='1.0'", "", 1):             UnsupportedVersion,
		strings.Replace(opening, "jabber:client", "jabber:server", 1): InvalidNamespace,
		strings.Replace(opening, NS, "x", 1):                          InvalidNamespace,
		strings.Replace(opening, "<stream:stream", "<stream:x", 1):    BadFormat,
		"<a:stream version='1.0'>":                                    BadNamespacePrefix,
		"<!DOCTYPE x>":                                                RestrictedXML,
		"\xff":                                                        UnsupportedEncoding,
		"x":                                                           NotWellFormed,
		"<" + strings.Repeat("x", 2000):                               PolicyViolation,
	} {
		near, far := ends(t, false)
		go func() { _, _ = io.WriteString(near, text) }()
		_, err := New(far, xml.Limits{Bytes: 1000}).Header()
		var e *Error
		if errors.As(err, &e) && e.Condition != want || err == nil && want != "" || err != nil && e == nil {
			t.Errorf("%.100s: %v instead of %q", text, err, want)
		}
	}
}

// TestRead: elements come one by one however they are cut; the ways in which a stream ends can be told apart.
func TestRead(t *testing.T) {
	const text = opening + "<a b='ä'>x</a> <c xmlns='d'/>\n"
	for _, c := range []struct {
		name, end string
		shut      bool
		want      error
	}{
		{"in order", "</stream:stream>", false, io.EOF},
		{"cut", "", true, io.ErrUnexpectedEOF},
		{"cut in an element", "<a", true, io.ErrUnexpectedEOF},
	} {
		each(t, func(t *testing.T, near net.Conn, s *Conn) {
			go func() {
				for _, b := range []byte(text + c.end) {
					_, _ = near.Write([]byte{b})
				}
				if c.shut {
					_ = near.Close()
				}
			}()
			if _, err := s.Header(); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"<a b='ä'>x</a>", "<c xmlns='d'/>"} {
				if el, err := s.Read(); err != nil || string(Append(nil, el)) != want {
					t.Fatalf("%s: got %s, %v instead of %s", c.name, el, err, want)
				}
			}
			for range 2 {
				if el, err := s.Read(); !errors.Is(err, c.want) {
					t.Errorf("%s: got %s, %v instead of %v", c.name, el, err, c.want)
				}
			}
		})
	}
}

// TestElementsStay: what was read does not change when more is read into the same buffers.
func TestElementsStay(t *testing.T) {
	near, far := ends(t, true)
	c := New(far, xml.Limits{})
	const n = 2000
	go func() {
		_, _ = io.WriteString(near, opening)
		for i := range n {
			_, _ = io.WriteString(near, "<m>"+strings.Repeat(string(rune('a'+i%26)), 50+i%100)+"</m>")
		}
	}()
	if _, err := c.Header(); err != nil {
		t.Fatal(err)
	}
	var all []*xml.Element
	for range n {
		el, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, el)
	}
	for i, el := range all {
		if want := strings.Repeat(string(rune('a'+i%26)), 50+i%100); el.Text() != want {
			t.Fatalf("element %d says %q instead of %q", i, el.Text(), want)
		}
	}
}

func TestTotal(t *testing.T) {
	each(t, func(t *testing.T, near net.Conn, c *Conn) {
		c.SetTotal(int64(len(opening)) + 500)
		go func() {
			_, _ = io.WriteString(near, opening)
			for range 2000 {
				if _, err := io.WriteString(near, "<a/>"); err != nil {
					return
				}
			}
		}()
		_, err := c.Header()
		n := 0
		for ; err == nil; n++ {
			_, err = c.Read()
		}
		var e *Error
		if !errors.As(err, &e) || e.Condition != PolicyViolation || n > 130 {
			t.Errorf("%v after %d elements", err, n)
		}
		if _, err = c.Read(); !errors.As(err, &e) {
			t.Errorf("and then: %v", err)
		}
	})
}

func TestDeadline(t *testing.T) {
	each(t, func(t *testing.T, near net.Conn, c *Conn) {
		go func() { _, _ = io.WriteString(near, opening+"<a>") }()
		if _, err := c.Header(); err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(10 * time.Millisecond)
			_ = c.SetReadDeadline(time.Unix(1, 0))
		}()
		if _, err := c.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Time{}) // and goes on where it was
		go func() { _, _ = io.WriteString(near, "x</a>") }()
		if el, err := c.Read(); err != nil || el.Text() != "x" {
			t.Errorf("got %s, %v", el, err)
		}
	})
}

// TestPatience: a peer who takes a piece within the time is waited for, however much there is, one who does not is not;
// and patience can be shortened while a write waits.
func TestPatience(t *testing.T) {
	const much = 200 << 10
	for _, x := range []struct {
		name    string
		rate    int // bytes a second
		shorten time.Duration
		gaveUp  time.Duration // 0: not at all
	}{
		{"slow", 2 << 10, 0, 0},
		{"too slow", 1 << 10, 0, 30 * time.Second},
		{"dead", 0, 0, 30 * time.Second},
		{"dead, shortened", 0, 5 * time.Second, 6 * time.Second},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				var reads sync.WaitGroup
				defer reads.Wait()
				defer near.Close()
				defer far.Close()
				c := New(far, xml.Limits{})
				if x.rate > 0 {
					reads.Go(func() {
						for buf := make([]byte, x.rate); ; time.Sleep(time.Second) {
							if _, err := io.ReadFull(near, buf); err != nil {
								return
							}
						}
					})
				}
				if x.shorten > 0 {
					time.AfterFunc(x.shorten, func() { c.SetPatience(time.Second) })
				}
				began := time.Now()
				err := c.Write(make([]byte, much))
				took := time.Since(began)
				switch {
				case x.gaveUp == 0 && err != nil:
					t.Errorf("gave up after %v: %v", took, err)
				case x.gaveUp > 0 && (!errors.Is(err, os.ErrDeadlineExceeded) || took != x.gaveUp):
					t.Errorf("after %v: %v", took, err)
				}
			})
		})
	}
}

func TestFail(t *testing.T) {
	app := xml.New("urn:x", "y", xml.A("z", "1"))
	e := &Error{Condition: PolicyViolation, Text: "a < b", App: app}
	for _, opened := range []bool{false, true} {
		near, far := ends(t, false)
		c := New(far, xml.Limits{})
		go func() {
			if opened {
				_ = c.Open(Header{From: "here", ID: "i", Lang: "en"})
			}
			_ = c.Fail(e, Header{From: "here", ID: "i", Lang: "en"})
			_ = far.Close()
		}()
		got, err := io.ReadAll(near)
		want := "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='" + NS + "' from='here' id='i' version='1.0' xml:lang='en'>" +
			"<stream:error><policy-violation xmlns='" + NSError + "'/><text xmlns='" + NSError + "'>a &lt; b</text><y xmlns='urn:x' z='1'/></stream:error></stream:stream>"
		if err != nil || string(got) != want {
			t.Errorf("opened %v: got  %s (%v)\nwant %s", opened, got, err, want)
		}
		c = New(&reader{r: bytes.NewReader(got)}, xml.Limits{})
		if _, err := c.Header(); err != nil {
			t.Fatal(err)
		}
		el, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		back := ReadError(el)
		if back == nil || back.Condition != e.Condition || back.Text != e.Text || back.App.String() != app.String() {
			t.Errorf("read back: %v", back)
		}
		if !strings.Contains(back.Error(), "policy-violation: a < b") {
			t.Error(back)
		}
	}
	if ReadError(xml.New("jabber:client", "error")) != nil || ReadError(Features()) != nil {
		t.Error("something else was read as an error")
	}
}

// reader is a connection of which only reading is used.
type reader struct {
	net.Conn
	r io.Reader
}

func (r *reader) Read(p []byte) (int, error) { return r.r.Read(p) }

func TestAppend(t *testing.T) {
	for want, el := range map[string]*xml.Element{
		"<stream:features/>": Features(),
		"<stream:features><starttls xmlns='" + NSTLS + "'/><x xmlns='jabber:client'/></stream:features>": Features(xml.New(NSTLS, "starttls"), xml.New("jabber:client", "x")),
		"<message to='x'><body>y</body></message>":                                                       xml.New("jabber:client", "message", xml.A("to", "x")).With(xml.New("jabber:client", "body").WithText("y")),
		"<a xmlns='b'/>": xml.New("b", "a"),
	} {
		if got := string(Append(nil, el)); got != want {
			t.Errorf("got %s instead of %s", got, want)
		}
	}
}

func TestEnd(t *testing.T) {
	near, far := ends(t, false)
	c := New(far, xml.Limits{})
	if err := c.End(); err != nil { // says nothing: nobody reads
		t.Error(err)
	}
	go func() {
		_ = c.Open(Header{})
		_ = c.End()
		_ = c.Close()
		_ = c.Close()
	}()
	if got, _ := io.ReadAll(near); !strings.HasSuffix(string(got), "version='1.0'></stream:stream>") {
		t.Errorf("got %s", got)
	}
}

// TestSecure: TLS on both sides, in both kinds of connection; nothing of the time before is left.
func TestSecure(t *testing.T) {
	cfg := certificate(t)
	each(t, func(t *testing.T, near net.Conn, c *Conn) {
		other := New(near, xml.Limits{})
		secured := make(chan error, 1)
		go func() { secured <- other.Secure(&tls.Config{InsecureSkipVerify: true}, false) }()
		if c.Protected() {
			t.Error("protected before")
		}
		if err := c.Secure(cfg, true); err != nil {
			t.Fatal(err)
		}
		if err := <-secured; err != nil {
			t.Fatal(err)
		}
		if !c.Protected() || c.secure.ConnectionState().Version != tls.VersionTLS13 {
			t.Error("not protected afterwards")
		}
		go func() { _ = other.Open(Header{To: "here"}) }()
		if h, err := c.Header(); err != nil || h.To != "here" {
			t.Error(h, err)
		}
		go func() { _ = other.Write([]byte(strings.Repeat("<a/>", 5000))) }()
		for range 5000 {
			if _, err := c.Read(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestSecureInjection: what was sent in clear before the handshake is never read behind it.
func TestSecureInjection(t *testing.T) {
	each(t, func(t *testing.T, near net.Conn, c *Conn) {
		go func() { _, _ = io.WriteString(near, opening+"<starttls/><a/>") }()
		if _, err := c.Header(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
		if !c.Buffered() {
			t.Skip("the second element came later")
		}
		if err := c.Secure(&tls.Config{}, true); !errors.Is(err, ErrInjected) {
			t.Error(err)
		}
	})
}

// TestLinger: the last words reach a peer who is still sending.
func TestLinger(t *testing.T) {
	for range 20 {
		near, far := ends(t, true)
		c := New(far, xml.Limits{})
		go func() {
			for {
				if _, err := near.Write(make([]byte, 4096)); err != nil {
					return
				}
			}
		}()
		go func() {
			_ = c.Write([]byte("farewell"))
			c.Linger(time.Second)
			_ = c.Close()
		}()
		got := make([]byte, 100)
		n, err := io.ReadFull(near, got)
		if string(got[:n]) != "farewell" {
			t.Fatalf("got %q, %v", got[:n], err)
		}
		_ = near.Close()
	}
}

func certificate(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"here"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}
