package c2s_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"parley/c2s"
	"parley/im"
	"parley/imtest"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// bombastic is an extension that panics wherever it is asked to by a message whose body begins with the word "panic".
func bombastic() im.Extension {
	on := func(word string) im.Step {
		return func(_ context.Context, d *im.Delivery) error {
			if d.Stanza.Body() == "panic "+word {
				panic(word)
			}
			return nil
		}
	}
	reply := func(context.Context, *im.Query) (*xml.Element, error) { panic("reply") }
	return im.Extension{
		Name: "bombastic", Sending: on("sending"), Arriving: on("arriving"), Missed: on("missed"),
		Answers: []im.Answer{
			{At: im.AtServer, Name: xml.Name{Space: "urn:bomb", Local: "a"}, Get: reply, Set: reply},
			{At: im.AtServer, Name: xml.Name{Space: "urn:bomb", Local: "b"}, Set: reply, Outside: true},
		},
		Closed: func(s *im.Session) {
			if s.JID().Resource() == "closing" {
				panic("closed")
			}
		},
	}
}

// TestPanic: a panic in an extension ends the stream of whoever caused it, or only answers his request with an error,
// and nobody else notices: no lock stays held, nothing waits for ever (catalogue C28).
func TestPanic(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.TLS, Settings: map[string]string{"archive": "off"}})
	s.Account("alice", "bob", "eve")
	if err := s.Clients().Hall.Use(bombastic()); err != nil {
		t.Fatal(err)
	}
	alice, bob := s.Online(t, "alice/a"), s.Online(t, "bob/b")
	message := func(to, words string) string {
		return "<message to='" + to + "@localhost' type='chat' id='m'><body>" + words + "</body></message>"
	}
	for _, c := range []struct {
		name, text string
		resource   string
		stays      bool
	}{
		{name: "sending", text: message("bob", "panic sending")},
		{name: "arriving", text: message("bob", "panic arriving")},
		{name: "missed", text: message("eve", "panic missed")},
		{name: "get", text: "<iq type='get' id='q' to='localhost'><a xmlns='urn:bomb'/></iq>", stays: true},
		{name: "set", text: "<iq type='set' id='q' to='localhost'><a xmlns='urn:bomb'/></iq>", stays: true},
		{name: "set, outside", text: "<iq type='set' id='q' to='localhost'><b xmlns='urn:bomb'/></iq>", stays: true},
		{name: "closed", text: "</stream:stream>", resource: "closing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := dial(t, s)
			p.toSASL()
			p.signIn("eve")
			p.bind(c.resource)
			if !strings.HasSuffix(c.name, "missed") {
				p.send("<presence/>")
				p.fence()
			}
			p.send(c.text)
			switch {
			case c.stays:
				p.get("<internal-server-error xmlns='" + stanza.NSStanzas + "'/>")
				p.fence()
				p.close()
			case c.resource != "":
				if got := p.end(); !strings.HasSuffix(got, "</stream:stream>") {
					t.Errorf("closed with %q", got)
				}
			default:
				p.refused(stream.InternalServerError)
			}
			for range 500 { // eve has gone, whatever happened
				if _, all := s.Clients().Counts(); all == 2 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			imtest.Settle(alice, bob)
			alice.Send(message("bob", "after "+c.name))
			if got := bob.Next(); got.Body() != "after "+c.name {
				t.Errorf("bob got %s", got)
			}
			alice.Send(message("eve", "and to her"))
			alice.Fence()
		})
	}
	if a, err := s.Clients().Hall.Account(t.Context(), "eve"); err != nil || len(a.Sessions()) > 0 {
		t.Errorf("eve's sessions are left: %v (%v)", a.Sessions(), err)
	}
}

// register is a Registrar that panics.
type register struct{}

func (register) Handle(context.Context, *xml.Element, netip.Addr) (*xml.Element, error) {
	panic("register")
}

// TestPanicBeforeSignIn: the same before there is a session.
func TestPanicBeforeSignIn(t *testing.T) {
	r := newRoom(t, roomOptions{Config: c2s.Config{Settings: c2s.Settings{Register: register{}}}}, "alice")
	p, done := r.connect(c2s.Insecure)
	p.toSASL()
	p.send("<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>")
	p.refused(stream.InternalServerError)
	<-done
	if waiting, all := r.Counts(); waiting+all != 0 {
		t.Errorf("%d connections are still counted", all)
	}
	r.join("alice", "a", true)
}
