// Package memory keeps a store in memory: for tests, and for a server that shall remember nothing.
package memory

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"parley/store"
)

// Engine is a store.Engine without a disk. It survives Close: another store over it finds what the last one committed.
type Engine struct {
	mu sync.RWMutex
	// guarded by mu
	owners map[store.Owner]*owner
}

type owner struct {
	floor   store.ID
	entries []store.Entry // entries[0] has id floor+1
	kv      map[string][]byte
}

func (w *owner) last() store.ID { return w.floor + store.ID(len(w.entries)) }

// New returns an empty engine.
func New() *Engine { return &Engine{owners: make(map[store.Owner]*owner)} }

// Copy is what the engine holds now, as a disk holds it when the power is cut.
func (e *Engine) Copy() *Engine {
	e.mu.RLock()
	defer e.mu.RUnlock()
	c := New()
	for o, w := range e.owners {
		c.owners[o] = &owner{floor: w.floor, entries: slices.Clone(w.entries), kv: maps.Clone(w.kv)}
	}
	return c
}

// Commit implements store.Engine.
func (e *Engine) Commit(ops []store.Op) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range ops {
		op := &ops[i]
		w := e.owners[op.Owner]
		if w == nil {
			w = &owner{kv: make(map[string][]byte)}
			e.owners[op.Owner] = w
		}
		w.apply(op)
	}
	return nil
}

func (w *owner) apply(op *store.Op) {
	switch op.Kind {
	case store.OpAppend:
		entry := op.Entry
		entry.Body = bytes.Clone(entry.Body)
		w.entries = append(w.entries, entry)
	case store.OpReplace:
		if id := op.Entry.ID; id > w.floor && id <= w.last() {
			w.entries[id-w.floor-1].Body = bytes.Clone(op.Entry.Body)
		}
	case store.OpTrim:
		w.trim(op.Entry.ID)
	case store.OpSet:
		w.kv[op.Key] = bytes.Clone(op.Value)
	case store.OpDelete:
		delete(w.kv, op.Key)
	case store.OpForget:
		w.trim(op.Entry.ID)
		clear(w.kv)
	}
}

func (w *owner) trim(upto store.ID) {
	if upto <= w.floor {
		return
	}
	n := min(int(upto-w.floor), len(w.entries))
	w.entries = slices.Clone(w.entries[n:])
	w.floor += store.ID(n)
}

// Tend implements store.Engine; there is nothing to do.
func (e *Engine) Tend(bool) (bool, error) { return false, nil }

// Head implements store.Engine.
func (e *Engine) Head(_ context.Context, o store.Owner) (last, floor store.ID, err error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	w := e.owners[o]
	if w == nil {
		return 0, 0, nil
	}
	return w.last(), w.floor, nil
}

// Range implements store.Engine.
func (e *Engine) Range(_ context.Context, o store.Owner, q store.Query) (page []store.Entry, more bool, err error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	w := e.owners[o]
	if w == nil {
		return nil, false, nil
	}
	lo, hi := max(q.After, w.floor)+1, w.last()
	if q.Before != 0 {
		hi = min(hi, q.Before-1)
	}
	for lo <= hi {
		if len(page) == q.Limit {
			return page, true, nil
		}
		id := lo
		if q.Backward {
			id = hi
			hi--
		} else {
			lo++
		}
		entry := w.entries[id-w.floor-1]
		if q.Peer == "" || entry.Peer == q.Peer {
			entry.Body = bytes.Clone(entry.Body)
			page = append(page, entry)
		}
	}
	return page, false, nil
}

// Get implements store.Engine.
func (e *Engine) Get(_ context.Context, o store.Owner, key string) ([]byte, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if w := e.owners[o]; w != nil {
		if v, ok := w.kv[key]; ok {
			return bytes.Clone(v), nil
		}
	}
	return nil, store.ErrNotFound
}

// All implements store.Engine.
func (e *Engine) All(_ context.Context, o store.Owner, prefix, from string, limit int) ([]store.Pair, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	w := e.owners[o]
	if w == nil {
		return nil, nil
	}
	var page []store.Pair
	for _, key := range slices.Sorted(maps.Keys(w.kv)) {
		if len(page) < limit && key >= from && strings.HasPrefix(key, prefix) {
			page = append(page, store.Pair{Owner: o, Key: key, Value: bytes.Clone(w.kv[key])})
		}
	}
	return page, nil
}

// Each implements store.Engine.
func (e *Engine) Each(_ context.Context, key string, from store.Owner, limit int) ([]store.Pair, error) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var page []store.Pair
	for _, o := range slices.Sorted(maps.Keys(e.owners)) {
		if len(page) == limit {
			break
		}
		if v, ok := e.owners[o].kv[key]; ok && o >= from {
			page = append(page, store.Pair{Owner: o, Key: key, Value: bytes.Clone(v)})
		}
	}
	return page, nil
}

// Close implements store.Engine.
func (e *Engine) Close() error { return nil }
