package store

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
)

// KV keeps small values per owner, each under a key. Keys are UTF-8 and not empty.
type KV struct{ s *Store }

// Set keeps value, which is copied, under key; a nil value deletes. Errors: ErrFull, ErrFailed.
func (k *KV) Set(j Journey, o Owner, key string, value []byte) error {
	s := k.s
	h, err := s.write(j, o, false)
	if err != nil {
		return fmt.Errorf("store: set %q: %w", key, err)
	}
	defer s.mu.Unlock()
	op := Op{Kind: OpSet, Owner: o, Key: key, Value: value}
	if value == nil {
		op.Kind = OpDelete
	}
	p := s.pendOf(h)
	if p.kv == nil {
		p.kv = make(map[string]int32)
	}
	p.kv[key] = s.add(op)
	return nil
}

// Get returns the value under key, or ErrNotFound.
func (k *KV) Get(ctx context.Context, o Owner, key string) ([]byte, error) {
	value, known := k.pending(o, key)
	if !known {
		var err error
		if value, err = k.s.engine.Get(ctx, o, key); err != nil {
			return nil, k.s.readError(fmt.Sprintf("get %q", key), err)
		}
	}
	if value == nil {
		return nil, fmt.Errorf("store: get %q: %w", key, ErrNotFound)
	}
	return value, nil
}

// pending returns a copy of a value that is not yet durable (nil: deleted) and whether there is one.
func (k *KV) pending(o Owner, key string) (value []byte, known bool) {
	s := k.s
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.heads[o]
	if h == nil {
		return nil, false
	}
	for _, b := range [2]*batch{s.cur, s.flushing} {
		if b == nil || h.pend[b.slot] == nil {
			continue
		}
		if at, ok := h.pend[b.slot].kv[key]; ok {
			return bytes.Clone(b.ops[at].Value), true
		}
		if h.pend[b.slot].forgot {
			return nil, true
		}
	}
	return nil, false
}

// All yields o's values whose keys begin with prefix, in byte order of the keys; an error ends it. What is set during
// the loop may be seen or not.
func (k *KV) All(ctx context.Context, o Owner, prefix string) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		over, forgot := k.overlayOf(o, prefix)
		from := prefix
		read := func() ([]Pair, error) {
			if forgot {
				return nil, nil
			}
			page, err := k.s.engine.All(ctx, o, prefix, from, pageEntries)
			if len(page) > 0 {
				from = page[len(page)-1].Key + "\x00"
			}
			return page, err
		}
		k.merge(ctx, over, nil, read, func(a, b Pair) int { return strings.Compare(a.Key, b.Key) }, yield)
	}
}

// Each yields every owner's value of one key, in ascending order of the owners; an error ends it. What is set during
// the loop may be seen or not.
func (k *KV) Each(ctx context.Context, key string) iter.Seq2[Pair, error] {
	return func(yield func(Pair, error) bool) {
		over, forgotten := k.overlayFor(key)
		var from Owner
		read := func() ([]Pair, error) {
			page, err := k.s.engine.Each(ctx, key, from, pageEntries)
			if len(page) > 0 {
				from = page[len(page)-1].Owner + 1
			}
			return page, err
		}
		compare := func(a, b Pair) int { return int(min(max(int64(a.Owner)-int64(b.Owner), -1), 1)) }
		k.merge(ctx, over, forgotten, read, compare, yield)
	}
}

// merge yields what read returns, page by page, and over, which is sorted and wins; both in the order of compare. A nil
// Value in over hides, and so does an owner in forgotten.
func (k *KV) merge(ctx context.Context, over []Pair, forgotten map[Owner]bool, read func() ([]Pair, error),
	compare func(a, b Pair) int, yield func(Pair, error) bool) {
	for {
		err := ctx.Err()
		var page []Pair
		if err == nil {
			page, err = read()
		}
		if err != nil {
			yield(Pair{}, k.s.readError("read values", err))
			return
		}
		for _, p := range page {
			for len(over) > 0 && compare(over[0], p) < 0 {
				if over[0].Value != nil && !yield(over[0], nil) {
					return
				}
				over = over[1:]
			}
			if len(over) > 0 && compare(over[0], p) == 0 {
				p, over = over[0], over[1:]
			} else if forgotten[p.Owner] {
				continue
			}
			if p.Value != nil && !yield(p, nil) {
				return
			}
		}
		if len(page) < pageEntries {
			break
		}
	}
	for _, p := range over {
		if p.Value != nil && !yield(p, nil) {
			return
		}
	}
}

// overlayOf returns what is not yet durable of o's values, sorted, nil Values for what is deleted; forgot says that
// nothing in the engine counts.
func (k *KV) overlayOf(o Owner, prefix string) (over []Pair, forgot bool) {
	s := k.s
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.heads[o]
	if h == nil {
		return nil, false
	}
	found := make(map[string]Pair)
	for _, b := range [2]*batch{s.flushing, s.cur} {
		if b == nil || h.pend[b.slot] == nil {
			continue
		}
		p := h.pend[b.slot]
		if p.forgot {
			forgot = true
			clear(found)
		}
		for key, at := range p.kv {
			if strings.HasPrefix(key, prefix) {
				found[key] = Pair{Owner: o, Key: key, Value: bytes.Clone(b.ops[at].Value)}
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		over = append(over, found[key])
	}
	return over, forgot
}

// overlayFor returns what is not yet durable under key, sorted by owner, and whose values in the engine do not count.
func (k *KV) overlayFor(key string) (over []Pair, forgotten map[Owner]bool) {
	s := k.s
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make(map[Owner]Pair)
	forgotten = make(map[Owner]bool)
	for _, b := range [2]*batch{s.flushing, s.cur} {
		if b == nil {
			continue
		}
		for _, h := range b.heads {
			p := h.pend[b.slot]
			if p.forgot {
				forgotten[h.owner] = true
				delete(found, h.owner)
			}
			if at, ok := p.kv[key]; ok {
				found[h.owner] = Pair{Owner: h.owner, Key: key, Value: bytes.Clone(b.ops[at].Value)}
			}
		}
	}
	for _, o := range slices.Sorted(maps.Keys(found)) {
		over = append(over, found[o])
	}
	return over, forgotten
}
