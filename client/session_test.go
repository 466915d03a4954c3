package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// recorder keeps events as text.
type recorder struct {
	mu   sync.Mutex
	list []string
}

func (r *recorder) handle(e Event) {
	var s string
	switch e := e.(type) {
	case Message:
		s = fmt.Sprintf("%s: %s", e.From.Bare(), e.Body)
		if e.Broadcast {
			s += " (everyone)"
		}
		if !e.Delayed.IsZero() {
			s += " " + e.Delayed.UTC().Format(time.RFC3339)
		}
	case Accepted:
		s = "accepted " + e.ID
	case Delivered:
		s = fmt.Sprintf("delivered %s by %s", e.ID, e.By)
		if e.Read {
			s += " read"
		}
	case CaughtUp:
		s = fmt.Sprintf("caught up %d more=%v", e.Messages, e.More)
	case Bounce:
		s = fmt.Sprintf("bounce %s %s", e.To, e.Err.Condition)
	case Presence:
		s = fmt.Sprintf("presence %s %v news=%v", e.JID, e.Online, e.News)
	case *End:
		s = fmt.Sprintf("end %d %v %s", e.Reason, e.After, e.Text)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, s)
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.list)
}

const roster = `<query xmlns='jabber:iq:roster'>
  <item jid='example.org' name='Parley' subscription='both'><group>Everyone</group></item>
  <item jid='bob@example.org' name='bob' subscription='both'><group>Everyone</group></item>
  <item jid='carol@example.org' subscription='both'/></query>`

// start answers what Start asks; before is written between the presence and the ping.
func (f *fake) start(c *stream.Conn, before string) {
	for {
		el, err := c.Read()
		if err != nil {
			return
		}
		switch {
		case el.Has("jabber:iq:roster", "query"):
			f.answer(c, el, roster)
		case el.Has(stanza.NSBlocking, "blocklist"):
			f.answer(c, el, "<blocklist xmlns='urn:xmpp:blocking'><item jid='carol@example.org'/></blocklist>")
		case el.Has(nsPing, "ping"):
			f.write(c, before)
			f.answer(c, el, "")
		case el.Has(nsArchive, "query"):
			f.answer(c, el, fin("", "true"))
			return
		}
	}
}

func TestStart(t *testing.T) {
	f := newFake(t)
	f.script = func(c *stream.Conn, me string) {
		f.start(c, `<presence from='bob@example.org/a'/><presence from='bob@example.org/b'/><presence from='alice@example.org/r2'/><presence from='example.org'/>`)
		f.write(c, `<presence from='bob@example.org/a' type='unavailable'/><presence from='carol@example.org/x'/>
			<presence from='bob@example.org/b' type='unavailable'/><presence from='dave@example.org/x' type='subscribe'/>
			<presence from='carol@example.org/y'/><presence from='carol@example.org' type='unavailable'/>`)
		f.idle(c)
	}
	var r recorder
	s := f.started(t, &r, "")
	if !s.Complete() {
		t.Error("the roster holds everyone, and that is not seen")
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"presence bob@example.org true news=false",
		"presence carol@example.org true news=true",
		"presence bob@example.org false news=true",
		"presence carol@example.org false news=true",
	}
	if got := r.all(); !slices.Equal(got, want) {
		t.Errorf("events %q", got)
	}
	list := s.Contacts()
	if len(list) != 2 || list[0].Name != "bob" || list[0].Groups[0] != "Everyone" || list[0].Blocked || !list[1].Blocked {
		t.Errorf("contacts %+v", list)
	}
}

func TestMessages(t *testing.T) {
	f := newFake(t)
	f.script = func(c *stream.Conn, me string) {
		f.write(c, `<message from='bob@example.org/x' type='chat'><body>hi</body></message>
			<message from='bob@example.org' type='headline'><body>all</body><no-store xmlns='urn:xmpp:hints'/></message>
			<message from='bob@example.org/x' type='headline'><body>pretends</body></message>
			<message from='bob@other.org' type='headline'><body>elsewhere</body></message>
			<message from='bob@example.org/x'><body>late</body><delay xmlns='urn:xmpp:delay' from='example.org' stamp='2026-11-22T09:00:00Z'/></message>
			<message from='bob@example.org/x'><body>lie</body><delay xmlns='urn:xmpp:delay' from='bob@example.org' stamp='2026-11-22T09:00:00Z'/></message>
			<message from='bob@example.org/x'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>
			<message from='room@example.org/x' type='groupchat'><body>room</body></message>
			<message from='alice@example.org' type='chat'><received xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='bob@example.org'><body>inside</body></message></forwarded></received></message>
			<message from='eve@example.org' type='chat'><sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='alice@example.org'><body>inside</body></message></forwarded></sent></message>
			<message from='bob@example.org' type='error' id='m'><body>hi</body><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>`)
		f.idle(c)
	}
	var r recorder
	cfg := f.config()
	cfg.Handle = r.handle
	s := f.dial(cfg)
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"bob@example.org: hi", "bob@example.org: all (everyone)", "bob@example.org: pretends", "bob@other.org: elsewhere",
		"bob@example.org: late 2026-11-22T09:00:00Z", "bob@example.org: lie", "bounce bob@example.org service-unavailable"}
	if got := r.all(); !slices.Equal(got, want) {
		t.Errorf("events %q", got)
	}
}

// Nobody but the account itself changes what the client knows, and no answer is taken from anybody but the one asked.
func TestSpoofing(t *testing.T) {
	f := newFake(t)
	replies := make(chan string, 100)
	senders := []string{"from='bob@example.org/x'", "from='bob@example.org'", "from='eve@evil.org'", "from='alice@example.org/r2'", "from='alice@example.org/r1'", "from='example.org'"}
	f.script = func(c *stream.Conn, me string) {
		f.start(c, "")
		for i, from := range senders {
			f.write(c, fmt.Sprintf(`<iq type='set' id='r%d' %s><query xmlns='jabber:iq:roster'><item jid='eve@evil.org' subscription='both'/></query></iq>
				<iq type='set' id='b%d' %s><block xmlns='urn:xmpp:blocking'><item jid='bob@example.org'/></block></iq>
				<iq type='set' id='u%d' %s><unblock xmlns='urn:xmpp:blocking'/></iq>`, i, from, i, from, i, from))
		}
		for range 3 * len(senders) {
			el, err := c.Read()
			if err != nil {
				return
			}
			replies <- el.Attr("type")
		}
		// A question of ours: wrong senders, the wrong kind and the wrong id first.
		el, err := c.Read()
		if err != nil {
			return
		}
		for _, wrong := range []string{
			`<iq type='result' id='ID' from='bob@example.org'/>`, `<iq type='result' id='ID'/>`, `<iq type='error' id='ID' from='eve@evil.org'/>`,
			`<iq type='get' id='ID' from='example.org'><ping xmlns='urn:xmpp:ping'/></iq>`, `<message id='ID' from='example.org'/>`,
			`<presence id='ID' from='example.org'/>`, `<iq type='result' id='IDx' from='example.org'/>`,
		} {
			f.write(c, strings.ReplaceAll(wrong, "ID", el.Attr("id")))
		}
		if el, err := c.Read(); err != nil || el.Attr("type") != "result" {
			t.Errorf("the ping was answered by %v, %v", el, err)
		}
		f.answer(c, el, "<query xmlns='http://jabber.org/protocol/disco#info'><feature var='right'/></query>")
		f.idle(c)
	}
	s := f.dial(f.config())
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 3 * len(senders) {
		if got := <-replies; got != stanza.ErrorType {
			t.Fatalf("a push of somebody else was answered with %s", got)
		}
	}
	list := s.Contacts()
	if len(list) != 2 || list[0].Blocked || !list[1].Blocked {
		t.Errorf("contacts %+v", list)
	}
	st, err := s.IQ(t.Context(), stanza.Get, s.Server(), xml.New(nsInfo, "query"))
	if err != nil || !st.Child(nsInfo, "query").Has(nsInfo, "feature") {
		t.Errorf("answer %v, %v", st, err)
	}
}

func TestPushes(t *testing.T) {
	f := newFake(t)
	done := make(chan struct{})
	f.script = func(c *stream.Conn, me string) {
		f.start(c, "")
		f.write(c, `<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='dave@example.org' subscription='both'/></query></iq>
			<iq type='set' id='2' from='alice@example.org'><query xmlns='jabber:iq:roster'><item jid='bob@example.org' subscription='remove'/></query></iq>
			<iq type='set' id='3'><block xmlns='urn:xmpp:blocking'><item jid='dave@example.org'/></block></iq>
			<iq type='set' id='4'><unblock xmlns='urn:xmpp:blocking'><item jid='carol@example.org'/></unblock></iq>
			<iq type='get' id='5' from='bob@example.org/x'><query xmlns='jabber:iq:version'/></iq>
			<iq type='get' id='6' from='bob@example.org/x'><ping xmlns='urn:xmpp:ping'/></iq>
			<iq type='get' id='7' from='bob@example.org/x'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>
			<iq type='get' id='8' from='bob@example.org/x'/>`)
		var got []string
		for range 8 {
			el, err := c.Read()
			if err != nil {
				t.Errorf("read: %v", err)
				break
			}
			got = append(got, el.Attr("id")+el.Attr("type")+el.Attr("to"))
			if el.Attr("id") == "7" && !strings.Contains(el.String(), "<feature var='urn:xmpp:receipts'/><feature var='urn:xmpp:chat-markers:0'/>") {
				t.Errorf("features %s", el)
			}
		}
		want := "1result 2resultalice@example.org 3result 4result 5errorbob@example.org/x 6resultbob@example.org/x 7resultbob@example.org/x 8errorbob@example.org/x"
		if s := strings.Join(got, " "); s != want {
			t.Errorf("answers %s", s)
		}
		close(done)
		f.idle(c)
	}
	s := f.dial(f.config())
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
	list := s.Contacts()
	if len(list) != 2 || list[0].JID.Local() != "carol" || list[0].Blocked || list[1].JID.Local() != "dave" || !list[1].Blocked {
		t.Errorf("contacts %+v", list)
	}
}

func TestEnds(t *testing.T) {
	wrap := func(s string) string { return "<stream:error>" + s + "</stream:error></stream:stream>" }
	const ns = " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
	for _, c := range []struct {
		send    string
		want    string
		passing bool
	}{
		{wrap("<policy-violation" + ns + "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Idle.</text><inactive xmlns='urn:parley:0' seconds='300'/>"), fmt.Sprintf("end %d 5m0s Idle.", Inactive), false},
		{wrap("<policy-violation" + ns), fmt.Sprintf("end %d 0s ", Refused), false},
		{wrap("<not-authorized" + ns), fmt.Sprintf("end %d 0s ", Refused), false},
		{wrap("<resource-constraint" + ns), fmt.Sprintf("end %d 0s ", Refused), true},
		{wrap("<system-shutdown" + ns), fmt.Sprintf("end %d 0s ", Shutdown), true},
		{wrap("<conflict" + ns), fmt.Sprintf("end %d 0s ", Replaced), false},
		{"</stream:stream>", fmt.Sprintf("end %d 0s ", Closed), true},
		{"", fmt.Sprintf("end %d 0s ", Lost), true},
		{"<message", fmt.Sprintf("end %d 0s ", Lost), true},
		{"<a></b>", fmt.Sprintf("end %d 0s ", Lost), true},
	} {
		f := newFake(t)
		f.script = func(conn *stream.Conn, me string) {
			_, _ = conn.Read()
			f.write(conn, c.send)
			if strings.HasSuffix(c.send, "</stream:stream>") {
				_, _ = conn.Read()
			}
		}
		var r recorder
		cfg := f.config()
		cfg.Handle = r.handle
		s := f.dial(cfg)
		err := s.Ping(t.Context())
		var end *End
		if !errors.As(err, &end) {
			t.Errorf("%q: Ping: %v", c.send, err)
		}
		<-s.Done()
		if got := r.all(); len(got) != 1 || got[0] != c.want {
			t.Errorf("%q: events %q, want %q", c.send, got, c.want)
		}
		if got := s.End().Passing(); got != c.passing {
			t.Errorf("%q: passing: %v", c.send, got)
		}
		if err := s.Message(s.Server(), s.NewID(), "x"); !errors.As(err, &end) {
			t.Errorf("%q: a message after the end: %v", c.send, err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Errorf("%q: Close: %v", c.send, err)
		}
	}
}

// A connection that is cut off counts as lost, for whoever waits and for what comes after.
func TestCut(t *testing.T) {
	f := newFake(t)
	hang := make(chan struct{})
	f.script = func(c *stream.Conn, me string) { <-hang }
	s := f.dial(f.config())
	asked := make(chan error, 1)
	go func() { asked <- s.Ping(t.Context()) }()
	s.Cut()
	<-s.Done()
	var end *End
	if err := <-asked; !errors.As(err, &end) || end.Reason != Lost || s.End().Reason != Lost {
		t.Errorf("Ping: %v, end %v", err, s.End())
	}
	close(hang)
}

// A server that does not answer the goodbye is not waited for longer than the caller wants.
func TestCloseCut(t *testing.T) {
	f := newFake(t)
	f.script = func(c *stream.Conn, me string) {
		for {
			if _, err := c.Read(); err != nil {
				break
			}
		}
		_, _ = c.Read()
	}
	hang := make(chan struct{})
	f.script = func(c *stream.Conn, me string) { <-hang }
	s := f.dial(f.config())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close: %v", err)
	}
	close(hang)
}

func TestFunctions(t *testing.T) {
	f := newFake(t)
	asked := make(chan *xml.Element, 20)
	f.script = func(c *stream.Conn, me string) {
		for {
			el, err := c.Read()
			if err != nil {
				_ = c.End()
				return
			}
			cmd := el.Child(nsCommands, "command")
			switch {
			case cmd == nil && el.Has(nsInfo, "query"):
				f.answer(c, el, `<query xmlns='http://jabber.org/protocol/disco#info'><x xmlns='jabber:x:data' type='result'>
					<field var='FORM_TYPE'><value>urn:parley:0</value></field><field var='timeout'><value>300</value></field></x></query>`)
				continue
			case cmd == nil:
				asked <- el
				if el.Name.Local == "iq" {
					f.answer(c, el, "<blocklist xmlns='urn:xmpp:blocking'><item jid='bob@example.org'/></blocklist>")
				}
				continue
			}
			asked <- cmd
			switch cmd.Attr("node") {
			case "urn:parley:0#broadcast":
				f.answer(c, el, "<command xmlns='"+nsCommands+"' status='completed'><note type='warn'>Delivered to 2 people, not to some.</note></command>")
			case "urn:parley:0#whoelse":
				f.write(c, "<iq type='error' id='"+el.Attr("id")+"' from='example.org'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
			default:
				f.answer(c, el, "<command xmlns='"+nsCommands+`' status='completed'><x xmlns='jabber:x:data' type='result'><reported><field var='jid'/></reported>
					<item><field var='jid'><value>bob@example.org</value></field><field var='state'><value>online</value></field><field var='last'><value>now</value></field>
					<field var='since'><value>2026-11-22T09:12:04Z</value></field></item>
					<item><field var='state'><value>online</value></field></item></x></command>`)
			}
		}
	}
	s := f.dial(f.config())
	o, err := s.Broadcast(t.Context(), "one\ntwo")
	if err != nil || !o.Warning || !strings.Contains(o.Note, "some") {
		t.Errorf("Broadcast: %+v, %v", o, err)
	}
	if got := (<-asked).String(); !strings.Contains(got, "<field var='body'><value>one</value><value>two</value></field>") {
		t.Errorf("broadcast sent %s", got)
	}
	var refused *stanza.Error
	if _, err := s.WhoElse(t.Context()); !errors.As(err, &refused) || refused.Condition != stanza.Forbidden {
		t.Errorf("WhoElse: %v", err)
	}
	<-asked
	people, err := s.WhoElseSince(t.Context(), "15m")
	if err != nil || !slices.Equal(people, []Person{{jid.MustParse("bob@example.org"), "online", "now", "2026-11-22T09:12:04Z"}}) {
		t.Errorf("WhoElseSince: %+v, %v", people, err)
	}
	<-asked
	id := s.NewID()
	err = s.Message(jid.MustParse("bob@example.org"), id, "hi")
	el := <-asked
	if err != nil || el.Attr("id") != id || el.Attr("type") != "chat" || el.Child(stanza.NSID, "origin-id").Attr("id") != id {
		t.Errorf("Message: %v, %s", err, el)
	}
	list, err := s.BlockList(t.Context())
	if err != nil || len(list) != 1 {
		t.Errorf("BlockList: %v, %v", list, err)
	}
	if err := errors.Join(s.Block(t.Context(), list[0]), s.Unblock(t.Context(), list[0])); err != nil {
		t.Error(err)
	}
	if d, err := s.IdleLimit(t.Context()); err != nil || d != 5*time.Minute {
		t.Errorf("IdleLimit: %v, %v", d, err)
	}
}
