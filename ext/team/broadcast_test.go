package team_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/ext/adhoc"
	"parley/ext/exttest"
	"parley/ext/team"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
)

const unreached = "Your message could not be delivered to some recipients."

func note(typ, text string) string { return "<note type='" + typ + "'>" + text + "</note>" }

func TestBroadcast(t *testing.T) {
	h := hall(t, options(), "alice", "bob", "carol", "dave")
	alice, phone := h.Join("alice", "tui"), h.Join("alice", "phone")
	if got, err := run(alice, team.NodeBroadcast, "body", "hello?"); err != nil || got != note("info", "Nobody else is online.") {
		t.Errorf("alone: %q, %v", got, err)
	}
	bob, silent := h.Join("bob", "tui"), h.Bind("dave", "tui") // dave is signed in, but not available
	if got, err := run(alice, team.NodeBroadcast, "body", "one"); err != nil || got != note("info", "Delivered to 1 person.") {
		t.Errorf("one: %q, %v", got, err)
	}
	carol := h.Join("carol", "tui")
	for _, c := range []*exttest.Client{alice, phone, bob, carol} {
		c.Got()
	}
	if got, err := run(alice, team.NodeBroadcast, "body", "first <line>\nsecond"); err != nil || got != note("info", "Delivered to 2 people.") {
		t.Errorf("two: %q, %v", got, err)
	}
	for _, c := range []*exttest.Client{bob, carol} {
		got := c.Got()
		if len(got) != 1 {
			t.Fatalf("%s: %v", c.JID(), got)
		}
		st := got[0]
		if st.Type != stanza.Headline || st.From.String() != "alice@here" || st.To != c.JID().Bare() || st.ID == "" ||
			st.Body() != "first <line>\nsecond" || !st.Has(stanza.NSHints, "no-store") || st.Len() != 2 {
			t.Errorf("%s: %s", c.JID(), st)
		}
	}
	for _, c := range []*exttest.Client{alice, phone, silent} {
		if got := c.Got(); len(got) != 0 {
			t.Errorf("%s got %v", c.JID(), got)
		}
	}
	if got := h.Join("dave", "late").Got(); len(got) != 0 { // Join has read what is kept
		t.Errorf("kept for somebody offline: %v", got)
	}
}

// TestBroadcastBlocked: the word "some" appears exactly when somebody was passed over, and nobody is named.
func TestBroadcastBlocked(t *testing.T) {
	h := hall(t, options(), "alice", "bob", "carol")
	alice, bob, carol := h.Join("alice", "tui"), h.Join("bob", "tui"), h.Join("carol", "tui")
	check := func(when, want string) {
		t.Helper()
		bob.Got()
		carol.Got()
		got, err := run(alice, team.NodeBroadcast, "body", "x")
		if err != nil || got != want {
			t.Errorf("%s: %q, %v", when, got, err)
		}
	}
	block(bob, true, "alice")
	check("blocked by one", note("warn", "Delivered to 1 person. "+unreached))
	if len(bob.Got()) != 0 || len(carol.Got()) != 1 {
		t.Error("the wrong ones got it")
	}
	block(carol, true, "alice")
	check("blocked by all", note("warn", "Delivered to 0 people. "+unreached))
	block(bob, false, "alice")
	block(carol, false, "alice")
	check("unblocked", note("info", "Delivered to 2 people."))
	block(alice, true, "carol")
	check("blocks somebody", note("warn", "Delivered to 1 person. "+unreached))
	if len(carol.Got()) != 0 {
		t.Error("somebody whom the sender blocks got it")
	}
	bob.Leave()
	carol.Leave()
	check("all offline, blocks or not", note("info", "Nobody else is online."))
}

func TestBroadcastTexts(t *testing.T) {
	h := hall(t, options(), "alice", "bob")
	alice, bob := h.Join("alice", "tui"), h.Join("bob", "tui")
	long := strings.Repeat("x", 64<<10)
	for _, c := range []struct{ field, text, want string }{
		{"body", "", "The message is empty."},
		{"body", " \n\t", "The message is empty."},
		{"text", "wrong field", "The message is empty."},
		{"body", long + "x", "The message is longer than 64 KiB."},
	} {
		_, err := run(alice, team.NodeBroadcast, c.field, c.text)
		if err == nil || err.Condition != stanza.BadRequest || err.Text != c.want || err.App == nil {
			t.Errorf("%.20q: %v", c.text, err)
		}
	}
	if len(bob.Got()) != 0 {
		t.Error("something refused was sent")
	}
	if got, err := run(alice, team.NodeBroadcast, "body", long); err != nil {
		t.Errorf("64 KiB: %q, %v", got, err)
	}
}

func TestBroadcastTwoSteps(t *testing.T) {
	h := hall(t, options(), "alice", "bob")
	alice, bob := h.Join("alice", "tui"), h.Join("bob", "tui")
	a := alice.Ask("set", "here", "<command xmlns='"+adhoc.NS+"' node='"+team.NodeBroadcast+"' action='execute'/>")
	el := a.Child(adhoc.NS, "command")
	id := el.Attr("sessionid")
	want := "<command xmlns='" + adhoc.NS + "' node='" + team.NodeBroadcast + "' sessionid='" + id + "' status='executing'>" +
		"<actions execute='complete'><complete/></actions>" +
		"<x xmlns='jabber:x:data' type='form'><title>Message everyone online</title>" +
		"<field var='FORM_TYPE' type='hidden'><value>urn:parley:0</value></field>" +
		"<field var='body' type='text-multi' label='Message'><required/></field></x></command>"
	if a.Raw() != want {
		t.Errorf("first step:\ngot  %s\nwant %s", a.Raw(), want)
	}
	for _, kind := range []string{"urn:parley:0", "", "urn:something:else"} { // FORM_TYPE is not looked at
		x := form.New(form.Submit, kind, "", form.Field{Var: "body", Values: []string{"kind " + kind}}).Element()
		a = alice.Ask("set", "here", "<command xmlns='"+adhoc.NS+"' node='"+team.NodeBroadcast+"' sessionid='"+id+"' action='complete'>"+x.String()+"</command>")
		el := a.Child(adhoc.NS, "command")
		if el == nil || el.Attr("status") != "completed" || el.Attr("sessionid") != id || el.Raw() != note("info", "Delivered to 1 person.") {
			t.Errorf("FORM_TYPE %q: %s", kind, a)
		}
		if got := bob.Got(); len(got) != 1 || got[0].Body() != "kind "+kind {
			t.Errorf("FORM_TYPE %q: %v", kind, got)
		}
		a = alice.Ask("set", "here", "<command xmlns='"+adhoc.NS+"' node='"+team.NodeBroadcast+"'/>")
		id = a.Child(adhoc.NS, "command").Attr("sessionid")
	}
}

// TestBroadcastRate: ten at once, then one in five seconds, for each account, whatever its number of clients.
func TestBroadcastRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hall(t, options(), "alice", "bob")
		alice, phone, bob := h.Join("alice", "tui"), h.Join("alice", "phone"), h.Join("bob", "tui")
		send := func(c *exttest.Client) *stanza.Error {
			_, err := run(c, team.NodeBroadcast, "body", "x")
			return err
		}
		for n := range 10 {
			if err := send(alice); err != nil {
				t.Fatalf("number %d: %v", n+1, err)
			}
		}
		err := send(phone)
		if err == nil || err.Condition != stanza.ResourceConstraint || err.Class != stanza.ClassWait ||
			err.Text != "You have written to everyone very often. The next time is possible in 5 seconds." {
			t.Errorf("number 11: %v", err)
		}
		if got := alice.Say("broadcast by word"); got != err.Text {
			t.Errorf("by word: %q", got)
		}
		if err := send(bob); err != nil {
			t.Errorf("somebody else: %v", err)
		}
		time.Sleep(4500 * time.Millisecond)
		if err := send(alice); err == nil || !strings.HasSuffix(err.Text, "in 1 second.") {
			t.Errorf("after 4.5 s: %v", err)
		}
		time.Sleep(500 * time.Millisecond)
		if err := send(alice); err != nil {
			t.Errorf("after 5 s: %v", err)
		}
		if err := send(alice); err == nil {
			t.Error("twice after 5 s")
		}
		time.Sleep(time.Hour)
		for n := range 10 {
			if err := send(alice); err != nil {
				t.Fatalf("an hour later, number %d: %v", n+1, err)
			}
		}
		if send(alice) == nil {
			t.Error("an hour of silence gave more than ten")
		}
	})
}

func TestBroadcastUnlimited(t *testing.T) {
	o := options()
	o.Every = 0
	h := hall(t, o, "alice", "bob")
	alice, _ := h.Join("alice", "tui"), h.Join("bob", "tui")
	for range 50 {
		if _, err := run(alice, team.NodeBroadcast, "body", "x"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSwitches: a function that is off is listed nowhere and done nowhere.
func TestSwitches(t *testing.T) {
	for _, c := range []struct {
		node, word string
		off        func(*team.Options)
	}{
		{team.NodeBroadcast, "broadcast", func(o *team.Options) { o.Broadcast = false }},
		{team.NodeWhoelse, "whoelse", func(o *team.Options) { o.Whoelse = false }},
		{team.NodeWhoelsesince, "whoelsesince", func(o *team.Options) { o.Whoelsesince = false }},
	} {
		o := options()
		c.off(&o)
		h := hall(t, o, "alice")
		for _, x := range h.Extensions() {
			for _, cmd := range x.Commands {
				if cmd.Node == c.node {
					t.Errorf("%s is listed", c.node)
				}
			}
		}
		alice := h.Join("alice", "tui")
		if _, err := run(alice, c.node, "body", "x"); err == nil || err.Condition != stanza.ItemNotFound {
			t.Errorf("%s: %v", c.node, err)
		}
		line := c.word
		if line != "whoelse" {
			line += " 15m"
		}
		if got, want := alice.Say(line), c.word+" is switched off on this server."; got != want {
			t.Errorf("%q: %q", line, got)
		}
		if help := alice.Say("help"); strings.Contains(help, "\n"+c.word+" ") {
			t.Errorf("help: %s", help)
		}
	}
}
