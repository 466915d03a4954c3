//go:build unix

package stream

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"parley/xmpp/xml"
)

// TestWaitsWithoutBuffer: a connection that waits has borrowed nothing, neither for what is protected nor for what is in clear.
func TestWaitsWithoutBuffer(t *testing.T) {
	c, peer, below := secured(t)
	below.hold = false
	for _, text := range []string{"<a/>", "<a>" + strings.Repeat("x", 3*readSize) + "</a>"} {
		if _, err := peer.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if _, err := c.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		s := c.src.(*tlsSource)
		if s.held != nil || s.under.src.(*tcp).held != nil {
			t.Error("it holds a buffer")
		}
		_ = c.SetReadDeadline(time.Time{})
	}
}

// TestReadAllocates: reading from a connection takes no memory but what the scanner makes of it.
func TestReadAllocates(t *testing.T) {
	near, far := ends(t, true)
	c, alone := New(far, xml.Limits{}), xml.NewScanner(xml.Limits{})
	if _, err := near.Write([]byte(opening)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Header(); err != nil {
		t.Fatal(err)
	}
	alone.Feed([]byte(opening))
	if _, err := alone.Next(); err != nil {
		t.Fatal(err)
	}
	element := []byte("<a>b</a>")
	least := testing.AllocsPerRun(100, func() {
		alone.Feed(element)
		_, _ = alone.Next()
		_, _ = alone.Next() // more
	})
	if n := testing.AllocsPerRun(100, func() {
		_, _ = near.Write(element)
		_, _ = c.Read()
	}); n > least {
		t.Errorf("%v allocations for an element that comes alone, %v of them the scanner's", n, least)
	}
}

// TestLastBufferGivenBack: a connection that has ended keeps no buffer either, although its peer was gone before.
func TestLastBufferGivenBack(t *testing.T) {
	near, far := ends(t, true)
	c := New(far, xml.Limits{})
	if _, err := near.Write([]byte(opening)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Header(); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if c.Linger(time.Second); c.tcp.held != nil {
		t.Error("it holds a buffer")
	}
}
