package blocking_test

import (
	"slices"
	"strings"
	"testing"

	"parley/ext/blocking"
	"parley/ext/exttest"
	"parley/store/memory"
	"parley/xmpp/stanza"
)

func hall(t *testing.T) *exttest.Hall {
	t.Helper()
	h := exttest.New(t, memory.New(), "alice", "bob", "carol")
	if err := h.Use(blocking.New()); err != nil {
		t.Fatal(err)
	}
	return h
}

func set(name string, items ...string) string {
	var b strings.Builder
	for _, j := range items {
		b.WriteString("<item jid='" + j + "'/>")
	}
	return "<" + name + " xmlns='urn:xmpp:blocking'>" + b.String() + "</" + name + ">"
}

func list(c *exttest.Client) string {
	return c.Ask("get", "", `<blocklist xmlns='urn:xmpp:blocking'/>`).Raw()
}

func TestListIsKept(t *testing.T) {
	h := hall(t)
	alice := h.Bind("alice", "tui")
	if got, want := list(alice), `<blocklist xmlns='urn:xmpp:blocking'/>`; got != want {
		t.Errorf("empty: %s", got)
	}
	for range 2 { // the protocol is idempotent
		if a := alice.Ask("set", "", set("block", "carol@here", "BOB@here", "bob@here", "bad.example")); a.Type != stanza.Result || a.Len() != 0 {
			t.Errorf("block: %s", a)
		}
	}
	want := `<blocklist xmlns='urn:xmpp:blocking'><item jid='bad.example'/><item jid='bob@here'/><item jid='carol@here'/></blocklist>`
	if got := list(alice); got != want {
		t.Errorf("got %s", got)
	}
	for range 2 {
		if a := alice.Ask("set", "alice@here", set("unblock", "bob@here")); a.Type != stanza.Result {
			t.Errorf("unblock: %s", a)
		}
	}
	if got, want := list(alice), `<blocklist xmlns='urn:xmpp:blocking'><item jid='bad.example'/><item jid='carol@here'/></blocklist>`; got != want {
		t.Errorf("got %s", got)
	}
	if a := alice.Ask("set", "", `<unblock xmlns='urn:xmpp:blocking'/>`); a.Type != stanza.Result {
		t.Errorf("unblock all: %s", a)
	}
	if got, want := list(alice), `<blocklist xmlns='urn:xmpp:blocking'/>`; got != want {
		t.Errorf("got %s", got)
	}
}

func TestErrors(t *testing.T) {
	h := hall(t)
	alice := h.Bind("alice", "tui")
	for _, c := range []struct {
		to, payload string
		want        stanza.Condition
	}{
		{"", set("block"), stanza.BadRequest},
		{"", `<block xmlns='urn:xmpp:blocking'><item/></block>`, stanza.BadRequest},
		{"", `<block xmlns='urn:xmpp:blocking'><who jid='bob@here'/></block>`, stanza.BadRequest},
		{"", `<unblock xmlns='urn:xmpp:blocking'><item/></unblock>`, stanza.BadRequest},
		{"", `<unblock xmlns='urn:xmpp:blocking'><itme jid='bob@here'/></unblock>`, stanza.BadRequest},
		{"", set("block", "bob@@here"), stanza.JIDMalformed},
		{"", set("block", "bob@here", "@here"), stanza.JIDMalformed},
		{"", set("unblock", "bob@here", "/x"), stanza.JIDMalformed},
		{"", set("block", "alice@here"), stanza.NotAllowed},
		{"", set("block", "ALICE@here"), stanza.NotAllowed},
		{"", set("block", "alice@here/phone"), stanza.NotAllowed},
		{"", set("block", "bob@here", "here"), stanza.NotAllowed},
		{"", set("block", "here/x"), stanza.NotAllowed},
		{"bob@here", set("block", "carol@here"), stanza.ServiceUnavailable},
		{"here", set("block", "carol@here"), stanza.ServiceUnavailable},
	} {
		a := alice.Ask("set", c.to, c.payload)
		if e := stanza.ErrorOf(a); a.Type != stanza.ErrorType || e.Condition != c.want {
			t.Errorf("%s: got %s, want %s", c.payload, a, c.want)
		}
	}
	if a := alice.Ask("get", "bob@here", `<blocklist xmlns='urn:xmpp:blocking'/>`); a.Type != stanza.ErrorType {
		t.Errorf("somebody else's list: %s", a)
	}
	if got, want := list(alice), `<blocklist xmlns='urn:xmpp:blocking'/>`; got != want {
		t.Errorf("something refused was blocked all the same: %s", got)
	}
}

// TestPush: clients that have asked for the list hear of changes, others do not (XEP-0191 §3.3).
func TestPush(t *testing.T) {
	h := hall(t)
	tui, phone, old := h.Bind("alice", "tui"), h.Bind("alice", "phone"), h.Bind("alice", "old")
	list(tui)
	list(phone)
	report := `<block xmlns='urn:xmpp:blocking'><item jid='bob@here'><report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/></item></block>`
	if a := tui.Ask("set", "", report); a.Type != stanza.Result {
		t.Fatal(a)
	}
	for _, c := range []*exttest.Client{tui, phone} {
		got := c.Got()
		if len(got) != 1 || got[0].Type != stanza.Set || got[0].From.String() != "alice@here" ||
			got[0].Raw() != `<block xmlns='urn:xmpp:blocking'><item jid='bob@here'/></block>` {
			t.Errorf("%s: push %v", c.JID(), got)
		}
	}
	if got := old.Got(); len(got) != 0 {
		t.Errorf("somebody who did not ask: %v", got)
	}
	tui.Ask("set", "", `<unblock xmlns='urn:xmpp:blocking'/>`)
	if got := phone.Got(); len(got) != 1 || got[0].Raw() != `<unblock xmlns='urn:xmpp:blocking'/>` {
		t.Errorf("push of unblocking all: %v", got)
	}
}

// TestPresence: whoever is blocked sees the blocker leave, and come back when the block is taken back.
func TestPresence(t *testing.T) {
	h := hall(t)
	alice, bob := h.Join("alice", "tui"), h.Join("bob", "tui")
	bob.Got()
	alice.Ask("set", "", set("block", "bob@here"))
	if got := bob.Texts(); !slices.Equal(got, []string{`<presence from='alice@here/tui' to='bob@here/tui' type='unavailable'/>`}) {
		t.Errorf("blocked: %q", got)
	}
	alice.Ask("set", "", set("unblock", "bob@here"))
	if got := bob.Texts(); len(got) != 1 || got[0] != `<presence from='alice@here/tui' to='bob@here/tui'/>` {
		t.Errorf("unblocked: %q", got)
	}
}
