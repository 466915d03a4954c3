package private_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"parley/ext/exttest"
	"parley/ext/private"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
)

func hall(t *testing.T, e store.Engine, people exttest.Accounts) *exttest.Hall {
	t.Helper()
	h := exttest.With(t, e, people)
	if err := h.Use(private.New(h.Server)); err != nil {
		t.Fatal(err)
	}
	return h
}

func query(s string) string { return "<query xmlns='jabber:iq:private'>" + s + "</query>" }

// asks is what an iq is answered with: the payload, or the condition.
func asks(c *exttest.Client, typ, to, payload string) string {
	a := c.Ask(typ, to, payload)
	if a.Type == stanza.ErrorType {
		return string(stanza.ErrorOf(a).Condition)
	}
	return a.Raw()
}

func check(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %.300s, want %.300s", what, got, want)
	}
}

func TestPieces(t *testing.T) {
	h := hall(t, memory.New(), exttest.Everybody("alice", "bob"))
	alice, bob := h.Bind("alice", "tui"), h.Bind("bob", "tui")
	const a1, a2, b1 = `<a xmlns='urn:x' n='1'>one<b xmlns='urn:y'/></a>`, `<a xmlns='urn:x'>two</a>`, `<b xmlns='urn:x'>other</b>`
	check(t, "nothing yet", asks(alice, "get", "", query(`<a xmlns='urn:x'/>`)), query(`<a xmlns='urn:x'/>`))
	check(t, "what is asked with something inside", asks(alice, "get", "", query(a1)), query(`<a xmlns='urn:x'/>`))
	check(t, "set", asks(alice, "set", "", query(a1)), "")
	check(t, "set another name", asks(alice, "set", "alice@here", query(b1)), "")
	check(t, "get", asks(alice, "get", "", query(`<a xmlns='urn:x'/>`)), query(a1))
	check(t, "get another name", asks(alice, "get", "", query(`<b xmlns='urn:x'/>`)), query(b1))
	check(t, "get another namespace", asks(alice, "get", "", query(`<a xmlns='urn:y'/>`)), query(`<a xmlns='urn:y'/>`))
	check(t, "somebody else's", asks(bob, "get", "", query(`<a xmlns='urn:x'/>`)), query(`<a xmlns='urn:x'/>`))
	check(t, "replace", asks(alice, "set", "", query(a2)), "")
	check(t, "replaced", asks(alice, "get", "", query(`<a xmlns='urn:x'/>`)), query(a2))
	check(t, "empty", asks(alice, "set", "", query(`<a xmlns='urn:x'/>`)), "")
	check(t, "emptied", asks(alice, "get", "", query(`<a xmlns='urn:x'/>`)), query(`<a xmlns='urn:x'/>`))
	for range h.Store().KV.All(t.Context(), alice.Account().Owner(), "private/urn:x a") {
		t.Error("what was emptied is still kept")
	}
}

func TestRefused(t *testing.T) {
	h := hall(t, memory.New(), exttest.Everybody("alice", "bob"))
	alice := h.Bind("alice", "tui")
	for payload, want := range map[string]string{
		query(``):              "not-acceptable",
		query(`text`):          "not-acceptable",
		query(`<a/>`):          "not-acceptable", // in the namespace of the query
		query(`<a xmlns=''/>`): "not-acceptable",
		query(`<a xmlns='urn:x'/><b xmlns='y'/>`):  "not-acceptable",
		query(`<vCard xmlns='vcard-temp'/>`):       "not-acceptable",
		query(`<a xmlns='jabber:iq:roster'/>`):     "not-acceptable",
		query(`<a xmlns='http://jabber.org/x'/>`):  "not-acceptable",
		`<other xmlns='jabber:iq:private'/>`:       "service-unavailable",
		`<query xmlns='jabber:iq:private:other'/>`: "service-unavailable",
	} {
		for _, typ := range []string{"get", "set"} {
			check(t, typ+" "+payload, asks(alice, typ, "", payload), want)
		}
	}
	for _, typ := range []string{"get", "set"} {
		check(t, typ+" of bob's", asks(alice, typ, "bob@here", query(`<a xmlns='urn:x'/>`)), "forbidden")
		check(t, typ+" of nobody's", asks(alice, typ, "nobody@here", query(`<a xmlns='urn:x'/>`)), "service-unavailable")
		check(t, typ+" of the server's", asks(alice, typ, "here", query(`<a xmlns='urn:x'/>`)), "service-unavailable")
	}
}

// TestBound: 256 KiB in all; more is refused, less makes room, and none of that changes with a restart.
func TestBound(t *testing.T) {
	e, p := memory.New(), exttest.Everybody("alice", "bob")
	h := hall(t, e, p)
	alice, bob := h.Bind("alice", "tui"), h.Bind("bob", "tui")
	piece := func(n, size int) string {
		head := fmt.Sprintf(`<a%d xmlns='urn:x'>`, n)
		place := len("private/urn:x a0")
		return query(head + strings.Repeat("x", size-place-len(head)-len(`</a0>`)) + fmt.Sprintf(`</a%d>`, n))
	}
	const quarter = private.MaxBytes / 4
	for n := range 4 {
		check(t, "fill", asks(alice, "set", "", piece(n, quarter)), "")
	}
	check(t, "more", asks(alice, "set", "", query(`<b xmlns='urn:x'>1</b>`)), "resource-constraint")
	check(t, "larger", asks(alice, "set", "", piece(3, quarter+1)), "resource-constraint")
	check(t, "what was there is as it was", asks(alice, "get", "", query(`<a3 xmlns='urn:x'/>`)), piece(3, quarter))
	check(t, "the same again", asks(alice, "set", "", piece(3, quarter)), "")
	check(t, "somebody else's", asks(bob, "set", "", piece(0, quarter)), "")
	_ = h.Store().Close(t.Context())
	h = hall(t, e, p)
	alice = h.Bind("alice", "tui")
	check(t, "more, after a restart", asks(alice, "set", "", query(`<b xmlns='urn:x'>1</b>`)), "resource-constraint")
	check(t, "less", asks(alice, "set", "", query(`<a0 xmlns='urn:x'/>`)), "")
	check(t, "more, after less", asks(alice, "set", "", query(`<b xmlns='urn:x'>1</b>`)), "")
}

// slow lets others run while values are read.
type slow struct{ *memory.Engine }

func (e slow) All(ctx context.Context, o store.Owner, prefix, from string, limit int) ([]store.Pair, error) {
	page, err := e.Engine.All(ctx, o, prefix, from, limit)
	for range 1000 {
		runtime.Gosched()
	}
	return page, err
}

// TestTogether: clients of one account do not pass the bound together.
func TestTogether(t *testing.T) {
	h := hall(t, slow{memory.New()}, exttest.Everybody("alice"))
	text := strings.Repeat("x", private.MaxBytes/3)
	var all sync.WaitGroup
	for i := range 8 {
		c := h.Bind("alice", fmt.Sprint(i))
		all.Go(func() {
			c.Send(fmt.Sprintf(`<iq type='set' id='q'>%s</iq>`, query(fmt.Sprintf(`<a%d xmlns='urn:x'>%s</a%d>`, i, text, i))))
		})
	}
	all.Wait()
	n := 0
	for range h.Store().KV.All(t.Context(), h.Bind("alice", "tui").Account().Owner(), "private/") {
		n++
	}
	if n != 2 {
		t.Errorf("%d of a third each are kept", n)
	}
}
