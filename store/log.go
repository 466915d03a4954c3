package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"time"
)

// Log is the append-only history of every owner.
type Log struct {
	s       *Store
	appends atomic.Uint64
}

// Appends is how many entries were appended since the store was made, by anybody.
func (l *Log) Appends() uint64 { return l.appends.Load() }

// Append adds e to o's Log, in the owner's turn, and returns the id it got; e.ID is ignored, e.Body is copied. Order and
// id are fixed at once. An owner that was not loaded is read first (see Load). Errors: ErrFull, ErrFailed; nothing is
// appended then.
func (l *Log) Append(j Journey, o Owner, e Entry) (ID, error) {
	s := l.s
	h, err := s.write(j, o, true)
	if err != nil {
		return 0, fmt.Errorf("store: append: %w", err)
	}
	defer s.mu.Unlock()
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = time.Unix(0, e.Time.UnixNano()).UTC()
	h.last++
	e.ID = h.last
	p := s.pendOf(h)
	if len(p.entries) == 0 {
		p.first = e.ID
	}
	p.entries = append(p.entries, s.add(Op{Kind: OpAppend, Owner: o, Entry: e}))
	l.appends.Add(1)
	return e.ID, nil
}

// Replace gives entry id another body, under the same id and time. If the entry is gone or never was, nothing happens.
// Errors: ErrFull, ErrFailed.
func (l *Log) Replace(j Journey, o Owner, id ID, body []byte) error {
	s := l.s
	h, err := s.write(j, o, true)
	if err != nil {
		return fmt.Errorf("store: replace: %w", err)
	}
	defer s.mu.Unlock()
	if id <= h.floor || id > h.last {
		return nil
	}
	if body == nil {
		body = []byte{}
	}
	p := s.pendOf(h)
	if len(p.entries) > 0 && id >= p.first {
		// The entry is in the same batch: it has not gone to the engine, so it simply gets the new body there.
		s.cur.ops[p.entries[id-p.first]].Entry.Body = s.cur.arena.copy(body)
		s.cur.bytes += int64(len(body))
		return nil
	}
	if p.replaced == nil {
		p.replaced = make(map[ID]int32)
	}
	p.replaced[id] = s.add(Op{Kind: OpReplace, Owner: o, Entry: Entry{ID: id, Body: body}})
	return nil
}

// Entry returns one entry, or ErrNotFound.
func (l *Log) Entry(ctx context.Context, o Owner, id ID) (Entry, error) {
	if id == 0 {
		return Entry{}, fmt.Errorf("store: read entry: %w", ErrNotFound)
	}
	for e, err := range l.Range(ctx, o, Query{After: id - 1, Before: id + 1, Limit: 1}) {
		return e, err
	}
	return Entry{}, fmt.Errorf("store: read entry %d: %w", id, ErrNotFound)
}

// Bounds returns the ids of the oldest and the newest entry, 0, 0 when there is none.
func (l *Log) Bounds(ctx context.Context, o Owner) (first, last ID, err error) {
	if err := l.Load(ctx, o); err != nil {
		return 0, 0, err
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	h := l.s.heads[o]
	if h.floor == h.last {
		return 0, 0, nil
	}
	return h.floor + 1, h.last, nil
}

// Load makes later writes for o free of reads from disk. It is cheap when repeated.
func (l *Log) Load(ctx context.Context, o Owner) error {
	s := l.s
	s.mu.Lock()
	h := s.heads[o]
	known := h != nil && h.loaded
	s.mu.Unlock()
	if known {
		return nil
	}
	last, floor, err := s.engine.Head(ctx, o)
	if err != nil {
		return s.readError("load owner", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Nobody could append without a loaded head, so what was read is still true unless somebody else loaded it before.
	if h = s.headOf(o); !h.loaded {
		h.last, h.floor, h.loaded = last, floor, true
	}
	return nil
}

// Trim removes o's oldest entries, up to the first one that is not older than before, and returns when that is durable.
// It must not be called inside a journey.
func (l *Log) Trim(ctx context.Context, o Owner, before time.Time) error {
	var upto ID
	for e, err := range l.Range(ctx, o, Query{}) {
		if err != nil {
			return err
		}
		if !e.Time.Before(before) {
			break
		}
		upto = e.ID
	}
	if upto == 0 {
		return nil
	}
	j, err := l.s.Begin(ctx)
	if err != nil {
		return err
	}
	if err = l.trim(j, o, upto); err != nil {
		j.End()
		return fmt.Errorf("store: trim: %w", err)
	}
	mark := j.Mark()
	j.End()
	return l.s.Wait(ctx, mark)
}

func (l *Log) trim(j Journey, o Owner, upto ID) error {
	h, err := l.s.write(j, o, true)
	if err != nil {
		return err
	}
	defer l.s.mu.Unlock()
	if upto > h.floor {
		l.s.pendOf(h)
		l.s.add(Op{Kind: OpTrim, Owner: o, Entry: Entry{ID: upto}})
		h.floor = upto
	}
	return nil
}

// Forget removes all entries and all values of o: the account is gone. Errors: ErrFull, ErrFailed.
func (s *Store) Forget(j Journey, o Owner) error {
	h, err := s.write(j, o, true)
	if err != nil {
		return fmt.Errorf("store: forget: %w", err)
	}
	defer s.mu.Unlock()
	p := s.pendOf(h)
	s.add(Op{Kind: OpForget, Owner: o, Entry: Entry{ID: h.last}})
	h.floor = h.last
	clear(p.kv)
	p.forgot = true
	return nil
}

// write checks that j may write and returns o's head, with s.mu held unless there is an error. load says that the
// ends of the Log must be known.
func (s *Store) write(j Journey, o Owner, load bool) (*head, error) {
	if j.s != s {
		return nil, ErrNoJourney
	}
	s.mu.Lock()
	h := s.headOf(o)
	if load && !h.loaded && !s.full && s.err == nil {
		s.mu.Unlock()
		if err := s.Log.Load(context.Background(), o); err != nil {
			return nil, err
		}
		s.mu.Lock()
	}
	switch {
	case s.err != nil:
		s.mu.Unlock()
		return nil, ErrFailed
	case s.full:
		s.mu.Unlock()
		return nil, ErrFull
	}
	return h, nil
}

// add puts op into the current batch; the caller holds mu and a journey.
func (s *Store) add(op Op) int32 {
	at := s.cur.add(op)
	s.dirty.Store(true)
	if s.crowded(s.opts.MaxPending) {
		s.settle()
	}
	return at
}

// headOf returns o's head, made if need be; the caller holds mu.
func (s *Store) headOf(o Owner) *head {
	h := s.heads[o]
	if h == nil {
		h = &head{owner: o}
		s.heads[o] = h
	}
	return h
}

// pendOf returns h's part of the current batch, made if need be; the caller holds mu.
func (s *Store) pendOf(h *head) *pend {
	p := h.pend[s.cur.slot]
	if p != nil {
		return p
	}
	if n := len(s.free); n > 0 {
		p, s.free = s.free[n-1], s.free[:n-1]
	} else {
		p = new(pend)
	}
	h.pend[s.cur.slot] = p
	s.cur.heads = append(s.cur.heads, h)
	return p
}

// readError wraps what a read met; a damaged database stops the store.
func (s *Store) readError(doing string, err error) error {
	if errors.Is(err, ErrCorrupt) {
		s.fail(fmt.Errorf("store: %s: %w", doing, err))
	}
	return fmt.Errorf("store: %s: %w", doing, err)
}

// Range yields the entries that q selects, as of the call, whatever has been durable of them by then; an error ends it.
// It holds neither a lock nor a transaction while it yields, so the loop may take its time.
func (l *Log) Range(ctx context.Context, o Owner, q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := l.Load(ctx, o); err != nil {
			yield(Entry{}, err)
			return
		}
		r := l.s.newReader(o, q)
		for !r.done() {
			page, err := r.next(ctx)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for _, e := range page {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}
