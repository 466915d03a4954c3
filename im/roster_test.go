package im_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"parley/ext/exttest"
	"parley/im"
	"parley/store/memory"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
)

// TestRosterBounds: a roster has a bound in contacts and in bytes; what is too much is refused, and what is there can still
// be changed for the better.
func TestRosterBounds(t *testing.T) {
	h := exttest.New(t, memory.New(), "alice")
	if err := h.Use(); err != nil {
		t.Fatal(err)
	}
	alice := h.Bind("alice", "tui")
	set := func(who, name string, groups int) stanza.Condition {
		var b strings.Builder
		for i := range groups {
			fmt.Fprintf(&b, "<group>%d%s</group>", i, strings.Repeat("g", 1000))
		}
		a := alice.Ask("set", "", fmt.Sprintf("<query xmlns='jabber:iq:roster'><item jid='%s@elsewhere' name='%s'>%s</item></query>", who, name, &b))
		if a.Type == stanza.ErrorType {
			return stanza.ErrorOf(a).Condition
		}
		return ""
	}
	fits := 0
	for ; set(fmt.Sprint("x", fits), strings.Repeat("n", 1000), 20) == ""; fits++ {
		if fits > 100 {
			t.Fatal("no bound")
		}
	}
	if want := 256 << 10 / (21 * 1000); fits < want-2 || fits > want+1 {
		t.Errorf("%d large contacts fit, about %d expected", fits, want)
	}
	if got := set("x0", "short", 1); got != "" {
		t.Errorf("an item that gets smaller: %s", got)
	}
	if got := set("x1", strings.Repeat("n", 1024), 0); got != stanza.NotAcceptable {
		t.Errorf("a long name: %s", got)
	}
	if got := set("x1", "", 21); got != stanza.ResourceConstraint {
		t.Errorf("many groups: %s", got)
	}
	for i := range fits {
		set(fmt.Sprint("x", i), "", 0)
	}
	more := fits
	for ; more < 2100 && set(fmt.Sprint("x", more), "", 0) == ""; more++ {
	}
	if more != 2000 {
		t.Errorf("%d contacts fit", more)
	}
}

// TestRosterAfterRemoval: an account that was removed while no server ran is nobody's contact any more, and a client that
// has the roster of before is sent the one of now.
func TestRosterAfterRemoval(t *testing.T) {
	st, p := exttest.Start(t, memory.New()), exttest.Everybody("alice", "bob")
	start := func() *im.Server {
		v, err := im.New(im.Config{Domain: exttest.Domain, Store: st, Directory: p, Log: slog.New(slog.DiscardHandler),
			Settings: im.Settings{BlockedSender: im.Explicit, Sessions: 10, Outbox: 1 << 20}})
		if err == nil {
			err = v.Use()
		}
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	receive := func(s *im.Session, text string) {
		t.Helper()
		if err := s.Receive(t.Context(), element(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	rosterOf := func(v *im.Server, ver string) string {
		s := bind(t, v, "alice", "r"+ver)
		receive(s, "<iq type='get' id='r'><query xmlns='jabber:iq:roster' ver='"+ver+"'/></iq>")
		if m := st.Mark(); m != 0 { // the answer waits for what was written before it
			if err := st.Wait(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		out, _ := s.Next(t.Context(), nil)
		return string(out)
	}
	v := start()
	alice, bob := bind(t, v, "alice", "a"), bind(t, v, "bob", "b")
	receive(alice, "<presence type='subscribe' to='bob@here'/>")
	receive(bob, "<presence type='subscribed' to='alice@here'/>")
	before := rosterOf(v, "")
	_, rest, _ := strings.Cut(before, "ver='")
	ver, _, _ := strings.Cut(rest, "'")
	if !strings.Contains(before, "subscription='to'") || ver == "" {
		t.Fatalf("the roster is %s", before)
	}
	if got := rosterOf(start(), ver); strings.Contains(got, "<item") {
		t.Errorf("the same roster is sent again: %s", got)
	}
	p.Remove("bob")
	p.Add("bob") // somebody else
	v = start()
	if got := rosterOf(v, ver); !strings.Contains(got, "<item jid='bob@here' subscription='none'/>") {
		t.Errorf("after the removal: %s", got)
	}
	a, err := v.Account(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	if to, from := a.State(jid.MustParse("bob@here")); to && a.Shows(jid.MustParse("bob@here")) || from {
		t.Error("the new bob has what the old one had")
	}
}
