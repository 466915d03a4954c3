package auth

import (
	"container/list"
	"net/netip"
	"time"
)

// key stands for a pair of account and source.
type key [16]byte

// pair is what is remembered of an account and a source.
type pair struct {
	key      key
	failures int           // wrong passwords in a row
	reserved int           // attempts without an outcome
	waiting  chan struct{} // closed at the next outcome; nil while nobody waits
	block    *block        // nil: not blocked

	at *list.Element // in idle or blocked
	in *list.List
}

// block is a block.
type block struct {
	name   string
	source netip.Prefix  // zero: all
	until  time.Duration // in the time of the process
}

// table is a bounded memory of pairs. Those with attempts under way stay in any case (connections are bounded), the
// others share the capacity in halves: pairs with a few failures, of which the one that was used least lately is
// forgotten, and blocked ones, of which the oldest is. Halves, so that many blocks cannot keep failures from being
// counted.
type table struct {
	half    int
	entries map[key]*pair
	idle    *list.List // of *pair with failures and nothing reserved; the latest in front
	blocked *list.List // of *pair; the latest, which ends last, in front
	stale   []key      // blocks that ended and are still kept in the store
}

func newTable(capacity int) table {
	return table{half: max(1, capacity/2), entries: map[key]*pair{}, idle: list.New(), blocked: list.New()}
}

// add makes a pair, which place must put into its place.
func (t *table) add(k key) *pair {
	e := &pair{key: k}
	t.entries[k] = e
	return e
}

// place puts a pair where it belongs after a change.
func (t *table) place(e *pair) {
	var to *list.List
	switch {
	case e.block != nil:
		to = t.blocked
	case e.reserved > 0:
	case e.failures > 0:
		to = t.idle
	default:
		t.lift(e)
		delete(t.entries, e.key)
		return
	}
	if to != nil && to == e.in && to == t.blocked {
		return // it keeps its place in the order of the ends
	}
	t.lift(e)
	if to == nil {
		return
	}
	e.at, e.in = to.PushFront(e), to
	for to.Len() > t.half {
		t.evict(to.Back().Value.(*pair))
	}
}

// lift takes a pair out of its list.
func (t *table) lift(e *pair) {
	if e.in != nil {
		e.in.Remove(e.at)
		e.at, e.in = nil, nil
	}
}

// evict forgets a pair that nobody uses.
func (t *table) evict(e *pair) {
	if e.block != nil {
		t.stale = append(t.stale, e.key)
	}
	t.lift(e)
	delete(t.entries, e.key)
}

// block blocks a pair; place must follow.
func (t *table) block(e *pair, b *block) {
	e.block, e.failures = b, 0
}

// release ends a block; place must follow.
func (t *table) release(e *pair) {
	e.block, e.failures = nil, 0
	t.stale = append(t.stale, e.key)
	t.lift(e)
}

// sweep forgets the blocks that have ended.
func (t *table) sweep(now time.Duration) {
	for at := t.blocked.Back(); at != nil; at = t.blocked.Back() {
		e := at.Value.(*pair)
		if e.block.until > now {
			return
		}
		t.release(e)
		t.place(e)
	}
}
