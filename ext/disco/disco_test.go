package disco_test

import (
	"context"
	"strings"
	"testing"

	"parley/ext/blocking"
	"parley/ext/disco"
	"parley/ext/exttest"
	"parley/ext/ping"
	"parley/im"
	"parley/store/memory"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

func hall(t *testing.T, timeout int) *exttest.Hall {
	t.Helper()
	h := exttest.New(t, memory.New(), "alice", "bob")
	err := h.Use(
		ping.New(), blocking.New(),
		im.Extension{
			Name: "what has commands",
			Commands: []im.Command{
				{Node: "urn:test#one", Name: "The <first>", Run: func(context.Context, *im.Session, *xml.Element) (im.CommandResult, error) {
					return im.CommandResult{}, nil
				}},
				{Node: "urn:test#two", Name: "The second"},
			},
			Features: []string{"urn:test", ping.NS},
			Account:  []string{"urn:test:account"},
		},
		disco.New(h.Server, disco.Options{Timeout: func() int { return timeout }}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func query(ns, node string) string {
	if node != "" {
		node = " node='" + node + "'"
	}
	return "<query xmlns='" + ns + "'" + node + "/>"
}

const (
	serverInfo = `<identity category='server' type='im' name='Parley'/>` +
		`<feature var='http://jabber.org/protocol/caps'/>` +
		`<feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/>` +
		`<feature var='urn:test'/><feature var='urn:xmpp:blocking'/><feature var='urn:xmpp:ping'/>` +
		`<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>urn:parley:0</value></field>` +
		`<field var='timeout'><value>300</value></field></x></query>`
	accountInfo = `<query xmlns='http://jabber.org/protocol/disco#info'><identity category='account' type='registered'/>` +
		`<feature var='http://jabber.org/protocol/disco#info'/><feature var='http://jabber.org/protocol/disco#items'/>` +
		`<feature var='urn:test:account'/><feature var='urn:xmpp:ping'/></query>`
)

func TestAnswers(t *testing.T) {
	alice := hall(t, 300).Join("alice", "tui")
	for _, c := range []struct{ to, payload, want string }{
		{"here", query(disco.NSInfo, ""), `<query xmlns='http://jabber.org/protocol/disco#info'>` + serverInfo},
		{"here", query(disco.NSItems, ""), query(disco.NSItems, "")},
		{"here", query(disco.NSItems, disco.NSCommands), `<query xmlns='http://jabber.org/protocol/disco#items' node='http://jabber.org/protocol/commands'>` +
			`<item jid='here' node='urn:test#one' name='The &lt;first>'/><item jid='here' node='urn:test#two' name='The second'/></query>`},
		{"here", query(disco.NSInfo, disco.NSCommands), `<query xmlns='http://jabber.org/protocol/disco#info' node='http://jabber.org/protocol/commands'>` +
			`<identity category='automation' type='command-list' name='Commands'/><feature var='http://jabber.org/protocol/commands'/></query>`},
		{"here", query(disco.NSInfo, "urn:test#two"), `<query xmlns='http://jabber.org/protocol/disco#info' node='urn:test#two'>` +
			`<identity category='automation' type='command-node' name='The second'/>` +
			`<feature var='http://jabber.org/protocol/commands'/><feature var='jabber:x:data'/></query>`},
		{"here", query(disco.NSItems, "urn:test#two"), query(disco.NSItems, "urn:test#two")},
		{"", query(disco.NSInfo, ""), accountInfo},
		{"alice@here", query(disco.NSInfo, ""), accountInfo},
		{"bob@here", query(disco.NSInfo, ""), accountInfo},
		{"bob@here", query(disco.NSItems, ""), query(disco.NSItems, "")},
	} {
		a := alice.Ask("get", c.to, c.payload)
		if got := strings.ReplaceAll(a.Raw(), "&gt;", ">"); a.Type != stanza.Result || got != c.want {
			t.Errorf("%s to %q\ngot  %s\nwant %s", c.payload, c.to, got, c.want)
		}
	}
}

func TestErrors(t *testing.T) {
	h := hall(t, 0)
	alice, bob := h.Join("alice", "tui"), h.Join("bob", "tui")
	for _, c := range []struct {
		to, payload string
		want        stanza.Condition
	}{
		{"here", query(disco.NSInfo, "urn:nothing"), stanza.ItemNotFound},
		{"here", query(disco.NSInfo, disco.Node), stanza.ItemNotFound},
		{"here", query(disco.NSInfo, disco.Node+"#old"), stanza.ItemNotFound},
		{"here", query(disco.NSItems, "urn:nothing"), stanza.ItemNotFound},
		{"bob@here", query(disco.NSInfo, "urn:nothing"), stanza.ItemNotFound},
		{"bob@here", query(disco.NSItems, disco.NSCommands), stanza.ItemNotFound},
		{"nobody@here", query(disco.NSInfo, ""), stanza.ServiceUnavailable},
	} {
		a := alice.Ask("get", c.to, c.payload)
		if e := stanza.ErrorOf(a); a.Type != stanza.ErrorType || e.Condition != c.want {
			t.Errorf("%s to %s: got %s, want %s", c.payload, c.to, a, c.want)
		}
	}
	if a := alice.Ask("set", "here", query(disco.NSInfo, "")); a.Type != stanza.ErrorType {
		t.Errorf("set: %s", a)
	}
	// Whoever is blocked learns what he would learn of an account that does not exist.
	bob.Ask("set", "", `<block xmlns='urn:xmpp:blocking'><item jid='alice@here'/></block>`)
	for _, ns := range []string{disco.NSInfo, disco.NSItems} {
		blocked := strings.ReplaceAll(alice.Ask("get", "bob@here", query(ns, "")).String(), "bob", "nobody")
		if none := alice.Ask("get", "nobody@here", query(ns, "")).String(); blocked != none {
			t.Errorf("blocked and unknown differ:\n%s\n%s", blocked, none)
		}
	}
}

// TestContacts: who runs the server can be reached at what the form says (XEP-0157); without an address there is no form.
func TestContacts(t *testing.T) {
	h := exttest.New(t, memory.New(), "alice")
	err := h.Use(disco.New(h.Server, disco.Options{Timeout: func() int { return 0 }, Contacts: disco.Contacts{
		Support: []string{"xmpp:help@here?message", "https://here/help?a&b"}, Abuse: []string{"mailto:abuse@here"},
	}}))
	if err != nil {
		t.Fatal(err)
	}
	want := `<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>` +
		`<field var='abuse-addresses' type='list-multi'><value>mailto:abuse@here</value></field>` +
		`<field var='support-addresses' type='list-multi'><value>xmpp:help@here?message</value><value>https://here/help?a&amp;b</value></field></x></query>`
	alice := h.Bind("alice", "tui")
	if a := alice.Ask("get", "here", query(disco.NSInfo, "")); !strings.HasSuffix(a.Raw(), want) || strings.Count(a.Raw(), "<x ") != 2 {
		t.Errorf("got %s", a.Raw())
	}
	// The hash is of the form, too (XEP-0115 §5.1).
	node := disco.Node + "#" + disco.Caps(h.Server).Attr("ver")
	if a := alice.Ask("get", "here", query(disco.NSInfo, node)); !strings.HasSuffix(a.Raw(), want) {
		t.Errorf("under the hash: %s", a)
	}
	silent := exttest.New(t, memory.New(), "alice")
	if err := silent.Use(disco.New(silent.Server, disco.Options{Timeout: func() int { return 0 }})); err != nil {
		t.Fatal(err)
	}
	if a := silent.Bind("alice", "tui").Ask("get", "here", query(disco.NSInfo, "")); strings.Contains(a.Raw(), disco.NSServerInfo) {
		t.Errorf("without addresses: %s", a)
	}
	if disco.Caps(silent.Server).Attr("ver") == disco.Caps(h.Server).Attr("ver") {
		t.Error("with and without addresses the hash is the same")
	}
}

// TestCaps: what the hash stands for is what a client gets that asks for it (XEP-0115 §6.2).
func TestCaps(t *testing.T) {
	h := hall(t, 300)
	alice := h.Bind("alice", "tui")
	c := disco.Caps(h.Server)
	if c.Attr("hash") != "sha-1" || c.Attr("node") != disco.Node {
		t.Fatal(c)
	}
	node := disco.Node + "#" + c.Attr("ver")
	a := alice.Ask("get", "here", query(disco.NSInfo, node))
	if want := `<query xmlns='http://jabber.org/protocol/disco#info' node='` + node + `'>` + serverInfo; a.Raw() != want {
		t.Errorf("got  %s\nwant %s", a.Raw(), want)
	}
	if a := alice.Ask("get", "here", query(disco.NSItems, node)); a.Type != stanza.ErrorType {
		t.Errorf("items: %s", a)
	}
	if other := disco.Caps(hall(t, 301).Server); other.Attr("ver") == c.Attr("ver") {
		t.Error("another timeout has the same hash")
	}
	plain := exttest.New(t, memory.New())
	if disco.Caps(plain.Server) != nil {
		t.Error("caps without the extension")
	}
}
