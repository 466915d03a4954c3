package team_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"parley/ext/exttest"
	"parley/im"
	"parley/store/memory"
	"parley/xmpp/stanza"
)

// lastOf is what somebody learns of an address: seconds, or the condition of an error.
func lastOf(c *exttest.Client, to string) string {
	a := c.Ask("get", to, `<query xmlns='jabber:iq:last'/>`)
	if a.Type == stanza.ErrorType {
		return string(stanza.ErrorOf(a).Condition)
	}
	return a.First().Attr("seconds")
}

func lasts(t *testing.T, c *exttest.Client, want map[string]string) {
	t.Helper()
	for to, s := range want {
		if got := lastOf(c, to); got != s {
			t.Errorf("last of %q: got %s, want %s", to, got, s)
		}
	}
}

// TestLast: the server's uptime and people's absence, in whole seconds, across a restart and a crash.
func TestLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, p := memory.New(), exttest.Everybody("alice", "bob", "carol", "dave")
		h, stop := serve(t, e, p)
		alice, bob := h.Bind("alice", "tui"), h.Join("bob", "tui")
		lasts(t, alice, map[string]string{
			"here": "0", "": "item-not-found", "alice@here": "item-not-found", "bob@here": "0", "dave@here": "item-not-found",
			"nobody@here": "service-unavailable",
		})
		alice.Send(`<presence/>`)
		h.Join("carol", "one")
		carol := h.Join("carol", "two")
		time.Sleep(1900 * time.Millisecond)
		bob.Leave()
		carol.Leave()
		time.Sleep(time.Minute)
		lasts(t, alice, map[string]string{"here": "61", "": "0", "bob@here": "60", "carol@here": "0"})
		bob = h.Bind("bob", "tui") // connected, but not available: he is not here yet
		lasts(t, bob, map[string]string{"": "60", "bob@here": "60"})
		bob.Leave()
		lasts(t, alice, map[string]string{"bob@here": "60"})
		stop() // as kill -9 does: alice and carol were here until the last heartbeat
		time.Sleep(time.Hour)
		h, stop = serve(t, e, p)
		defer stop()
		bob = h.Join("bob", "tui")
		time.Sleep(5 * time.Second)
		lasts(t, bob, map[string]string{"here": "5", "bob@here": "0", "alice@here": "3606", "carol@here": "3606", "dave@here": "item-not-found"})
	})
}

// TestLastHidden: nobody learns when somebody was here whose presence he may not see.
func TestLastHidden(t *testing.T) {
	h, _ := start(t, memory.New(), exttest.Everybody("alice", "bob"), options())
	alice, bob := h.Join("alice", "tui"), h.Join("bob", "tui")
	bob.Ask("set", "", `<block xmlns='urn:xmpp:blocking'><item jid='alice@here'/></block>`)
	blocked := alice.Ask("get", "bob@here", `<query xmlns='jabber:iq:last'/>`)
	if e := stanza.ErrorOf(blocked); e.Condition != stanza.ServiceUnavailable || e.Text != "" {
		t.Errorf("blocked: %s", blocked)
	}
	if e := stanza.ErrorOf(bob.Ask("get", "alice@here", `<query xmlns='jabber:iq:last'/>`)); e.Condition != stanza.NotAcceptable {
		t.Errorf("blocker: %s", e)
	}
	// A stranger: no session of this server asks as one today.
	for _, x := range h.Extensions() {
		if x.Name != "team" {
			continue
		}
		q := &im.Query{Stanza: stanza.Must(`<iq type='get' id='q' from='juliet@elsewhere' to='alice@here'><query xmlns='jabber:iq:last'/></iq>`), Account: alice.Account()}
		var e *stanza.Error
		if _, err := x.Answers[1].Get(t.Context(), q); !errors.As(err, &e) || e.Condition != stanza.Forbidden {
			t.Errorf("stranger: %v", err)
		}
	}
	if e := stanza.ErrorOf(bob.Ask("set", "here", `<query xmlns='jabber:iq:last'/>`)); e.Condition != stanza.FeatureNotImplemented {
		t.Errorf("set: %s", e)
	}
}
