package im

import (
	"sync"

	"parley/store"
)

// hold says on which batch a stretch of an outbox rests.
type hold struct {
	end  int        // the stretch ends before this byte
	mark store.Mark // it may leave once this batch is durable; 0: at once
	id   store.ID   // highest place in the account's Log that it contains, 0 if none
}

// outbox is what a session still has to be sent: bytes in order, and what they rest on. It is bounded in bytes.
type outbox struct {
	limit int // fixed; bytes

	mu       sync.Mutex
	attached bool // there is a connection to write to
	buf      []byte
	holds    []hold
	noted    store.Mark // the highest mark whose durability we asked to be told of
	running  bool       // a writer is at work
	closed   bool
	room     chan struct{} // holds a token when something was taken; fixed, capacity 1
}

// append adds what render appends. It reports false, and adds nothing, when the bound would be passed by what others
// push; own is what the session asked for, whose pace is its reader's (see WaitRoom). What is for a closed outbox is for
// nobody, and counts as added.
func (o *outbox) append(mark store.Mark, id store.ID, own bool, render func([]byte) []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return true
	}
	before := len(o.buf)
	buf := render(o.buf)
	if len(buf) > o.limit && before > 0 && !own {
		o.buf = buf[:before]
		return false
	}
	o.buf = buf
	if n := len(o.holds); n > 0 && o.holds[n-1].mark >= mark {
		// What rests on less waits for its turn all the same: order is kept.
		last := &o.holds[n-1]
		last.end, last.id = len(buf), max(last.id, id)
		return true
	}
	o.holds = append(o.holds, hold{end: len(buf), mark: mark, id: id})
	return true
}

// start decides what an append, or a batch that became durable, leads to: wake a writer, or ask to be told of a mark.
func (o *outbox) start(durable store.Mark) (wake bool, ask store.Mark) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.running || o.closed || !o.attached || len(o.holds) == 0 {
		return false, 0
	}
	first := o.holds[0].mark
	if first <= durable {
		o.running = true
		return true, 0
	}
	if o.noted < first {
		o.noted = first
		return false, first
	}
	return false, 0
}

// take moves everything durable to the front of spare and returns it with the highest Log id inside; nil when there
// is nothing.
func (o *outbox) take(durable store.Mark, spare []byte) ([]byte, store.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, id := 0, store.ID(0)
	for n < len(o.holds) && o.holds[n].mark <= durable {
		id = max(id, o.holds[n].id)
		n++
	}
	if n == 0 {
		return nil, 0
	}
	select {
	case o.room <- struct{}{}:
	default:
	}
	if n == len(o.holds) {
		full := o.buf
		o.buf, o.holds = spare[:0], o.holds[:0]
		return full, id
	}
	end := o.holds[n-1].end
	out := append(spare[:0], o.buf[:end]...)
	o.buf = o.buf[:copy(o.buf, o.buf[end:])]
	o.holds = o.holds[:copy(o.holds, o.holds[n:])]
	for i := range o.holds {
		o.holds[i].end -= end
	}
	return out, id
}

// rest ends a writer's work unless more is durable by now. It reports whether the writer may go, and the mark to ask
// for.
func (o *outbox) rest(durable func() store.Mark) (done bool, ask store.Mark) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.holds) > 0 && o.holds[0].mark <= durable() {
		return false, 0
	}
	o.running = false
	if len(o.holds) == 0 {
		o.buf = nil // an idle session owns no buffer
		return true, 0
	}
	if o.noted < o.holds[0].mark {
		o.noted = o.holds[0].mark
		return true, o.noted
	}
	return true, 0
}

// held tells whether what is inside waits for the disk, and is not several times the bound.
func (o *outbox) held(durable store.Mark) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.holds) > 0 && o.holds[0].mark > durable && len(o.buf) < 4*o.limit
}

func (o *outbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.buf)
}

// close refuses everything from now on; what is inside can still be taken.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
}
