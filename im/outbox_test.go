package im

import (
	"strings"
	"testing"

	"parley/store"
)

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, attached: true}
}

func (o *outbox) put(t *testing.T, text string, mark store.Mark, id store.ID) bool {
	t.Helper()
	return o.append(mark, what{id: id, moves: true}, false, func(dst []byte) []byte { return append(dst, text...) })
}

func (o *outbox) expect(t *testing.T, durable store.Mark, want string, wantID store.ID) {
	t.Helper()
	got, id, _ := o.take(durable, nil)
	if string(got) != want || id != wantID {
		t.Errorf("with %d durable: took %q up to %d instead of %q up to %d", durable, got, id, want, wantID)
	}
}

func TestOutboxHoldsWhatIsNotDurable(t *testing.T) {
	o := newOutbox(1000)
	o.put(t, "a", 0, 0)
	o.put(t, "b", 5, 11)
	o.put(t, "c", 0, 0) // rests on nothing, but keeps its place
	o.put(t, "d", 6, 12)
	o.expect(t, 4, "a", 0)
	o.expect(t, 4, "", 0)
	o.expect(t, 5, "bc", 11)
	o.put(t, "e", 5, 0) // an older batch behind a younger one waits for that
	o.expect(t, 5, "", 0)
	o.expect(t, 6, "de", 12)
	if o.size() != 0 {
		t.Errorf("%d bytes are left", o.size())
	}
}

func TestOutboxIsBounded(t *testing.T) {
	o := newOutbox(10)
	if !o.put(t, strings.Repeat("x", 20), 0, 0) {
		t.Error("one element that is larger than the bound does not go into an empty outbox")
	}
	if o.put(t, "y", 0, 0) {
		t.Error("the bound was passed")
	}
	if !o.append(0, what{}, true, func(dst []byte) []byte { return append(dst, "own"...) }) {
		t.Error("what the session asked for itself was refused")
	}
	o.expect(t, 0, strings.Repeat("x", 20)+"own", 0)
	o.close()
	if !o.put(t, "z", 0, 0) || o.size() != 0 {
		t.Error("a closed outbox takes everything and keeps nothing")
	}
}

func TestOutboxWakesOnce(t *testing.T) {
	o := newOutbox(1000)
	o.put(t, "a", 7, 0)
	if wake, ask := o.start(6); wake || ask != 7 {
		t.Errorf("before the batch is durable: wake=%v ask=%d", wake, ask)
	}
	if wake, ask := o.start(6); wake || ask != 0 {
		t.Errorf("asked twice for the same batch: wake=%v ask=%d", wake, ask)
	}
	if wake, _ := o.start(7); !wake {
		t.Error("no writer although everything is durable")
	}
	if wake, _ := o.start(7); wake {
		t.Error("a second writer")
	}
	o.expect(t, 7, "a", 0)
	o.put(t, "b", 8, 0)
	if done, ask := o.rest(func() store.Mark { return 7 }); !done || ask != 8 {
		t.Errorf("the writer rests: done=%v ask=%d", done, ask)
	}
	o.mu.Lock()
	o.running = true
	o.mu.Unlock()
	if done, _ := o.rest(func() store.Mark { return 8 }); done {
		t.Error("the writer rests although something became durable meanwhile")
	}
}

// TestRoomIsNotMissed: who asks for room hears of what was taken since he looked, also if nobody had asked before.
func TestRoomIsNotMissed(t *testing.T) {
	o := newOutbox(1000)
	for range 2 {
		o.put(t, "a", 0, 0)
		o.expect(t, 0, "a", 0) // between his look and his question
		select {
		case <-o.roomy():
		default:
			t.Fatal("he waits for ever")
		}
	}
	o.put(t, "a", 0, 0)
	select {
	case <-o.roomy():
		t.Error("there is room, and nothing was taken")
	default:
	}
}
