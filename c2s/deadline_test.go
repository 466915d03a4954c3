package c2s_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/c2s"
	"parley/imtest"
	"parley/xmpp/stream"
)

// TestPreAuthTime: whoever has not bound a resource after 30 s is gone, wherever he is and however slowly he goes on
// (catalogue C21, F16).
func TestPreAuthTime(t *testing.T) {
	for _, x := range points() {
		if x.bound {
			continue
		}
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mode := c2s.Insecure
				if x.clear {
					mode = c2s.StartTLS
				}
				r := newRoom(t, roomOptions{Config: c2s.Config{TLS: serverTLS(t)}}, "alice")
				p, done := r.connect(mode)
				began := time.Now()
				x.reach(p)
				sent := p.pour(drip("<stream:stream xmlns='jabber:client' " + strings.Repeat(" ", 1000)))
				p.end()
				<-done
				if took := time.Since(began); took > c2s.PreAuthTime+time.Second || took < c2s.PreAuthTime {
					t.Errorf("closed after %v", took)
				}
				if n := <-sent; n < 20 {
					t.Errorf("only %d bytes were taken", n)
				}
				if waiting, all := r.Counts(); waiting+all+r.Networks() != 0 {
					t.Errorf("%d connections and %d networks are still counted", all, r.Networks())
				}
			})
		})
	}
}

// drip is a byte of text every second.
func drip(text string) func() string {
	return func() string {
		time.Sleep(time.Second)
		if text == "" {
			return ""
		}
		b := text[:1]
		text = text[1:]
		return b
	}
}

// TestHandshakeTime: the TLS handshake has 10 s, and never more than what is left of the 30 s.
func TestHandshakeTime(t *testing.T) {
	for _, c := range []struct {
		name        string
		wait, after time.Duration
		direct      bool
		first       string
	}{
		{name: "silence", after: c2s.HandshakeTime},
		{name: "direct, silence", direct: true, after: c2s.HandshakeTime},
		{name: "direct, part of a hello", direct: true, first: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", after: c2s.HandshakeTime},
		{name: "late", wait: 25 * time.Second, after: 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoom(t, roomOptions{Config: c2s.Config{TLS: serverTLS(t)}})
				mode := c2s.StartTLS
				if c.direct {
					mode = c2s.Direct
				}
				p, done := r.connect(mode)
				if !c.direct {
					p.open()
					time.Sleep(c.wait)
					p.send("<starttls xmlns='" + stream.NSTLS + "'/>")
					p.get("<proceed xmlns='" + stream.NSTLS + "'/>")
				}
				began := time.Now()
				p.send(c.first)
				p.end()
				<-done
				if took := time.Since(began); took != c.after {
					t.Errorf("closed after %v instead of %v", took, c.after)
				}
			})
		})
	}
}

// TestDeafStranger: a stranger who does not read what he asked for is gone, too.
func TestDeafStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, roomOptions{})
		p, done := r.connect(c2s.Insecure)
		p.send(header)
		began := time.Now()
		<-done
		if took := time.Since(began); took > 2*c2s.PreAuthTime {
			t.Errorf("closed after %v", took)
		}
	})
}

// TestPreAuthTotal: a stranger has 64 KiB, and 16 KiB for one element, however he spends them (catalogue C2).
func TestPreAuthTotal(t *testing.T) {
	// what fits into the limits of elements, and is answered
	wrong := "<auth xmlns='" + stream.NSSASL + "' mechanism='" + strings.Repeat("x", 12<<10) + "'/>"
	for _, c := range []struct {
		name, text string
		open       bool
	}{
		{"white space before the header", strings.Repeat(" ", 1<<10), false},
		{"white space in the stream", strings.Repeat(" \n", 1<<10), true},
		{"one big header", "<stream:stream " + strings.Repeat("a", 17<<10), false},
		{"one big element", "<auth>" + strings.Repeat("x", 17<<10), true},
		{"many exchanges", wrong, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRoom(t, roomOptions{})
			p, done := r.connect(c2s.Insecure)
			if c.open {
				p.open()
			}
			sent := p.pour(func() string { return c.text })
			p.refused(stream.PolicyViolation)
			<-done
			if n := <-sent; n > c2s.PreAuthTotal+8<<10 {
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
}

// TestAdmit: 4,096 connections may wait for their sign-in, 32 of them from one network; from this computer any number.
func TestAdmit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, roomOptions{Config: c2s.Config{Settings: c2s.Settings{Rates: true}}})
		var held []*c2s.Held
		count := func(format string, n int) (admitted int) {
			for i := range n {
				addr := format
				if strings.Contains(format, "%") {
					addr = fmt.Sprintf(format, i/250, i%250+1)
				}
				if h, ok := r.Admit(netip.MustParseAddr(addr).Unmap()); ok {
					held = append(held, h)
					admitted++
				}
			}
			return admitted
		}
		same4, same6 := "192.0.2.7", "2001:db8::%x:%x"
		if n := count(same4, 40); n != c2s.MaxUnsignedPer {
			t.Errorf("%d from one address", n)
		}
		if n := count(same6, 40); n != c2s.MaxUnsignedPer {
			t.Errorf("%d from one /64", n)
		}
		if n := count("::ffff:192.0.%d.%d", 100); n != 100 {
			t.Errorf("%d of 100 from as many addresses", n)
		}
		if n := count("127.0.%d.%d", 100) + count("127.0.0.1", 100); n != 200 {
			t.Errorf("%d of 200 from this computer", n)
		}
		for _, h := range held[:c2s.MaxUnsignedPer] {
			h.SignedIn()
			h.SignedIn()
		}
		time.Sleep(time.Minute) // or there would be too many in a short time
		if n := count(same4, 40); n != c2s.MaxUnsignedPer {
			t.Errorf("%d more from one address once the others had signed in", n)
		}
		count("10.1.%d.%d", c2s.MaxUnsigned+400) // 240 come from each /24
		if waiting, _ := r.Counts(); waiting != c2s.MaxUnsigned {
			t.Errorf("%d are waiting", waiting)
		}
		if _, ok := r.Admit(netip.MustParseAddr("127.0.0.1")); ok {
			t.Error("one more was admitted")
		}
		held[len(held)-1].Gone()
		if _, ok := r.Admit(netip.MustParseAddr("127.0.0.1")); !ok {
			t.Error("none was admitted once one had gone")
		} else {
			waiting, _ := r.Counts()
			if waiting != c2s.MaxUnsigned {
				t.Errorf("%d are waiting", waiting)
			}
		}
		for _, h := range held {
			h.Gone()
			h.Gone()
		}
		if waiting, _ := r.Counts(); waiting != 1 || r.Networks() != 1 {
			t.Errorf("%d are waiting from %d networks", waiting, r.Networks())
		}
	})
}

// TestArrivals: a network may open 60 connections at once and then 10 each second, the network around it four times as
// many, and the memory of that is bounded.
func TestArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, roomOptions{Config: c2s.Config{Settings: c2s.Settings{Rates: true}}})
		come := func(addr string, n int) (admitted int) {
			for range n {
				if h, ok := r.Admit(netip.MustParseAddr(addr)); ok {
					admitted++
					h.Gone()
				}
			}
			return admitted
		}
		for _, c := range []struct{ one, neighbour, elsewhere string }{
			{"192.0.2.7", "192.0.2.%d", "198.51.100.1"}, {"2001:db8:0:7::1", "2001:db8:0:%x::1", "2001:db8:1::1"},
		} {
			if n := come(c.one, 100); n != c2s.BurstArrivals {
				t.Errorf("%d at once from %s", n, c.one)
			}
			time.Sleep(time.Second)
			if n := come(c.one, 100); n != c2s.ArrivalsPerSecond {
				t.Errorf("%d in the next second from %s", n, c.one)
			}
			near := 0
			for i := range 100 {
				near += come(fmt.Sprintf(c.neighbour, i+20), 10)
			}
			if want := 4*(c2s.BurstArrivals+c2s.ArrivalsPerSecond) - c2s.BurstArrivals - c2s.ArrivalsPerSecond; near != want {
				t.Errorf("%d from the neighbours of %s, not %d", near, c.one, want)
			}
			if n := come(c.elsewhere, 10); n != 10 {
				t.Errorf("%d of 10 from elsewhere", n)
			}
		}
		if n := come("127.0.0.1", 1000) + come("::1", 1000); n != 2000 {
			t.Errorf("%d of 2,000 from this computer", n)
		}
		for i := range 50_000 {
			come(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), 1)
		}
		if n := r.Arrived(); n > c2s.MaxNetworks {
			t.Errorf("%d networks are remembered", n)
		}
	})
}

// TestBudget: messages may come in a burst, then at a pace; nobody is refused.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := c2s.NewBucket(2000, 50)
		for i := range 2000 {
			if waited, err := b.Take(t.Context()); waited != 0 || err != nil {
				t.Fatalf("message %d waited %v: %v", i, waited, err)
			}
		}
		began := time.Now()
		for range 500 {
			if _, err := b.Take(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took < 9900*time.Millisecond || took > 10100*time.Millisecond {
			t.Errorf("500 more took %v instead of 10 s", took)
		}
		time.Sleep(time.Hour)
		if waited, _ := b.Take(t.Context()); waited != 0 {
			t.Errorf("after an hour: waited %v", waited)
		}
		for range 1999 {
			_, _ = b.Take(t.Context())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if waited, err := b.Take(ctx); err == nil || waited != time.Millisecond {
			t.Errorf("more than the burst after an hour: %v, %v", waited, err)
		}
	})
}

// TestBudgetOnTheWire: a sender above his budget is read more slowly; nothing of his is lost, and the server's end does
// not wait for him. Each kind of stanza has a budget of its own.
func TestBudgetOnTheWire(t *testing.T) {
	for _, c := range []struct {
		name, text, seen string // {n} is a number
		burst, rate      int
	}{
		{"messages", "<message to='bob@localhost' type='chat' id='m{n}'><body>x</body></message>", "id='m{n}'", c2s.BurstMessages, c2s.PerSecond},
		{"presences", "<presence><status>{n}</status></presence>", "<status>{n}</status>", c2s.BurstPresences, c2s.PresencesPerSecond},
		{"iqs", "<iq type='get' to='bob@localhost/b' id='q{n}'><x/></iq>", "id='q{n}'", c2s.BurstIQs, c2s.IQsPerSecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoom(t, roomOptions{Config: c2s.Config{Settings: c2s.Settings{Rates: true}}}, "alice", "bob")
				bob, _ := r.join("bob", "b", true)
				alice, done := r.join("alice", "a", false)
				alice.follow()
				began := time.Now()
				n := 0
				alice.pour(func() string {
					n++
					return strings.ReplaceAll(c.text, "{n}", fmt.Sprint(n))
				})
				bob.get(strings.ReplaceAll(c.seen, "{n}", fmt.Sprint(c.burst)))
				if took := time.Since(began); took > time.Second {
					t.Errorf("the burst took %v", took)
				}
				bob.get(strings.ReplaceAll(c.seen, "{n}", fmt.Sprint(c.burst+10*c.rate)))
				if took := time.Since(began); took < 9*time.Second || took > 11*time.Second {
					t.Errorf("ten seconds' worth took %v", took)
				}
				bob.follow()
				r.Shutdown(t.Context())
				<-done
			})
		})
	}
}

// TestInjection: what stands behind <starttls/> in clear is never taken for protected (catalogue C10).
func TestInjection(t *testing.T) {
	for _, c := range []struct {
		name, behind string
		next         bool // in a segment of its own
	}{
		{"a space", " ", false},
		{"an element", "<iq type='get' id='x'><ping xmlns='urn:xmpp:ping'/></iq>", false},
		{"part of an element", "<auth", false},
		{"a header", header, false},
		{"sign-in", firstMessage("n,,n=alice,r=abc"), false},
		{"the end", "</stream:stream>", false},
		{"part of a handshake", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", false},
		{"much", strings.Repeat("<x/>", 1000), false},
		{"very much", strings.Repeat("x", 60<<10), false},
		{"a header", header, true},
		{"sign-in", firstMessage("n,,n=alice,r=abc"), true},
		{"part of an element", "<auth", true},
		{"the end", "</stream:stream>", true},
		{"very much", strings.Repeat("x", 60<<10), true},
	} {
		name := c.name
		if c.next {
			name += ", in the next segment"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := imtest.Start(t, imtest.Options{Transport: imtest.TCP})
			s.Account("alice")
			p := dial(t, s)
			p.open()
			text := "<starttls xmlns='" + stream.NSTLS + "'/>"
			if c.next {
				p.send(text)
				p.get("<proceed xmlns='" + stream.NSTLS + "'/>")
				text = ""
			}
			text += c.behind
			sent := p.pour(func() string { defer func() { text = "" }(); return text })
			got := p.end()
			<-sent
			for _, never := range []string{"<mechanisms", "<challenge", "<iq", "<bind"} {
				if strings.Contains(got, never) {
					t.Errorf("what was injected was answered: %q", got)
				}
			}
		})
	}
}

// TestHelloBehindStartTLS: nor is a whole handshake in the same segment.
func TestHelloBehindStartTLS(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.TCP})
	p := dial(t, s)
	p.open()
	near, far := net.Pipe()
	go func() {
		_ = tls.Client(far, &tls.Config{InsecureSkipVerify: true}).Handshake()
		_ = far.Close()
	}()
	hello := make([]byte, 8192)
	n, err := near.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	_ = near.Close()
	p.send("<starttls xmlns='" + stream.NSTLS + "'/>" + string(hello[:n]))
	if got := p.end(); strings.Contains(got, "\x16\x03") {
		t.Errorf("answered with a handshake: %q", got)
	}
}
