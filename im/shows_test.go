package im_test

import (
	"testing"

	"parley/ext/blocking"
	"parley/ext/exttest"
	"parley/store/memory"
	"parley/xmpp/jid"
)

// TestShows: who may see an account's presence.
func TestShows(t *testing.T) {
	h := exttest.New(t, memory.New(), "alice", "bob", "carol")
	if err := h.Use(blocking.New()); err != nil {
		t.Fatal(err)
	}
	alice := h.Bind("alice", "tui")
	alice.Ask("set", "", `<block xmlns='urn:xmpp:blocking'><item jid='carol@here'/><item jid='bob@here/phone'/></block>`)
	for who, want := range map[string]bool{
		"alice@here": true, "alice@here/tui": true, "alice@here/other": true,
		"bob@here": true, "bob@here/desk": true, "bob@here/phone": false,
		"carol@here": false, "carol@here/x": false,
		"nobody@here": false, "here": false, "bob@elsewhere": false, "elsewhere": false,
	} {
		j, err := jid.Parse(who)
		if err != nil {
			t.Fatal(err)
		}
		if got := alice.Account().Shows(j); got != want {
			t.Errorf("%s: %v", who, got)
		}
	}
}
