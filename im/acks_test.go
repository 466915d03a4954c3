package im

import (
	"fmt"
	"strings"
	"testing"

	"parley/store"
)

// managedOutbox is one with stream management on, whose counts stand at h.
func managedOutbox(limit int, h uint32) *outbox {
	o := newOutbox(limit)
	o.acks = &acks{acked: h, safe: h}
	return o
}

// writeAll is what a writer does, with everything durable.
func writeAll(o *outbox) string {
	p, _, _ := o.take(1<<60, nil)
	return string(p)
}

func TestAcknowledgeAcrossTheWrap(t *testing.T) {
	const start = 1<<32 - 3
	o := managedOutbox(1000, start)
	for i := range 6 {
		o.append(0, what{id: store.ID(i + 1), moves: true, message: true}, false, func(p []byte) []byte { return fmt.Appendf(p, "<m%d/>", i) })
	}
	if got := writeAll(o); got != "<m0/><m1/><m2/><m3/><m4/><m5/><r xmlns='urn:xmpp:sm:3'/>" {
		t.Fatalf("written: %s", got)
	}
	for _, x := range []struct {
		h     uint32
		moved store.ID
		ok    bool
		left  string
	}{
		{start + 1, 1, true, "<m1/><m2/><m3/><m4/><m5/>"},
		{start + 1, 0, true, "<m1/><m2/><m3/><m4/><m5/>"}, // the same again
		{start, 0, false, "<m1/><m2/><m3/><m4/><m5/>"},    // less than before is far too much
		{0, 3, true, "<m3/><m4/><m5/>"},                   // 2^32
		{2, 5, true, "<m5/>"},
		{4, 0, false, "<m5/>"},
		{3, 6, true, ""},
	} {
		moved, ok := o.acks.acknowledge(x.h)
		if moved != x.moved || ok != x.ok || string(o.acks.kept) != x.left {
			t.Errorf("h=%d: moved to %d, %v, left %s, instead of %d, %v, %s", x.h, moved, ok, o.acks.kept, x.moved, x.ok, x.left)
		}
	}
}

// TestAfterACrash: what the record says was sent, the client may have counted, and more; or less.
func TestAfterACrash(t *testing.T) {
	for h, left := range map[uint32]int{5: 3, 6: 2, 8: 0, 20: 0} {
		k := &acks{acked: 5, unknown: true, sent: make([]piece, 3)}
		if _, ok := (&acks{acked: 5, unknown: true, sent: make([]piece, 3)}).acknowledge(4); ok {
			t.Error("a client that has counted less than it had acknowledged is believed")
		}
		if _, ok := k.acknowledge(h); !ok || len(k.sent) != left || k.acked != h || k.unknown {
			t.Errorf("h=%d: %+v", h, k)
		}
	}
}

func TestThinOut(t *testing.T) {
	o := managedOutbox(1<<30, 0)
	body := strings.Repeat("x", 1000)
	for i := range 3 * maxKept / 1000 {
		w := what{id: store.ID(i + 1), message: true}
		switch i % 3 {
		case 1:
			w = what{} // presence
		case 2:
			w.id = 0 // a message that the Log has not
		}
		o.append(0, w, false, func(p []byte) []byte { return append(append(p, byte('a'+i%3)), body...) })
		writeAll(o)
		if len(o.acks.kept) > 2*maxKept {
			t.Fatalf("%d bytes are kept of %d stanzas", len(o.acks.kept), i)
		}
	}
	k := o.acks
	list, kept, messages := k.sent, k.kept, 0
	for i, c := range list {
		if c.n == 0 {
			if i%3 == 2 {
				t.Fatalf("message %d, which is nowhere else, was let go", i)
			}
			continue
		}
		if kept[0] != byte('a'+i%3) {
			t.Fatalf("stanza %d has the bytes of another one", i)
		}
		kept = kept[c.n:]
		messages++
	}
	if len(kept) != 0 || messages == len(list) {
		t.Errorf("%d bytes too many; %d of %d are kept", len(kept), messages, len(list))
	}
	if _, ok := k.acknowledge(100); !ok || len(k.sent) != len(list)-100 || k.kept[0] != byte('a'+101%3) {
		t.Errorf("after 100: %d left, %q", len(k.sent), k.kept[0])
	}
}

func TestClientThatAcknowledgesNothing(t *testing.T) {
	o := managedOutbox(1<<30, 0)
	for i := 0; ; i++ {
		o.append(0, what{id: store.ID(i + 1)}, false, func(p []byte) []byte { return append(p, "<m/>"...) })
		if _, _, hopeless := o.take(1, nil); hopeless {
			if i != maxAhead {
				t.Errorf("given up after %d", i)
			}
			return
		}
		if i > maxAhead {
			t.Fatal("it may go on for ever")
		}
	}
}

// TestWhatIsSafe: <a/> says only what is durable, at the latest a tick after it was asked for.
func TestWhatIsSafe(t *testing.T) {
	k := new(acks)
	say := func(durable store.Mark) string { return string(k.say(nil, durable)) }
	expect := func(got, want string) {
		t.Helper()
		if want != "" {
			want = "<a xmlns='urn:xmpp:sm:3' h='" + want + "'/>"
		}
		if got != want {
			t.Errorf("said %q instead of %q", got, want)
		}
	}
	k.count(3, 2, 1)
	k.count(3, 2, 2)
	k.count(4, 2, 3)
	expect(say(9), "") // nobody has asked
	k = new(acks)
	k.count(3, 2, 1)
	k.count(3, 2, 2)
	k.owe(2)
	expect(say(2), "")
	if now, wait := k.ready(2); now || wait != 3 {
		t.Errorf("waits for %d, %v", wait, now)
	}
	k.count(4, 2, 3)
	expect(say(3), "2")
	expect(say(4), "")
	k.count(5, 4, 4)
	k.owe(4)
	if k.tick() {
		t.Error("at once is not late")
	}
	if !k.tick() {
		t.Error("late and not told")
	}
	expect(say(4), "3") // what is safe by now
	for range 2 {
		if k.tick() {
			t.Error("told twice")
		}
	}
	expect(say(5), "4") // and the rest when it is
	expect(say(5), "")
	k.count(0, 5, 5) // rests on nothing
	k.owe(5)
	expect(say(5), "5")
}

// TestRestingOutboxIsBounded in stanzas and bytes, with what is not acknowledged.
func TestRestingOutboxIsBounded(t *testing.T) {
	o := managedOutbox(1<<10, 0)
	n := 0
	put := func() bool {
		n++
		return o.append(0, what{id: store.ID(n), message: true}, false, func(p []byte) []byte { return append(p, "<m/>"...) })
	}
	for range 400 {
		put()
		writeAll(o)
	}
	o.detach()
	for put() {
	}
	if n != maxSent+1 {
		t.Errorf("%d stanzas went in", n-1)
	}
}
