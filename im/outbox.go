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
	buf      []byte
	holds    []hold
	holds0   [1]hold       // memory for holds in the usual case
	acks     *acks         // nil on a stream without stream management
	noted    store.Mark    // the highest mark whose durability we asked to be told of
	room     chan struct{} // holds a token when something was taken, capacity 1; nil until somebody waits for room
	attached bool          // there is a connection to write to
	running  bool          // a writer is at work
	closed   bool
}

// append adds what render appends. It reports false, and adds nothing, when the bound would be passed by what others
// push; own is what the session asked for, whose pace is its reader's (see WaitRoom). What is for a closed outbox is for
// nobody, and counts as added.
func (o *outbox) append(mark store.Mark, w what, own bool, render func([]byte) []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return true
	}
	if o.buf == nil {
		o.buf = lend()
	}
	before := len(o.buf)
	buf := render(o.buf)
	if !own && before > 0 && o.passed(len(buf), w) {
		o.buf = buf[:before]
		return false
	}
	o.buf = buf
	if o.acks != nil {
		o.acks.queued = append(o.acks.queued, piece{what: w, n: len(buf) - before})
		if w.plain {
			o.acks.opening++
		}
	}
	id := store.ID(0)
	if w.moves {
		id = w.id
	}
	if n := len(o.holds); n > 0 && o.holds[n-1].mark >= mark {
		// What rests on less waits for its turn all the same: order is kept.
		last := &o.holds[n-1]
		last.end, last.id = len(buf), max(last.id, id)
		return true
	}
	o.holds = append(o.holds, hold{end: len(buf), mark: mark, id: id})
	return true
}

// passed tells whether so many bytes are more than may wait. On a stream with stream management that has no connection
// the bound is that of its standing, and messages, which are in the Log as well, leave room for what is not; on one that has
// a connection, what is written again after a resumption has room as well.
func (o *outbox) passed(bytes int, w what) bool {
	switch k := o.acks; {
	case k == nil:
		return bytes > o.limit
	case o.attached:
		return bytes > o.limit+maxKept
	case w.message:
		return bytes+len(k.kept) > max(o.limit, maxKept) || len(k.queued)+len(k.sent) >= maxSent
	default:
		return bytes > 2*max(o.limit, maxKept) || len(k.queued) >= 2*maxSent
	}
}

// ready tells whether something can be written now, and else on which batch it waits, if there is anything.
func (o *outbox) ready(durable store.Mark) (now bool, wait store.Mark) {
	if len(o.holds) > 0 {
		if o.holds[0].mark <= durable {
			return true, 0
		}
		wait = o.holds[0].mark
	}
	if o.acks != nil {
		now, mark := o.acks.ready(durable)
		if now || wait == 0 || mark != 0 && mark < wait {
			return now, mark
		}
	}
	return false, wait
}

// ask notes which batch we wait for; it returns 0 when the store was asked for it, or a later one, already.
func (o *outbox) ask(wait store.Mark) store.Mark {
	if o.noted >= wait {
		return 0
	}
	o.noted = wait
	return wait
}

// start decides what an append, or a batch that became durable, leads to: wake a writer, or ask to be told of a mark. The caller holds
// o.mu.
func (o *outbox) start(durable store.Mark) (wake bool, ask store.Mark) {
	if o.running || o.closed || !o.attached {
		return false, 0
	}
	now, wait := o.ready(durable)
	if now {
		o.running = true
		return true, 0
	}
	return false, o.ask(wait)
}

// bufferSize is that of the buffers that are lent.
const bufferSize = 4 << 10

// buffers lends outboxes their memory: one that is empty has none, and to grow into a new one costs several times as much
// as the stanza that goes into it.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

func lend() []byte { return buffers.Get().(*[bufferSize]byte)[:0] }

// giveBack takes a buffer that nobody uses any more; one that has grown is left to the collector.
func giveBack(p []byte) {
	if cap(p) == bufferSize {
		buffers.Put((*[bufferSize]byte)(p[:bufferSize]))
	}
}

// take returns everything durable, and the highest Log id inside; nil when there is nothing. spare, a buffer or nil, belongs to
// the outbox from now on. With stream management the id is 0, because what was written is not yet delivered, and hopeless says that the
// client acknowledges nothing.
func (o *outbox) take(durable store.Mark, spare []byte) (p []byte, id store.ID, hopeless bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p, id = o.taken(durable, spare); p == nil {
		if o.acks == nil {
			giveBack(spare)
			return nil, 0, false
		}
		if p = spare[:0]; p == nil {
			p = lend()
		}
	} else if o.acks == nil {
		return p, id, false
	} else {
		o.acks.wrote(p)
	}
	if p = o.acks.say(p, durable); len(p) == 0 {
		giveBack(p)
		return nil, 0, false
	}
	return p, 0, o.acks.hopeless()
}

// taken is take, but for the counting.
func (o *outbox) taken(durable store.Mark, spare []byte) ([]byte, store.ID) {
	n, id := 0, store.ID(0)
	for n < len(o.holds) && o.holds[n].mark <= durable {
		id = max(id, o.holds[n].id)
		n++
	}
	if n == 0 {
		return nil, 0
	}
	select {
	case o.room <- struct{}{}: // never, before somebody has waited
	default:
	}
	if n == len(o.holds) {
		full := o.buf
		o.buf, o.holds = spare[:0], o.holds[:0]
		return full, id
	}
	end := o.holds[n-1].end
	if spare == nil {
		spare = lend()
	}
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
	now, wait := o.ready(durable())
	if now {
		return false, 0
	}
	o.running = false
	if len(o.holds) == 0 {
		giveBack(o.buf)
		o.buf = nil // an idle session owns no buffer
	}
	return true, o.ask(wait)
}

// restart takes the writer's role, unless there is one. The caller holds o.mu.
func (o *outbox) restart() bool {
	if o.running || !o.attached {
		return false
	}
	o.running = true
	return true
}

// detach takes the connection away; its writer has ended. The caller holds o.mu.
func (o *outbox) detach() {
	o.attached, o.running = false, false
	o.acks.rest()
}

// again puts stanzas in front of all others.
func (o *outbox) again(list []piece, bytes []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(list) == 0 {
		return
	}
	o.buf = append(bytes, o.buf...)
	for i := range o.holds {
		o.holds[i].end += len(bytes)
	}
	o.holds = append([]hold{{end: len(bytes)}}, o.holds...)
	o.acks.queued = append(list, o.acks.queued...)
}

// drop takes messages out that stand in the Log behind a place, because they will be read from there.
func (o *outbox) drop(behind store.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var buf []byte
	var queued []piece
	rest := o.buf
	for _, c := range o.acks.queued {
		if !c.message || c.id <= behind {
			buf, queued = append(buf, rest[:c.n]...), append(queued, c)
		}
		rest = rest[c.n:]
	}
	mark := store.Mark(0)
	for _, h := range o.holds {
		mark = max(mark, h.mark)
	}
	o.buf, o.acks.queued, o.holds = buf, queued, o.holds[:0]
	if len(buf) > 0 {
		o.holds = append(o.holds, hold{end: len(buf), mark: mark})
	}
}

// manage begins to count, behind what is in the outbox now.
func (o *outbox) manage() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.acks = new(acks)
	from := 0
	for _, h := range o.holds { // a writer takes as many of them as are durable
		o.acks.queued = append(o.acks.queued, piece{what: what{plain: true}, n: h.end - from})
		from = h.end
	}
	o.acks.opening = len(o.holds)
}

// held tells whether what is inside waits for nothing but the disk, and is not several times the bound.
func (o *outbox) held(durable store.Mark) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.attached && len(o.holds) > 0 && o.holds[0].mark > durable && len(o.buf) < 4*o.limit
}

// fed tells whether a feed has to wait: for the connection, or for the client's acknowledgements.
func (o *outbox) fed() bool { return o.size() >= lowWater || o.far() }

// far tells whether the client has much to acknowledge.
func (o *outbox) far() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.acks != nil && len(o.acks.sent) > maxFed
}

// roomy is what who waits for room waits for, before he looks again.
func (o *outbox) roomy() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.room == nil {
		o.room = make(chan struct{}, 1)
		o.room <- struct{}{} // something may have been taken since he looked
	}
	return o.room
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
