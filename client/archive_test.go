package client

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// kept is message n as the archive has it.
func kept(query string, n int) string {
	return result("", query, fmt.Sprintf("s%d", n), fmt.Sprintf("<message xmlns='jabber:client' from='bob@example.org/x' to='alice@example.org' type='chat' id='m%d'><body>in %d</body></message>", n, n))
}

func result(from, query, id, message string) string {
	return "<message" + from + "><result xmlns='urn:xmpp:mam:2' queryid='" + query + "' id='" + id + "'><forwarded xmlns='urn:xmpp:forward:0'>" +
		"<delay xmlns='urn:xmpp:delay' stamp='2026-11-22T09:00:00Z'/>" + message + "</forwarded></result></message>"
}

// wait reads until an iq that holds such a child; other iqs are answered as Start wants.
func (f *fake) wait(c *stream.Conn, space, name string) *xml.Element {
	for {
		el, err := c.Read()
		switch {
		case err != nil:
			return nil
		case el.Name.Local != "iq":
		case el.Has(space, name):
			return el
		case el.Has("jabber:iq:roster", "query"):
			f.answer(c, el, roster)
		default:
			f.answer(c, el, "")
		}
	}
}

func after(el *xml.Element) string {
	set := el.Child(nsArchive, "query").Child("http://jabber.org/protocol/rsm", "set")
	if a := set.Child("http://jabber.org/protocol/rsm", "after"); a != nil {
		return a.Text()
	}
	return ""
}

func fin(last, complete string) string {
	set := ""
	if last != "" {
		set = "<set xmlns='http://jabber.org/protocol/rsm'><first>" + last + "</first><last>" + last + "</last></set>"
	}
	return "<fin xmlns='urn:xmpp:mam:2' complete='" + complete + "'>" + set + "</fin>"
}

// texts are the texts among the events, and CaughtUp.
func (r *recorder) texts() []string {
	var list []string
	for _, e := range r.all() {
		if _, text, ok := strings.Cut(e, ": "); ok {
			list = append(list, text)
		} else if strings.HasPrefix(e, "caught") {
			list = append(list, e)
		}
	}
	return list
}

// What came while the client was away is told in order and once, whatever is delivered meanwhile, and only what the own
// archive says to a question that was asked.
func TestCatchUp(t *testing.T) {
	f := newFake(t)
	f.script = func(c *stream.Conn, me string) {
		el := f.wait(c, nsArchive, "query")
		q := el.Child(nsArchive, "query").Attr("queryid")
		if after(el) != "s1" || q == "" {
			t.Errorf("asks %s", el)
		}
		// Delivered meanwhile: one that the archive has, too, and one that it has only later.
		f.write(c, incoming(3, "")+incoming(6, "")+kept(q, 2)+kept(q, 3))
		for _, from := range []string{" from='bob@example.org'", " from='alice@example.org/r2'", " from='example.org'", " from='eve@evil.org'"} {
			f.write(c, result(from, q, "e", "<message xmlns='jabber:client' from='bob@example.org'><body>forged</body></message>"))
		}
		f.write(c, result("", "other", "e1", "<message xmlns='jabber:client' from='bob@example.org'><body>not asked</body></message>"))
		f.write(c, result(" from='alice@example.org'", q, "o1", "<message xmlns='jabber:client' from='alice@example.org/r2' to='bob@example.org'><body>own</body></message>"))
		f.answer(c, el, fin("o1", "false"))
		el = f.wait(c, nsArchive, "query")
		if after(el) != "o1" {
			t.Errorf("goes on with %s", el)
		}
		f.write(c, kept(q, 9)) // of the query before
		q = el.Child(nsArchive, "query").Attr("queryid")
		f.write(c, kept(q, 4)+kept(q, 5)+kept(q, 6))
		f.answer(c, el, fin("s6", "true"))
		f.write(c, incoming(6, "")+incoming(7, ""))
		f.idle(c)
	}
	var r recorder
	s := f.started(t, &r, "s1")
	until(t, func() bool { return slices.Contains(r.texts(), "in 7") })
	want := []string{"in 2 2026-11-22T09:00:00Z", "in 3 2026-11-22T09:00:00Z", "in 4 2026-11-22T09:00:00Z", "in 5 2026-11-22T09:00:00Z",
		"in 6 2026-11-22T09:00:00Z", "caught up 5 more=false", "in 7"}
	if got := r.texts(); !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
	until(t, func() bool { return s.Place() == "s7" })
}

// Without a place there is nothing to fetch, only the end of the archive to be learned; an archive that refuses, or no
// longer has the place, lets what waited through; a connection that breaks off meanwhile lets the next session go on.
func TestCatchUpNot(t *testing.T) {
	f := newFake(t)
	f.script = func(c *stream.Conn, me string) {
		f.answer(c, f.wait(c, nsPing, "ping"), "")
		f.answer(c, f.wait(c, nsArchive, "query"), fin("s1", "true"))
		_, _ = c.Read()
	}
	var r recorder
	cfg := f.config()
	cfg.Handle = r.handle
	s := f.dial(cfg)
	go func() { _ = s.Start(t.Context()) }()
	until(t, func() bool { return s.Place() == "s1" })
	drop(s)
	// Broken off in the middle of the page.
	f.script = func(c *stream.Conn, me string) {
		el := f.wait(c, nsArchive, "query")
		if el == nil || after(el) != "s1" {
			t.Errorf("asks %s", el)
			return
		}
		f.write(c, incoming(4, "")+kept(el.Child(nsArchive, "query").Attr("queryid"), 2))
	}
	cfg.Before = s
	s = f.dial(cfg)
	_ = s.Start(t.Context())
	<-s.Done()
	if got := r.texts(); !slices.Equal(got, []string{"in 2 2026-11-22T09:00:00Z", "in 4"}) || s.Place() != "s2" {
		t.Errorf("told %q, place %s", got, s.Place())
	}
	// The archive has been emptied.
	f.script = func(c *stream.Conn, me string) {
		el := f.wait(c, nsArchive, "query")
		f.write(c, incoming(5, ""))
		f.write(c, "<iq type='error' id='"+el.Attr("id")+"'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
		f.idle(c)
	}
	cfg.Before = s
	s = f.dial(cfg)
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return s.Place() == "s5" })
	if got := r.texts(); len(got) != 3 || got[2] != "in 5" {
		t.Errorf("told %q", got)
	}
}

// There are bounds: to what is fetched, and to what waits meanwhile.
func TestCatchUpBounds(t *testing.T) {
	f := newFake(t)
	pages := 0
	f.script = func(c *stream.Conn, me string) {
		for n := 100; ; {
			el := f.wait(c, nsArchive, "query")
			if el == nil {
				return
			}
			if after(el) == "" { // where it ends
				f.answer(c, el, fin("s900000", "false"))
				f.idle(c)
				return
			}
			pages++
			for range 3 {
				n++
				f.write(c, kept(el.Child(nsArchive, "query").Attr("queryid"), n))
			}
			if pages == 1 {
				for i := range maxHeld + 50 {
					f.write(c, incoming(1000+i, ""))
				}
			}
			f.answer(c, el, fin(fmt.Sprintf("s%d", n), "false"))
		}
	}
	var r recorder
	s := f.started(t, &r, "s1")
	until(t, func() bool { return s.Place() == "s900000" })
	got := r.texts()
	if want := fmt.Sprintf("caught up %d more=true", 3*maxPages); pages != maxPages || !slices.Contains(got, want) || len(got) != 3*maxPages+maxHeld+50+1 {
		t.Errorf("%d pages, %d told, %q", pages, len(got), got[len(got)-1])
	}
}

// A receipt is sent for what was told and asks for one, to contacts; never for what was told before, an error, a
// broadcast, or what one wrote oneself.
func TestReceipts(t *testing.T) {
	f := newFake(t)
	const request = "<request xmlns='urn:xmpp:receipts'/>"
	got := make(chan string, 10)
	f.script = func(c *stream.Conn, me string) {
		f.start(c, "")
		f.write(c, incoming(1, request)+incoming(1, request)+
			"<message from='bob@example.org/x' type='chat'><body>no id</body>"+request+"</message>"+
			"<message from='bob@example.org/x' type='chat' id='n'><body>not asked</body></message>"+
			"<message from='bob@example.org' type='headline' id='h'><body>all</body>"+request+"</message>"+
			"<message from='bob@example.org/x' type='error' id='e'><body>x</body>"+request+"<error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"+
			"<message from='bob@example.org/x' type='chat' id='r'>"+request+"</message>"+
			"<message from='alice@example.org/r2' type='chat' id='o'><body>own</body>"+request+"</message>"+
			"<message from='eve@evil.org/x' type='chat' id='s'><body>stranger</body>"+request+"</message>"+
			"<message from='carol@example.org/x' id='last'><body>normal</body>"+request+"</message>")
		for {
			el, err := c.Read()
			if err != nil {
				return
			}
			if rec := el.Child(stanza.NSReceipt, "received"); rec != nil {
				if !el.Has(stanza.NSID, "origin-id") || el.Has(stanza.NSReceipt, "request") {
					t.Errorf("receipt %s", el)
				}
				got <- el.Attr("to") + " " + rec.Attr("id")
				// It comes back, and nobody is told.
				f.write(c, "<message from='"+el.Attr("to")+"' type='error' id='"+el.Attr("id")+"'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
			} else if el.Name.Local == "iq" {
				f.answer(c, el, "")
			}
		}
	}
	var r recorder
	s := f.started(t, &r, "")
	if a, b := <-got, <-got; a != "bob@example.org/x m1" || b != "carol@example.org/x last" {
		t.Errorf("receipts %q, %q", a, b)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, e := range r.all() {
		if strings.HasPrefix(e, "bounce") && !strings.HasSuffix(e, "gone") {
			t.Errorf("told %q", e)
		}
	}
	if len(got) > 0 {
		t.Errorf("another receipt: %s", <-got)
	}
}

// Receipts and markers of others, live or out of the archive.
func TestDelivered(t *testing.T) {
	f := newFake(t)
	f.script = func(c *stream.Conn, me string) {
		el := f.wait(c, nsArchive, "query")
		q := el.Child(nsArchive, "query").Attr("queryid")
		f.write(c, result("", q, "s2", "<message xmlns='jabber:client' from='bob@example.org/x' to='alice@example.org' type='chat'><received xmlns='urn:xmpp:receipts' id='a1'/></message>"))
		f.answer(c, el, fin("s2", "true"))
		f.write(c, `<message from='bob@example.org/x' type='chat'><received xmlns='urn:xmpp:receipts' id='a2'/></message>
			<message from='bob@example.org/x' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' id='a2'/></message>
			<message from='bob@example.org/x' type='chat'><received xmlns='urn:xmpp:chat-markers:0' id='a3'/></message>
			<message from='bob@example.org/x' type='chat'><received xmlns='urn:xmpp:receipts'/></message>
			<message from='bob@example.org/x' type='chat'><received xmlns='urn:other' id='a4'/></message>
			<message from='alice@example.org/r2' type='chat'><received xmlns='urn:xmpp:receipts' id='a5'/></message>`)
		f.idle(c)
	}
	var r recorder
	s := f.started(t, &r, "s1")
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"delivered a1 by bob@example.org/x", "delivered a2 by bob@example.org/x", "delivered a2 by bob@example.org/x read", "delivered a3 by bob@example.org/x"}
	if got := r.all(); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}
