package store

import (
	"bytes"
	"context"
	"fmt"
)

// A reader walks a stretch of one Log page by page. Each page is either all from memory (what is not yet durable) or
// all from the engine; what is pending is looked at first, so that a commit in between makes neither a gap nor a double.
type reader struct {
	s      *Store
	owner  Owner
	q      Query
	lo, hi ID // what is left, inclusive
	left   int
}

const pageEntries = 64

func (s *Store) newReader(o Owner, q Query) *reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.heads[o]
	r := &reader{s: s, owner: o, q: q, lo: max(q.After, h.floor) + 1, hi: h.last, left: q.Limit}
	if q.Before != 0 {
		r.hi = min(r.hi, q.Before-1)
	}
	if q.Limit <= 0 {
		r.left = int(^uint(0) >> 1)
	}
	return r
}

func (r *reader) done() bool { return r.lo > r.hi || r.left == 0 }

// next returns the next page; it may be empty when all of it was filtered out.
func (r *reader) next(ctx context.Context) ([]Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("store: read log: %w", err)
	}
	r.s.mu.Lock()
	h := r.s.heads[r.owner]
	r.lo = max(r.lo, h.floor+1)
	if r.done() {
		r.s.mu.Unlock()
		return nil, nil
	}
	pending := h.first(1 - r.s.cur.slot)
	if !r.q.Backward && r.lo >= pending || r.q.Backward && r.hi >= pending {
		defer r.s.mu.Unlock()
		return r.fromMemory(h, pending), nil
	}
	replaced := r.s.replacements(h)
	r.s.mu.Unlock()
	return r.fromEngine(ctx, pending, replaced)
}

// fromMemory copies a page out of the batches; the caller holds mu.
func (r *reader) fromMemory(h *head, pending ID) []Entry {
	var page []Entry
	for n := 0; n < 4*pageEntries && len(page) < pageEntries && !r.done(); n++ {
		id := r.lo
		if r.q.Backward {
			id = r.hi
		}
		if id < pending {
			break
		}
		if r.q.Backward {
			r.hi--
		} else {
			r.lo++
		}
		e := r.s.pendingEntry(h, id)
		if r.q.Peer != "" && e.Peer != r.q.Peer {
			continue
		}
		e.Body = bytes.Clone(e.Body)
		page = append(page, e)
		r.left--
	}
	return page
}

// fromEngine reads a page below pending.
func (r *reader) fromEngine(ctx context.Context, pending ID, replaced map[ID][]byte) ([]Entry, error) {
	hi := min(r.hi, pending-1)
	page, more, err := r.s.engine.Range(ctx, r.owner, Query{
		After: r.lo - 1, Before: hi + 1, Backward: r.q.Backward, Limit: min(r.left, pageEntries), Peer: r.q.Peer,
	})
	if err != nil {
		return nil, r.s.readError("read log", err)
	}
	switch {
	case more && r.q.Backward:
		r.hi = page[len(page)-1].ID - 1
	case more:
		r.lo = page[len(page)-1].ID + 1
	case r.q.Backward:
		r.hi = r.lo - 1
	default:
		r.lo = hi + 1
	}
	r.left -= len(page)
	if replaced != nil {
		for i := range page {
			if body, ok := replaced[page[i].ID]; ok {
				page[i].Body = bytes.Clone(body)
			}
		}
	}
	return page, nil
}

// pendingEntry returns an entry that is not yet durable, its Body still in the batch; the caller holds mu.
func (s *Store) pendingEntry(h *head, id ID) Entry {
	newer := h.pend[s.cur.slot]
	if newer != nil && len(newer.entries) > 0 && id >= newer.first {
		return s.cur.ops[newer.entries[id-newer.first]].Entry
	}
	older := h.pend[1-s.cur.slot]
	e := s.flushing.ops[older.entries[id-older.first]].Entry
	if newer != nil {
		if at, ok := newer.replaced[id]; ok {
			e.Body = s.cur.ops[at].Entry.Body
		}
	}
	return e
}

// replacements returns the bodies that are to replace those in the engine, nil if there are none; the caller holds mu.
func (s *Store) replacements(h *head) map[ID][]byte {
	var m map[ID][]byte
	for _, b := range [2]*batch{s.flushing, s.cur} {
		if b == nil || h.pend[b.slot] == nil {
			continue
		}
		for id, at := range h.pend[b.slot].replaced {
			if m == nil {
				m = make(map[ID][]byte)
			}
			m[id] = bytes.Clone(b.ops[at].Entry.Body)
		}
	}
	return m
}
