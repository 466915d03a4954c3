package stream

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"parley/xmpp/xml"
)

// tap is the client's side of a connection below TLS: it holds back what is written until it is let go.
type tap struct {
	net.Conn
	hold bool
	kept []byte
}

func (p *tap) Write(b []byte) (int, error) {
	if !p.hold {
		return p.Conn.Write(b)
	}
	p.kept = append(p.kept, b...)
	return len(b), nil
}

// secured is a protected stream that has read its peer's header, and the peer, who now holds back what he writes.
func secured(t *testing.T) (c *Conn, peer *tls.Conn, below *tap) {
	t.Helper()
	near, far := ends(t, true)
	_ = near.SetDeadline(time.Now().Add(10 * time.Second))
	c, below = New(far, xml.Limits{}), &tap{Conn: near}
	peer = tls.Client(below, &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true})
	done := make(chan error, 1)
	go func() { done <- peer.Handshake() }()
	if err := c.Secure(certificate(t), true); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := peer.Write([]byte(opening)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Header(); err != nil {
		t.Fatal(err)
	}
	below.hold = true
	return c, peer, below
}

// TestTLSDrained: what has arrived is read, however records and pieces of the connection fall together, although nothing
// comes after it that would wake the reader. A reader that waits for the connection while something is left inside TLS hangs.
func TestTLSDrained(t *testing.T) {
	for name, records := range map[string][]string{
		"several records at once":              {"<a/>", "<b/><c/>", "<d/>"},
		"a record larger than a buffer":        {"<a>" + strings.Repeat("x", 3*readSize) + "</a>"},
		"a record as long as a buffer":         {"<a>" + strings.Repeat("x", readSize-7) + "</a>"},
		"the largest record":                   {strings.Repeat("<abcde/>", 16<<10/8)},
		"elements over records":                {"<a>x", "y", "z</a><b/>"},
		"many records, cut by buffers":         strings.SplitAfter(strings.Repeat("<a>"+strings.Repeat("x", 1000)+"</a>", 50), "</a>"),
		"the largest record and a small one":   {strings.Repeat("<abcde/>", 16<<10/8), "<a/>"},
		"a record that ends where a read ends": {"<a>" + strings.Repeat("x", readSize-5-17-7) + "</a>", "<b/>"},
	} {
		t.Run(name, func(t *testing.T) {
			c, peer, below := secured(t)
			want := strings.Count(strings.Join(records, ""), "/")
			for _, text := range records {
				if text == "" {
					continue
				}
				if _, err := peer.Write([]byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := below.Conn.Write(below.kept); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			for n := range want {
				if _, err := c.Read(); err != nil {
					t.Fatalf("element %d of %d: %v", n, want, err)
				}
			}
		})
	}
}

// TestTLSInPieces: a record that comes in pieces, with pauses in which the reader's deadline passes, is read as one.
func TestTLSInPieces(t *testing.T) {
	for _, size := range []int{10, 6000} {
		c, peer, below := secured(t)
		text := "<a>" + strings.Repeat("x", size) + "</a>"
		if _, err := peer.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		for i, cut := range []int{1, 3, 2, 10, len(below.kept) - 17, 1} {
			if _, err := below.Conn.Write(below.kept[:cut]); err != nil {
				t.Fatal(err)
			}
			below.kept = below.kept[cut:]
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			switch el, err := c.Read(); {
			case len(below.kept) > 0 && !errors.Is(err, os.ErrDeadlineExceeded):
				t.Fatalf("piece %d: %v, %v", i, el, err)
			case len(below.kept) == 0 && (err != nil || len(el.Text()) != size):
				t.Fatalf("the last piece: %v, %v", el, err)
			}
		}
	}
}
