package auth

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"parley/store"
	"parley/xmpp/jid"
)

const prefixLockout = "lockout/"

// keepTime is how long a failed attempt waits for its block to become durable. Longer only if the disk is full or
// broken, and the block is in force in any case.
const keepTime = 10 * time.Second

// Block says that somebody cannot sign in.
type Block struct {
	Name   string       // the account, if there is one of that name
	Source netip.Prefix // the network that it counts for; the zero value is all
	Until  time.Time
}

// blockRecord is a block as it is kept.
type blockRecord struct {
	Name   string    `json:"name"`
	Source string    `json:"source,omitempty"` // empty: all
	Scope  string    `json:"scope"`
	Until  time.Time `json:"until"`
}

func keyLockout(k key) string { return prefixLockout + hex.EncodeToString(k[:]) }

// load reads the blocks that still last. Those of another scope mean something else and are dropped, like those that
// have ended. A clock that was set back does not make them longer than they were.
func (l *Lockout) load(ctx context.Context) error {
	now := l.opts.Now()
	var found []*pair
	for p, err := range l.store.KV.All(ctx, 0, prefixLockout) {
		if err != nil {
			return err
		}
		e, err := l.parse(p, now)
		if err != nil {
			return err
		}
		if e.block.until > 0 {
			found = append(found, e)
		} else {
			l.t.stale = append(l.t.stale, e.key)
		}
	}
	slices.SortFunc(found, func(x, y *pair) int { return cmp.Compare(x.block.until, y.block.until) })
	for _, e := range found {
		l.t.entries[e.key] = e
		l.t.place(e)
	}
	return nil
}

// parse reads one block; its time is 0 if it does not count any more.
func (l *Lockout) parse(p store.Pair, now time.Time) (*pair, error) {
	var r blockRecord
	e := &pair{block: &block{}}
	id, err := hex.DecodeString(strings.TrimPrefix(p.Key, prefixLockout))
	if err == nil && len(id) != len(e.key) {
		err = errors.New("wrong length of the key")
	}
	if err == nil {
		err = json.Unmarshal(p.Value, &r)
	}
	if err == nil && r.Source != "" {
		e.block.source, err = netip.ParsePrefix(r.Source)
	}
	if err != nil {
		return nil, fmt.Errorf("block %q: %w", p.Key, errors.Join(store.ErrCorrupt, err))
	}
	copy(e.key[:], id)
	e.block.name = r.Name
	if r.Scope == l.opts.Scope {
		e.block.until = min(max(r.Until.Sub(now), 0), l.lasts())
	}
	return e, nil
}

// keep makes a block durable, and takes the chance to erase those that have ended.
func (l *Lockout) keep(ctx context.Context, e *pair) {
	ctx, cancel := context.WithTimeout(ctx, keepTime)
	defer cancel()
	if err := l.write(ctx, e); err != nil {
		l.log.Warn("a block after wrong passwords is not on the disk; it ends with the process", slog.Any("err", err))
	}
}

// write writes what has changed, e too unless it is nil, and waits until that is durable.
func (l *Lockout) write(ctx context.Context, e *pair) error {
	j, err := l.store.Begin(ctx)
	if err != nil {
		return err
	}
	err = l.writeIn(j, e)
	j.End()
	if err != nil {
		return err
	}
	return l.store.Wait(ctx, j.Mark())
}

// writeIn writes under the lock, so that what is kept changes in the order in which the memory does.
func (l *Lockout) writeIn(j store.Journey, e *pair) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.sweep(l.elapsed())
	for len(l.t.stale) > 0 {
		last := len(l.t.stale) - 1
		k := l.t.stale[last]
		if now := l.t.entries[k]; now == nil || now.block == nil {
			if err := l.store.KV.Set(j, 0, keyLockout(k), nil); err != nil {
				return err
			}
		}
		l.t.stale = l.t.stale[:last]
	}
	if e == nil || e.block == nil || l.t.entries[e.key] != e {
		return nil // somebody has lifted it meanwhile
	}
	r := blockRecord{Name: e.block.name, Scope: l.opts.Scope, Until: l.until(e)}
	if e.block.source.IsValid() {
		r.Source = e.block.source.String()
	}
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("auth: write a block: %w", err)
	}
	return l.store.KV.Set(j, 0, keyLockout(e.key), value)
}

// until is when a block ends, by the time of day.
func (l *Lockout) until(e *pair) time.Time {
	return l.opts.Now().Add(l.remaining(e)).UTC().Truncate(time.Millisecond)
}

// List returns the blocks that last, sorted by name and source.
func (l *Lockout) List() []Block {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []Block
	for at := l.t.blocked.Front(); at != nil; at = at.Next() {
		if e := at.Value.(*pair); l.remaining(e) > 0 {
			list = append(list, Block{Name: e.block.name, Source: e.block.source, Until: l.until(e)})
		}
	}
	slices.SortFunc(list, func(x, y Block) int {
		return cmp.Or(cmp.Compare(x.Name, y.Name), x.Source.Addr().Compare(y.Source.Addr()))
	})
	return list
}

// Unblock lifts all blocks of a name, which may be written as people do, in a store that no Lockout works on. It returns
// when that is durable. Errors: ctx's and the store's.
func Unblock(ctx context.Context, st *store.Store, name string) error {
	if local, err := jid.Localpart(name); err == nil {
		name = shortName(local)
	}
	var gone []string
	for p, err := range st.KV.All(ctx, 0, prefixLockout) {
		if err != nil {
			return fmt.Errorf("auth: unblock %q: %w", name, err)
		}
		var r blockRecord
		if json.Unmarshal(p.Value, &r) == nil && r.Name == name { // what cannot be read, the server finds when it starts
			gone = append(gone, p.Key)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	j, err := st.Begin(ctx)
	if err != nil {
		return fmt.Errorf("auth: unblock %q: %w", name, err)
	}
	for _, key := range gone {
		err = errors.Join(err, st.KV.Set(j, 0, key, nil))
	}
	j.End()
	if err == nil {
		err = st.Wait(ctx, j.Mark())
	}
	if err != nil {
		return fmt.Errorf("auth: unblock %q: %w", name, err)
	}
	return nil
}

// Unblock lifts all blocks of a name, which may be written as people do, and returns how many there were, when that
// is durable. It must not be called inside a journey. Errors: ctx's and the store's; the blocks are lifted in spite of
// them, until the process ends.
func (l *Lockout) Unblock(ctx context.Context, name string) (int, error) {
	if local, err := jid.Localpart(name); err == nil {
		name = shortName(local)
	}
	l.mu.Lock()
	n := 0
	for at := l.t.blocked.Front(); at != nil; {
		e := at.Value.(*pair)
		at = at.Next()
		if e.block.name == name {
			if l.remaining(e) > 0 {
				n++
			}
			l.t.release(e)
			l.t.place(e)
		}
	}
	l.mu.Unlock()
	if n == 0 {
		return 0, nil
	}
	if err := l.write(ctx, nil); err != nil {
		return n, fmt.Errorf("auth: unblock %q: %w", name, err)
	}
	return n, nil
}
