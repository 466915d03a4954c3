package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

const enabled = "<enabled xmlns='urn:xmpp:sm:3' id='x1' resume='true' max='600'/>"

var bob = jid.MustParse("bob@example.org")

// wire is what a fake server was sent, one word for each stanza.
func wire(el *xml.Element) string {
	switch {
	case el.Has(stanza.NSReceipt, "received"):
		return "receipt"
	case el.Has(stanza.NSClient, "body"):
		origin := ""
		if o := el.Child(stanza.NSID, "origin-id"); o != nil {
			origin = o.Attr("id")
		}
		if origin != el.Attr("id") || !el.Has(stanza.NSReceipt, "request") {
			return "bad " + el.String()
		}
		return el.Child(stanza.NSClient, "body").Text()
	case el.Name.Space == nsSM:
		return el.Name.Local + el.Attr("h")
	}
	return el.Name.Local
}

// readUntil reads until one of them has come.
func readUntil(c *stream.Conn, last string) []string {
	var got []string
	for {
		el, err := c.Read()
		if err != nil {
			return append(got, err.Error())
		}
		w := wire(el)
		if w == "r" {
			continue
		}
		got = append(got, w)
		if w == last {
			return got
		}
	}
}

func message(t *testing.T, s *Session, text string) string {
	t.Helper()
	id := s.NewID()
	if err := s.Message(bob, id, text); err != nil {
		t.Fatalf("message %s: %v", text, err)
	}
	return id
}

// drop ends a connection without a word.
func drop(s *Session) {
	s.Cut()
	<-s.Done()
}

func incoming(n int, more string) string {
	return fmt.Sprintf("<message from='bob@example.org/x' type='chat' id='m%d'><body>in %d</body><stanza-id xmlns='urn:xmpp:sid:0' by='alice@example.org' id='s%d'/>%s</message>", n, n, n, more)
}

// A session goes on after its connection was cut: what the server had not counted is sent again in order and once, and
// what it sends twice is told once.
func TestResume(t *testing.T) {
	f := newFake(t)
	f.managed = enabled
	first, second := make(chan []string, 1), make(chan []string, 1)
	f.script = func(c *stream.Conn, me string) {
		f.start(c, "<presence from='bob@example.org/a'/>"+incoming(1, "")+incoming(2, "")) // roster, blocks, presence, ping and mark counted: 5
		got := readUntil(c, "three")
		f.write(c, "<a xmlns='urn:xmpp:sm:3' h='6'/>") // one, and what Start sent
		first <- append(got, readUntil(c, "four")...)
		_, _ = c.Read()
	}
	var r recorder
	cfg := f.config()
	cfg.Handle = r.handle
	s := f.dial(cfg)
	if err := s.Start(t.Context()); err != nil || s.Resumed() {
		t.Fatal(err)
	}
	ids := []string{message(t, s, "one"), message(t, s, "two"), message(t, s, "three")}
	until(t, func() bool { return slices.Contains(r.all(), "accepted "+ids[0]) })
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Settle(over); err == nil {
		t.Fatal("settled with two messages open")
	}
	ids = append(ids, message(t, s, "four"))
	if got := <-first; !slices.Equal(got, []string{"one", "two", "three", "four"}) {
		t.Fatalf("first connection: %q", got)
	}
	drop(s)
	var end *End
	if err := s.Message(bob, "late", "x"); !errors.As(err, &end) {
		t.Errorf("a message without a connection: %v", err)
	}
	f.resume = func(el *xml.Element) string {
		if el.Attr("previd") != "x1" || el.Attr("h") != "7" { // four answers, presence, two messages
			t.Errorf("resume %s", el)
		}
		return "<resumed xmlns='urn:xmpp:sm:3' previd='x1' h='7'/>" + incoming(2, "<delay xmlns='urn:xmpp:delay' from='example.org' stamp='2026-11-22T09:00:00Z'/>") + incoming(3, "")
	}
	f.script = func(c *stream.Conn, me string) {
		again := readUntil(c, "four")
		f.write(c, "<r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='9'/>")
		if got := readUntil(c, "a9"); len(got) != 1 {
			t.Errorf("answer %q", got)
		}
		second <- again
		second <- readUntil(c, "five")
		f.write(c, "<a xmlns='urn:xmpp:sm:3' h='10'/>")
		f.idle(c)
	}
	cfg.Before = s
	s2 := f.dial(cfg)
	if !s2.Resumed() || s2.JID() != s.JID() || len(s2.Contacts()) != 2 || !s2.Contacts()[0].Online {
		t.Errorf("resumed %v as %s with %+v", s2.Resumed(), s2.JID(), s2.Contacts())
	}
	if err := s2.Start(t.Context()); err != nil { // sends nothing
		t.Fatal(err)
	}
	if got := <-second; !slices.Equal(got, []string{"three", "four"}) {
		t.Errorf("sent again: %q", got)
	}
	ids = append(ids, message(t, s2, "five"))
	if got := <-second; !slices.Equal(got, []string{"five"}) {
		t.Errorf("then: %q", got)
	}
	if err := s2.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"bob@example.org: in 1", "bob@example.org: in 2", "bob@example.org: in 3"}
	for _, id := range ids {
		want = append(want, "accepted "+id)
	}
	slices.Sort(want)
	got := slices.DeleteFunc(r.all(), func(s string) bool { return strings.HasPrefix(s, "presence") || strings.HasPrefix(s, "end") })
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

// until waits for something that happens in another goroutine.
func until(t *testing.T, so func() bool) {
	t.Helper()
	for range 2000 {
		if so() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("it does not happen")
}

// Where a session cannot be resumed, exactly those messages are sent again that the server does not have, or all if it
// does not say, under the same ids, and nothing else of the session before.
func TestResumeFails(t *testing.T) {
	for _, c := range []struct {
		failed string
		again  []string
		told   int
	}{
		{"<failed xmlns='urn:xmpp:sm:3' h='2'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>", []string{"two", "three"}, 1},
		{"<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>", []string{"one", "two", "three"}, 0},
		{"<failed xmlns='urn:xmpp:sm:3' h='99'/>", []string{"one", "two", "three"}, 0},
		{"<failed xmlns='urn:xmpp:sm:3' h='4'/>", nil, 3},
	} {
		f := newFake(t)
		f.managed = enabled
		got := make(chan []string, 1)
		f.script = func(c *stream.Conn, me string) { got <- readUntil(c, "three") }
		var r recorder
		cfg := f.config()
		cfg.Handle = r.handle
		s := f.dial(cfg)
		iq := stanza.New(stanza.IQ, stanza.Get, jid.JID{}, s.Server(), xml.New(nsPing, "ping")) // that nobody answers
		iq.ID = "x"
		if err := s.Raw(iq); err != nil {
			t.Fatal(err)
		}
		ids := []string{message(t, s, "one"), message(t, s, "two"), message(t, s, "three")}
		<-got
		drop(s)
		f.resume = func(*xml.Element) string { return c.failed }
		f.script = func(conn *stream.Conn, me string) {
			if len(c.again) > 0 {
				got <- readUntil(conn, "three")
				f.write(conn, fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", len(c.again)))
			} else {
				got <- nil
			}
			f.idle(conn)
		}
		cfg.Before = s
		s2 := f.dial(cfg)
		if again := <-got; !slices.Equal(again, c.again) || s2.Resumed() {
			t.Errorf("%s: again %q", c.failed, again)
		}
		if err := s2.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		if err := s2.Ping(t.Context()); err != nil { // what was accepted before is told first
			t.Error(err)
		}
		events := slices.DeleteFunc(r.all(), func(s string) bool { return strings.HasPrefix(s, "end") })
		if !slices.Equal(events, []string{"accepted " + ids[0], "accepted " + ids[1], "accepted " + ids[2]}) {
			t.Errorf("%s: events %q", c.failed, events)
		}
	}
}

// Dialling may fail before the server has resumed or while it does, and nothing is lost by that.
func TestResumeTwice(t *testing.T) {
	f := newFake(t)
	f.managed = enabled
	answers := []string{
		"<message from='bob@example.org'/></stream:stream>",   // it may still be there
		"<resumed xmlns='urn:xmpp:sm:3' previd='x1' h='99'/>", // it cannot be the same
	}
	var n atomic.Int32 // of the connection
	f.resume = func(*xml.Element) string {
		if n.Load() > int32(len(answers)) {
			t.Error("asks again for a session that is gone")
			return "<failed xmlns='urn:xmpp:sm:3'/>"
		}
		return answers[n.Load()-1]
	}
	got := make(chan []string, 1)
	f.script = func(c *stream.Conn, me string) {
		if all := readUntil(c, "one"); slices.Contains(all, "one") { // a connection that is given up brings nothing
			got <- all
		}
		f.idle(c)
	}
	s := f.dial(f.config())
	message(t, s, "one")
	<-got
	drop(s)
	cfg := f.config()
	cfg.Before = s
	for range answers {
		n.Add(1)
		s2, err := Dial(t.Context(), cfg)
		var end *End
		if err == nil {
			drop(s2)
		}
		if !errors.As(err, &end) || !end.Passing() {
			t.Fatalf("attempt %d: %v", n.Load(), err)
		}
	}
	n.Add(1)
	f.dial(cfg)
	if again := <-got; !slices.Equal(again, []string{"one"}) {
		t.Errorf("again %q", again)
	}
}

// A server without stream management: the answer to a ping accepts what went before, and what has none is sent again.
func TestUnmanaged(t *testing.T) {
	f := newFake(t)
	got := make(chan []string, 1)
	f.script = func(c *stream.Conn, me string) {
		_, _ = c.Read() // one
		ping, err := c.Read()
		if err != nil {
			return
		}
		two := readUntil(c, "two")
		f.answer(c, ping, "")
		got <- two
		_, _ = c.Read()
	}
	var r recorder
	cfg := f.config()
	cfg.Handle = r.handle
	s := f.dial(cfg)
	one, two := message(t, s, "one"), message(t, s, "two")
	<-got
	until(t, func() bool { return len(r.all()) > 0 })
	drop(s)
	f.script = func(c *stream.Conn, me string) {
		got <- readUntil(c, "two")
		f.idle(c)
	}
	cfg.Before = s
	s2 := f.dial(cfg)
	if again := <-got; !slices.Equal(again, []string{"two"}) {
		t.Errorf("again %q", again)
	}
	if err := s2.Settle(t.Context()); err != nil {
		t.Error(err)
	}
	if want := []string{"accepted " + one, fmt.Sprintf("end %d 0s ", Lost), "accepted " + two}; !slices.Equal(r.all(), want) {
		t.Errorf("events %q, want %q", r.all(), want)
	}
}

// Counts that cannot be, and a server that stops: the client does not end what can be resumed.
func TestManagedEnds(t *testing.T) {
	for _, c := range []struct {
		send   string
		reason Reason
	}{
		{"<a xmlns='urn:xmpp:sm:3' h='1000'/>", Lost},
		{"<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>", Shutdown},
	} {
		f := newFake(t)
		f.managed = enabled
		last := make(chan []string, 1)
		f.script = func(conn *stream.Conn, me string) {
			_ = readUntil(conn, "presence")
			f.write(conn, c.send)
			last <- readUntil(conn, "")
		}
		s := f.dial(f.config())
		if err := s.Presence(); err != nil {
			t.Fatal(err)
		}
		<-s.Done()
		if got := <-last; len(got) != 1 || got[0] != "unexpected EOF" || s.End().Reason != c.reason {
			t.Errorf("%s: %v, last words %q", c.send, s.End(), got)
		}
	}
	// A goodbye says what was handled.
	f := newFake(t)
	f.managed = enabled
	last := make(chan []string, 1)
	f.script = func(conn *stream.Conn, me string) {
		f.write(conn, incoming(1, "")+"<iq type='get' id='p' from='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
		_ = readUntil(conn, "iq")
		f.write(conn, "<r xmlns='urn:xmpp:sm:3'/>")
		last <- readUntil(conn, "")
		_ = conn.End()
	}
	s := f.dial(f.config())
	until(t, func() bool {
		s.mem.mu.Lock()
		defer s.mem.mu.Unlock()
		return s.mem.sm.in == 2
	})
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := <-last; len(got) < 3 || !slices.Equal(got[len(got)-3:], []string{"a2", "presence", "EOF"}) {
		t.Errorf("last words %q", got)
	}
}
