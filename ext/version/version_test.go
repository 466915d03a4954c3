package version_test

import (
	"testing"

	"parley/ext/exttest"
	"parley/ext/version"
	"parley/store/memory"
	"parley/xmpp/stanza"
)

func TestVersion(t *testing.T) {
	h := exttest.New(t, memory.New(), "alice")
	if err := h.Use(version.New("1.2 <beta>")); err != nil {
		t.Fatal(err)
	}
	alice := h.Bind("alice", "tui")
	const payload = `<query xmlns='jabber:iq:version'/>`
	want := `<query xmlns='jabber:iq:version'><name>Parley</name><version>1.2 &lt;beta&gt;</version></query>`
	if a := alice.Ask("get", "here", payload); a.Type != stanza.Result || a.Raw() != want {
		t.Errorf("got %s", a)
	}
	for to, typ := range map[string]string{"here": "set", "alice@here": "get", "": "get"} {
		if a := alice.Ask(typ, to, payload); a.Type != stanza.ErrorType {
			t.Errorf("%s to %q: %s", typ, to, a)
		}
	}
}
