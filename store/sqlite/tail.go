package sqlite

import (
	"fmt"
	"sync"

	"parley/store"
)

// A ref is the place of an entry in the log, with a hash of its Peer, so that a search by Peer reads few other rows.
type ref struct {
	seq  int64
	peer uint16
}

func hashPeer(peer string) uint16 {
	v := uint32(2166136261) // FNV-1a
	for i := range len(peer) {
		v = (v ^ uint32(peer[i])) * 16777619
	}
	return uint16(v>>16) ^ uint16(v)
}

// A tailRow is a row of the log that has no index yet.
type tailRow struct {
	owner store.Owner
	id    store.ID
	ref   ref
}

// The tail is the index by owner of the rows that are not yet folded.
type tail struct {
	mu sync.RWMutex
	// guarded by mu
	owners map[store.Owner]span
	n      int
}

// A span is a run of consecutive entries of one owner. refs is only ever appended to and cut in front, so a copy of the
// span stays good without a lock.
type span struct {
	first store.ID // of refs[0]
	refs  []ref
}

func (s span) last() store.ID { return s.first + store.ID(len(s.refs)) - 1 }

func (t *tail) init() { t.owners = make(map[store.Owner]span) }

// add appends rows; their ids must go on where their owner's span ends.
func (t *tail) add(rows []tailRow) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range rows {
		s, ok := t.owners[r.owner]
		switch {
		case !ok:
			s.first = r.id
		case r.id != s.last()+1:
			return fmt.Errorf("entry %d of owner %d follows entry %d", r.id, r.owner, s.last())
		}
		s.refs = append(s.refs, r.ref)
		t.owners[r.owner] = s
	}
	t.n += len(rows)
	return nil
}

// of returns the owner's span, empty if it has none.
func (t *tail) of(o store.Owner) span {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.owners[o]
}

func (t *tail) len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.n
}

// list returns the owners that have a span, in no order.
func (t *tail) list() []store.Owner {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make([]store.Owner, 0, len(t.owners))
	for o := range t.owners {
		all = append(all, o)
	}
	return all
}

// drop forgets the owners' rows up to seq.
func (t *tail) drop(owners []store.Owner, seq int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range owners {
		s := t.owners[o]
		n := s.upto(seq)
		t.n -= n
		if n == len(s.refs) {
			delete(t.owners, o)
			continue
		}
		t.owners[o] = span{s.first + store.ID(n), s.refs[n:]}
	}
}

// upto returns how many refs are not behind seq.
func (s span) upto(seq int64) int {
	n := 0
	for n < len(s.refs) && s.refs[n].seq <= seq {
		n++
	}
	return n
}
