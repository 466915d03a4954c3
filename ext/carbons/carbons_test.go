package carbons_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"parley/ext/archive"
	"parley/ext/carbons"
	"parley/ext/exttest"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/forward"
)

const enable = "<enable xmlns='urn:xmpp:carbons:2'/>"

func hall(t *testing.T, e store.Engine, always bool) *exttest.Hall {
	t.Helper()
	h := exttest.New(t, e, "alice", "bob")
	keeps, err := archive.New(t.Context(), h.Server, archive.Options{Always: always})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Use(carbons.New(h.Server), keeps.Extension()); err != nil {
		t.Fatal(err)
	}
	return h
}

// join is a session that gets copies.
func join(t *testing.T, h *exttest.Hall, name, resource string) *exttest.Client {
	t.Helper()
	c := h.Join(name, resource)
	if a := c.Ask("set", "", enable); a.Type != stanza.Result {
		t.Fatalf("not enabled: %s", a)
	}
	return c
}

// inside is the message in a copy, or st itself and "" when it is none.
func inside(t *testing.T, st *stanza.Stanza) (message *stanza.Stanza, kind string) {
	t.Helper()
	for _, kind := range []string{"sent", "received"} {
		w := st.Child(carbons.NS, kind)
		if w == nil {
			continue
		}
		if !st.From.IsBare() || st.From != st.To.Bare() || st.Len() != 1 {
			t.Errorf("a copy that the server did not make: %s", st)
		}
		m, err := stanza.Parse(w.Child(forward.NS, "forwarded").Child(stanza.NSClient, "message"))
		if err != nil {
			t.Fatal(err)
		}
		return m, kind
	}
	return st, ""
}

// story is what a session was told, in order: kind of copy and id of each message.
func story(t *testing.T, c *exttest.Client) (lines []string) {
	t.Helper()
	for _, st := range c.Got() {
		m, kind := inside(t, st)
		if m.Kind == stanza.Message {
			lines = append(lines, strings.TrimSpace(kind+" "+m.ID))
		}
		if m.Child(stanza.NSID, "stanza-id") == nil {
			t.Errorf("%s has no stanza-id", m)
		}
	}
	return lines
}

// A session that does not read for a while loses no copy, gets none twice, and in the order of its account.
func TestSlowReader(t *testing.T) {
	h := hall(t, memory.New(), true)
	a, slow, bob := join(t, h, "alice", "a"), join(t, h, "alice", "slow"), h.Join("bob", "b")
	for _, c := range []*exttest.Client{a, slow, bob} {
		c.Got()
	}
	text := strings.Repeat("x", 60<<10)
	var want []string
	for i := range 31 { // 3.6 MB for an outbox of one
		if i == 30 {
			text = "small enough for what room is left, and not its turn"
		}
		a.Send(fmt.Sprintf("<message to='bob@here' type='chat' id='s%d'><body>%s</body></message>", i, text))
		bob.Send(fmt.Sprintf("<message to='alice@here/a' type='chat' id='r%d'><body>%s</body></message>", i, text))
		a.Got()
		bob.Got()
		want = append(want, fmt.Sprint("s", i), fmt.Sprint("r", i))
	}
	a.Send("<message to='bob@here' type='chat' id='own'><body>not copied</body><private xmlns='urn:xmpp:carbons:2'/></message>")

	if err, ended := slow.Ended(); ended {
		t.Errorf("ended with %v", err)
	}
	var ids []string
	copies := 0
	for _, line := range story(t, slow) {
		words := strings.Fields(line) // what was received comes as a copy, or later from the Log as it is
		id := words[len(words)-1]
		if words[0] == "received" {
			copies++
		}
		if id[0] == 's' && words[0] != "sent" {
			t.Errorf("%s is not a copy of what was sent", line)
		}
		ids = append(ids, id)
	}
	if !slices.Equal(ids, want) {
		t.Errorf("got %d: %v\nwant %d: %v", len(ids), ids, len(want), want)
	}
	if copies == 0 || copies == 31 {
		t.Errorf("%d copies of what was received: it was not slow, or never quick", copies)
	}
	a.Send("<message to='bob@here' type='chat' id='live'><body>live again</body></message>")
	if got := story(t, slow); !slices.Equal(got, []string{"sent live"}) {
		t.Errorf("afterwards: %v", got)
	}
}

// What is not kept cannot be given later: who cannot take it is closed.
func TestSlowReaderWithoutArchive(t *testing.T) {
	h := hall(t, memory.New(), false)
	a, slow, bob := join(t, h, "alice", "a"), join(t, h, "alice", "slow"), h.Join("bob", "b")
	text := strings.Repeat("x", 60<<10)
	for i := range 30 {
		a.Send(fmt.Sprintf("<message to='bob@here' type='chat' id='s%d'><body>%s</body></message>", i, text))
		bob.Got()
	}
	if _, ended := slow.Ended(); !ended {
		t.Error("it goes on, with copies missing")
	}
	if _, ended := a.Ended(); ended {
		t.Error("so was the sender")
	}
}

// gated is a database that writes when it is let.
type gated struct {
	store.Engine
	gate chan struct{} // nil: at once
}

func (g *gated) Commit(ops []store.Op) error {
	if g.gate != nil {
		<-g.gate
	}
	return g.Engine.Commit(ops)
}

// A copy does not leave before the message is on disk, on either side.
func TestHeld(t *testing.T) {
	g := &gated{Engine: memory.New()}
	h := hall(t, g, true)
	a, b := join(t, h, "alice", "a"), join(t, h, "alice", "b")
	x, y := join(t, h, "bob", "x"), join(t, h, "bob", "y")
	all := []*exttest.Client{a, b, x, y}
	for _, c := range all {
		c.Got()
	}
	g.gate = make(chan struct{})
	a.Send("<message to='bob@here/x' type='chat' id='m1'><body>hi</body></message>")
	for _, c := range all {
		if p, _ := c.Next(context.Background(), nil); p != nil {
			t.Errorf("%s got %s", c.JID(), p)
		}
	}
	close(g.gate)
	for _, c := range []struct {
		*exttest.Client
		want string
	}{{b, "sent m1"}, {x, "m1"}, {y, "received m1"}} {
		if got := story(t, c.Client); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s got %v", c.JID(), got)
		}
	}
}

// An error is told only to who can know what it is about; the last messages are remembered, not all.
func TestErrors(t *testing.T) {
	h := hall(t, memory.New(), true)
	a, b, bob := join(t, h, "alice", "a"), join(t, h, "alice", "b"), h.Join("bob", "x")
	fail := func(id string) []string {
		t.Helper()
		bob.Send("<message to='alice@here/a' type='error' id='" + id + "'><error type='cancel'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>")
		var got []string
		for _, st := range b.Got() {
			m, kind := inside(t, st)
			got = append(got, kind+" "+m.Type+" "+m.ID)
		}
		return got
	}
	for i := range 100 {
		a.Send(fmt.Sprintf("<message to='bob@here' type='chat' id='m%d'><body>hi</body></message>", i))
	}
	b.Got()
	if got := fail("m99"); !slices.Equal(got, []string{"received error m99"}) {
		t.Errorf("the last one: %v", got)
	}
	if got := fail("m0"); got != nil {
		t.Errorf("the first of a hundred: %v", got)
	}
	if got := fail("m100"); got != nil {
		t.Errorf("one that never was: %v", got)
	}
	late := join(t, h, "alice", "late")
	late.Got()
	fail("m98")
	if got := late.Got(); len(got) != 0 {
		t.Errorf("who came later: %s", got)
	}
}
