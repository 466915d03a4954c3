package sqlite

import (
	"context"
	"fmt"
	"strings"

	"parley/store"
)

// Get implements store.Engine.
func (e *Engine) Get(ctx context.Context, o store.Owner, key string) ([]byte, error) {
	r, err := e.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer e.giveBack(r)
	var value []byte
	var bad error
	err = r.get.rows(func(row []dv) bool {
		value = blob(row[0])
		bad = e.checkValue(o, key, value, row[1])
		return false
	}, int64(o), key)
	switch {
	case err != nil:
		return nil, e.wrap("read a value", err)
	case bad != nil:
		return nil, bad
	case value == nil:
		return nil, store.ErrNotFound
	}
	return value, nil
}

// All implements store.Engine.
func (e *Engine) All(ctx context.Context, o store.Owner, prefix, from string, limit int) ([]store.Pair, error) {
	return e.pairs(ctx, func(r *reader, add func(store.Pair, dv) bool) error {
		return r.all.rows(func(row []dv) bool {
			key := text(row[0])
			return strings.HasPrefix(key, prefix) && add(store.Pair{Owner: o, Key: key, Value: blob(row[1])}, row[2])
		}, int64(o), max(prefix, from), int64(limit))
	})
}

// Each implements store.Engine.
func (e *Engine) Each(ctx context.Context, key string, from store.Owner, limit int) ([]store.Pair, error) {
	return e.pairs(ctx, func(r *reader, add func(store.Pair, dv) bool) error {
		return r.each.rows(func(row []dv) bool {
			return add(store.Pair{Owner: store.Owner(number(row[0])), Key: key, Value: blob(row[1])}, row[2])
		}, key, int64(from), int64(limit))
	})
}

func (e *Engine) pairs(ctx context.Context, read func(*reader, func(store.Pair, dv) bool) error) ([]store.Pair, error) {
	r, err := e.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer e.giveBack(r)
	var page []store.Pair
	var bad error
	err = read(r, func(p store.Pair, sum dv) bool {
		bad = e.checkValue(p.Owner, p.Key, p.Value, sum)
		page = append(page, p)
		return bad == nil
	})
	if err != nil {
		return nil, e.wrap("read values", err)
	}
	if bad != nil {
		return nil, bad
	}
	return page, nil
}

// checkValue compares a value with its checksum. Without one of its values the server would do wrong (forget a block, a
// password), so a damaged value stops it.
func (e *Engine) checkValue(o store.Owner, key string, value []byte, sum dv) error {
	if sumValue(int64(o), key, value) != number(sum) {
		return damaged(e.path, e.dir, fmt.Sprintf("the value %q of owner %d fails its check", key, o))
	}
	return nil
}
