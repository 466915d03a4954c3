package store

// A batch gathers what journeys write until the committer takes it. There are two, which are swapped and used again.
//
// All of it is guarded by Store.mu; while a batch is being committed only its notes change.
type batch struct {
	mark  Mark
	slot  int // which of a head's two pends belongs to this batch
	ops   []Op
	heads []*head // owners with a pend in this batch
	notes []Waker
	bytes int64 // what the batch occupies, roughly
	arena arena

	peakOps, peakArena int // slowly sinking maxima: what to keep for the next burst
}

// opOverhead is what one Op costs beside its strings and bytes: the Op itself and its place in the overlay.
const opOverhead = 160

func (b *batch) empty() bool { return len(b.ops) == 0 && len(b.notes) == 0 }

// add puts op into the batch with its own copy of data and returns the op's index.
func (b *batch) add(op Op) int32 {
	op.Entry.Body = b.arena.copy(op.Entry.Body)
	op.Value = b.arena.copy(op.Value)
	b.ops = append(b.ops, op)
	b.bytes += opOverhead + int64(len(op.Entry.Body)+len(op.Value)+len(op.Entry.Peer)+len(op.Key))
	return int32(len(b.ops) - 1)
}

// reset empties the batch for its next use; what a burst left behind is given back over the next batches.
func (b *batch) reset() {
	b.peakOps = max(len(b.ops), b.peakOps-b.peakOps/8)
	b.peakArena = max(b.arena.used, b.peakArena-b.peakArena/8)
	b.clear(2*b.peakOps+64, 2*b.peakArena+arenaChunk)
}

// shrink gives back all but a little; the batch is empty.
func (b *batch) shrink() {
	b.peakOps, b.peakArena = 0, 0
	b.clear(64, arenaChunk)
}

func (b *batch) clear(keepOps, keepArena int) {
	if cap(b.ops) > keepOps {
		b.ops, b.heads, b.notes = nil, nil, nil
	}
	clear(b.ops)
	clear(b.heads)
	clear(b.notes)
	b.ops, b.heads, b.notes, b.bytes = b.ops[:0], b.heads[:0], b.notes[:0], 0
	b.arena.reset(keepArena)
}

// An arena holds the bytes of a batch in few pieces.
type arena struct {
	chunks [][]byte // those in front of at are full
	at     int
	used   int // bytes given out
}

const arenaChunk = 64 << 10

// copy returns a copy of p that lasts until reset; nil stays nil.
func (a *arena) copy(p []byte) []byte {
	if p == nil {
		return nil
	}
	a.used += len(p)
	if len(p) > arenaChunk/4 {
		return append(make([]byte, 0, len(p)), p...)
	}
	for a.at < len(a.chunks) && cap(a.chunks[a.at])-len(a.chunks[a.at]) < len(p) {
		a.at++
	}
	if a.at == len(a.chunks) {
		a.chunks = append(a.chunks, make([]byte, 0, arenaChunk))
	}
	c := a.chunks[a.at]
	n := len(c)
	c = append(c, p...)
	a.chunks[a.at] = c
	return c[n:len(c):len(c)]
}

func (a *arena) reset(keep int) {
	if n := max(keep/arenaChunk, 1); len(a.chunks) > n {
		clear(a.chunks[n:])
		a.chunks = a.chunks[:n]
	}
	for i := range a.chunks {
		a.chunks[i] = a.chunks[i][:0]
	}
	a.at, a.used = 0, 0
}

// A head is what the store knows of an owner without reading: the ends of the Log and what is not yet durable.
// Guarded by Store.mu. Heads stay for the life of the store (some 100 bytes for each owner that was used).
type head struct {
	owner  Owner
	loaded bool // last and floor are known
	last   ID   // the last id given
	floor  ID   // all up to it are trimmed
	pend   [2]*pend
}

// first returns the lowest id that is not yet durable, last+1 if there is none. older is the slot of the batch that is
// being committed.
func (h *head) first(older int) ID {
	for _, slot := range [2]int{older, 1 - older} {
		if p := h.pend[slot]; p != nil && len(p.entries) > 0 {
			return p.first
		}
	}
	return h.last + 1
}

// A pend is the part of a batch that belongs to one owner, by index into the batch's ops.
type pend struct {
	first    ID      // id of entries[0]
	entries  []int32 // ids are consecutive
	replaced map[ID]int32
	kv       map[string]int32
	forgot   bool // no value older than those in kv exists any more
}

func (p *pend) reset() {
	if cap(p.entries) > 64 {
		p.entries = nil
	}
	if len(p.kv) > 64 {
		p.kv = nil
	}
	clear(p.kv)
	*p = pend{entries: p.entries[:0], kv: p.kv}
}
