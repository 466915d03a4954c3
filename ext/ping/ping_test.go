package ping_test

import (
	"testing"

	"parley/ext/exttest"
	"parley/ext/ping"
	"parley/store/memory"
	"parley/xmpp/stanza"
)

func TestPing(t *testing.T) {
	h := exttest.New(t, memory.New(), "alice", "bob")
	if err := h.Use(ping.New()); err != nil {
		t.Fatal(err)
	}
	alice := h.Join("alice", "tui")
	const payload = `<ping xmlns='urn:xmpp:ping'/>`
	for _, to := range []string{"here", "", "alice@here", "bob@here"} {
		if a := alice.Ask("get", to, payload); a.Type != stanza.Result || a.Len() != 0 {
			t.Errorf("to %q: %s", to, a)
		}
	}
	if a := alice.Ask("get", "nobody@here", payload); stanza.ErrorOf(a).Condition != stanza.ServiceUnavailable {
		t.Errorf("to nobody: %s", a)
	}
	if a := alice.Ask("set", "here", payload); stanza.ErrorOf(a).Condition != stanza.FeatureNotImplemented {
		t.Errorf("set: %s", a)
	}
}
