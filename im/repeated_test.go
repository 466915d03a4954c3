package im_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/ext/archive"
	"parley/ext/exttest"
	"parley/im"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// archived is a hall with an archive.
func archived(t *testing.T, s *store.Store) *exttest.Hall {
	t.Helper()
	h := exttest.Over(t, s, exttest.Everybody("alice", "bob"))
	a, err := archive.New(t.Context(), h.Server, archive.Options{Always: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Use(a.Extension()); err != nil {
		t.Fatal(err)
	}
	return h
}

func withID(id string) string {
	return fmt.Sprintf("<message to='bob@here' type='chat' id='%[1]s'><body>%[1]s</body><origin-id xmlns='urn:xmpp:sid:0' id='%[1]s'/></message>", id)
}

// bodies are the texts that a client got, errors in brackets.
func bodies(c *exttest.Client) string {
	var list []string
	for _, st := range c.Got() {
		switch {
		case st.Kind != stanza.Message:
		case st.Type == stanza.ErrorType:
			list = append(list, "["+st.ID+"]")
		default:
			list = append(list, st.Body())
		}
	}
	return strings.Join(list, " ")
}

// TestRepeatedAtOnce sends each message from several sessions at the same time: one goes on.
func TestRepeatedAtOnce(t *testing.T) {
	h := archived(t, exttest.Start(t, memory.New()))
	bob := h.Join("bob", "b")
	const n, messages = 4, 50
	var senders []*exttest.Client
	for i := range n {
		senders = append(senders, h.Join("alice", fmt.Sprint(i)))
	}
	bob.Got()
	var running sync.WaitGroup
	for _, s := range senders {
		running.Go(func() {
			for i := range messages {
				el, err := xml.Parse(withID(fmt.Sprint(i)), stanza.NSClient, xml.Limits{})
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Receive(context.Background(), el); err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	seen := map[string]int{}
	for _, body := range strings.Fields(bodies(bob)) {
		seen[body]++
	}
	for i := range messages {
		if n := seen[fmt.Sprint(i)]; n != 1 {
			t.Errorf("bob got message %d %d times", i, n)
		}
	}
	for o := store.Owner(1); o <= 2; o++ {
		if _, last, err := h.Store().Log.Bounds(t.Context(), o); err != nil || last != messages {
			t.Errorf("account %d has %d entries (%v)", o, last, err)
		}
	}
}

// TestRepeatedRefusedAtOnce does so while every message is refused: each is answered or ends in silence, and in the end
// nothing is remembered.
func TestRepeatedRefusedAtOnce(t *testing.T) {
	h := archived(t, exttest.Start(t, memory.New()))
	var running sync.WaitGroup
	for i := range 4 {
		s := h.Join("alice", fmt.Sprint(i))
		running.Go(func() {
			for i := range 50 {
				el, err := xml.Parse(strings.Replace(withID(fmt.Sprint(i)), "bob@", "nobody@", 1), stanza.NSClient, xml.Limits{})
				if err == nil {
					err = s.Receive(context.Background(), el)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	late := h.Join("alice", "late")
	for i := range 50 {
		late.Send(strings.Replace(withID(fmt.Sprint(i)), "bob@", "nobody@", 1))
		if got := bodies(late); got != fmt.Sprintf("[%d]", i) {
			t.Fatalf("message %d: %q", i, got)
		}
	}
	for e, err := range h.Store().Log.Range(t.Context(), 1, store.Query{}) {
		if err != nil || len(e.Body) > 0 {
			t.Fatalf("what was refused is in the archive: %s (%v)", e.Body, err)
		}
	}
}

// TestRepeatedWindow is the window after a start: the last 1,000, and a day.
func TestRepeatedWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := exttest.Start(t, memory.New())
		h := archived(t, s)
		alice := h.Join("alice", "a")
		alice.Send(withID("old"))
		time.Sleep(23 * time.Hour)
		alice.Send(withID("first"))
		for i := range 999 {
			alice.Send(withID(fmt.Sprint(i)))
		}
		alice.Send("<message to='bob@here' type='chat'><body>between</body></message>")
		again := func(want string, ids ...string) {
			t.Helper()
			h := archived(t, s) // as after a crash: nothing is known but what is in the store
			bob, alice := h.Join("bob", "b"), h.Join("alice", "a")
			bodies(bob)
			for _, id := range ids {
				alice.Send(withID(id))
			}
			if got := bodies(bob); got != want {
				t.Errorf("%s: bob got %q", ids, got)
			}
		}
		again("", "first", "998")
		again("old first", "old", "998", "old", "first") // old is not among the last 1,000; for it, the first one goes
		again("", "old", "998", "first")
		time.Sleep(24*time.Hour - time.Second)
		again("", "998")
		time.Sleep(time.Second)
		again("998", "998")
	})
}

// TestRepeatedAmongMany: after a start 50,000 entries of the history are read, whoever wrote them.
func TestRepeatedAmongMany(t *testing.T) {
	s := exttest.Start(t, memory.New())
	h := archived(t, s)
	h.Join("alice", "a").Send(withID("one"))
	received := func(n int) {
		j, err := s.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer j.End()
		for range n {
			if _, err := s.Log.Append(j, 1, store.Entry{Peer: "bob@here", Body: []byte("<message/>")}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, step := range []struct {
		more int
		want string
	}{{49_999, ""}, {1, "one"}} {
		received(step.more)
		h := archived(t, s)
		bob, alice := h.Join("bob", "b"), h.Bind("alice", "a")
		bodies(bob)
		alice.Send(withID("one"))
		if got := bodies(bob); got != step.want {
			t.Errorf("%d more: bob got %q", step.more, got)
		}
	}
}

// TestRepeatedCosts: an origin-id costs no allocation.
func TestRepeatedCosts(t *testing.T) {
	v := hall(t, im.Config{}, names{"alice", "bob"})
	alice, bob := bind(t, v, "alice", "a"), bind(t, v, "bob", "b")
	cost := func(inside string) float64 {
		i := 0
		return testing.AllocsPerRun(2000, func() {
			i++
			el, err := xml.Parse(strings.ReplaceAll("<message to='bob@localhost' type='chat'><body>hi</body>"+inside+"</message>", "{}", fmt.Sprint(i)), stanza.NSClient, xml.Limits{})
			if err == nil {
				err = alice.Receive(t.Context(), el)
			}
			if err != nil {
				t.Fatal(err)
			}
			empty(bob)
		})
	}
	_ = cost("<origin-id xmlns='urn:xmpp:sid:0' id='f{}'/>") // the ring has its size
	with, other := cost("<origin-id xmlns='urn:xmpp:sid:0' id='o{}'/>"), cost("<other-idx xmlns='urn:xmpp:sid:0' id='o{}'/>")
	if with > other+1 { // what lends memory may be a new one
		t.Errorf("%v allocations with an origin-id, %v with another element", with, other)
	}
}
