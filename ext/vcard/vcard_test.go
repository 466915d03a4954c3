package vcard_test

import (
	"strings"
	"testing"

	"parley/ext/blocking"
	"parley/ext/exttest"
	"parley/ext/vcard"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
)

func hall(t *testing.T, e store.Engine, people exttest.Accounts) *exttest.Hall {
	t.Helper()
	h := exttest.With(t, e, people)
	if err := h.Use(blocking.New(), vcard.New(h.Server)); err != nil {
		t.Fatal(err)
	}
	return h
}

func card(s string) string {
	if s == "" {
		return "<vCard xmlns='vcard-temp'/>"
	}
	return "<vCard xmlns='vcard-temp'>" + s + "</vCard>"
}

// asks is what an iq is answered with: the payload, or condition and text.
func asks(c *exttest.Client, typ, to, payload string) string {
	a := c.Ask(typ, to, payload)
	if a.Type == stanza.ErrorType {
		return stanza.ErrorOf(a).Error()
	}
	return a.Raw()
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %.300s, want %.300s", what, got, want)
	}
}

func TestCards(t *testing.T) {
	e, p := memory.New(), exttest.Everybody("alice", "bob")
	h := hall(t, e, p)
	alice, bob := h.Bind("alice", "tui"), h.Bind("bob", "tui")
	const one = `<FN>Alice &amp; co</FN><PHOTO><TYPE>image/png</TYPE><BINVAL>iVBORw0KGgo=</BINVAL></PHOTO><X xmlns='urn:x'/>`
	check(t, "one's own, without", asks(alice, "get", "", card("")), card(""))
	check(t, "somebody else's, without", asks(bob, "get", "alice@here", card("")), "service-unavailable")
	check(t, "nobody's", asks(bob, "get", "nobody@here", card("")), "service-unavailable")
	check(t, "set", asks(alice, "set", "", card(one)), "")
	check(t, "one's own", asks(alice, "get", "alice@here", card("")), card(one))
	check(t, "somebody else's", asks(bob, "get", "alice@here", card("")), card(one))
	alice.Leave()
	_ = h.Store().Close(t.Context())
	h = hall(t, e, p)
	bob = h.Bind("bob", "tui")
	check(t, "of somebody away, after a restart", asks(bob, "get", "alice@here", card("")), card(one))
	check(t, "set somebody else's", asks(bob, "set", "alice@here", card("<FN>Mallory</FN>")), "forbidden: That is somebody else's vCard.")
	check(t, "set the server's", asks(bob, "set", "here", card("<FN>Mallory</FN>")), "service-unavailable")
	check(t, "still", asks(bob, "get", "alice@here", card("")), card(one))
	alice = h.Bind("alice", "tui")
	alice.Ask("set", "", `<block xmlns='urn:xmpp:blocking'><item jid='bob@here'/></block>`)
	check(t, "of somebody who has blocked the asker", asks(bob, "get", "alice@here", card("")), "service-unavailable")
	check(t, "take away", asks(alice, "set", "", card("")), "")
	check(t, "taken away", asks(alice, "get", "", card("")), card(""))
}

func TestBound(t *testing.T) {
	h := hall(t, memory.New(), exttest.Everybody("alice"))
	alice := h.Bind("alice", "tui")
	fill := func(n int) string { return card(strings.Repeat("x", n-len(card("<A/>"))) + "<A/>") }
	check(t, "as large as it may be", asks(alice, "set", "", fill(vcard.MaxBytes)), "")
	check(t, "larger", asks(alice, "set", "", fill(vcard.MaxBytes+1)),
		"policy-violation: A vCard may have at most 128 KiB. Take a smaller picture.")
	check(t, "what was there is as it was", asks(alice, "get", "", card("")), fill(vcard.MaxBytes))
}

// TestRemoved: a name that is given to somebody else inherits no vCard.
func TestRemoved(t *testing.T) {
	p := exttest.Everybody("alice", "bob")
	h := hall(t, memory.New(), p)
	check(t, "set", asks(h.Bind("alice", "tui"), "set", "", card("<FN>Alice</FN>")), "")
	alice, _ := p.Owner("alice")
	p.Remove("alice")
	h.Removed(t.Context(), "alice", alice)
	bob := h.Bind("bob", "tui")
	check(t, "removed", asks(bob, "get", "alice@here", card("")), "service-unavailable")
	p.Add("alice")
	check(t, "another one", asks(bob, "get", "alice@here", card("")), "service-unavailable")
	check(t, "his own", asks(h.Bind("alice", "tui"), "get", "", card("")), card(""))
}
