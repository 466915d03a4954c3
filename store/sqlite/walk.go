package sqlite

import (
	"fmt"

	"parley/store"
)

// A place is where an entry is.
type place struct {
	id  store.ID
	seq int64
}

// A walk finds the places of one owner's entries in order, below the tail from the chunks of the index.
type walk struct {
	r      *reader
	owner  store.Owner
	tail   span // taken before any chunk is read: what is folded meanwhile is in both
	lo, hi store.ID
	back   bool
	filter bool // only entries whose Peer has the hash peer
	peer   uint16
}

// next returns the next places, n at most; none when the walk is over.
func (w *walk) next(n int) ([]place, error) {
	var found []place
	for len(found) < n && w.lo <= w.hi {
		s, err := w.span()
		if err != nil {
			return found, err
		}
		for len(found) < n && w.lo <= w.hi {
			id := w.lo
			if w.back {
				id = w.hi
			}
			if len(s.refs) == 0 || id < s.first || id > s.last() {
				break
			}
			if w.back {
				w.hi--
			} else {
				w.lo++
			}
			if p := s.refs[id-s.first]; !w.filter || p.peer == w.peer {
				found = append(found, place{id, p.seq})
			}
		}
	}
	return found, nil
}

// span returns the run of entries that the walk goes on in, an empty one where it met a gap.
func (w *walk) span() (span, error) {
	id := w.lo
	if w.back {
		id = w.hi
	}
	if len(w.tail.refs) > 0 && id >= w.tail.first {
		if id > w.tail.last() {
			return span{}, w.gap(id)
		}
		return w.tail, nil
	}
	c, err := readChunk(w.r.below, w.owner, id)
	if err != nil {
		return span{}, err
	}
	if len(c.refs) == 0 || id > c.last() {
		return span{}, w.gap(id)
	}
	return w.clip(c), nil
}

// gap moves the walk over id, which is nowhere because it was trimmed after the read had begun; any other gap is an
// error.
func (w *walk) gap(id store.ID) error {
	floor, err := w.r.trimmed(w.owner)
	if err == nil && id > floor {
		err = fmt.Errorf("%w: entry %d of owner %d is not in it", errIndex, id, w.owner)
	}
	if w.lo = floor + 1; w.back {
		w.hi = min(w.hi, floor)
	}
	return err
}

// clip cuts a chunk off where the tail begins.
func (w *walk) clip(c span) span {
	if len(w.tail.refs) > 0 && c.last() >= w.tail.first && c.first < w.tail.first {
		c.refs = c.refs[:w.tail.first-c.first]
	}
	return c
}
