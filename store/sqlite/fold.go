package sqlite

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"parley/store"
)

// A folding is a fold on its way: the rows up to target of some owners still have to get their index.
type folding struct {
	target int64
	owners []store.Owner // those left, ascending
}

// Tend implements store.Engine: a look at the disk and the log, and a slice of a fold if the tail has become long (or anything, when idle), or else a slice
// of the sweeping up of what was trimmed.
func (e *Engine) Tend(idle bool) (more bool, err error) {
	e.wmu.Lock()
	defer e.wmu.Unlock()
	if e.broken || e.closed {
		return false, nil
	}
	if err := e.tendLog(); err != nil {
		return false, err
	}
	least := e.opts.foldAt
	if idle {
		least = 1
	}
	if e.folds != nil || e.tail.len() >= least {
		more, err := e.foldSlice(least)
		return more || len(e.sweeps) > 0 && err == nil, err
	}
	return e.sweepSlice()
}

// foldSlice gives the rows of some owners their index and takes these out of the tail. It begins a fold if there is none
// and the tail has at least that many rows. A fold that is cut short by a crash is harmless: the watermark is set by the
// last slice, so the rows are in the tail again, and what has an index already is passed over.
func (e *Engine) foldSlice(least int) (more bool, err error) {
	if e.folds == nil {
		if e.tail.len() < least {
			return false, nil
		}
		owners := e.tail.list()
		slices.Sort(owners)
		e.folds = &folding{e.seq, owners}
	}
	f := e.folds
	some := f.owners[:min(len(f.owners), e.opts.foldSlice)]
	err = e.transact("fold", func() error {
		for _, o := range some {
			if err := e.foldOwner(o, f.target); err != nil {
				return err
			}
		}
		if len(some) == len(f.owners) {
			return e.ws.folded.exec(f.target, sumWatermark(f.target))
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	e.tail.drop(some, f.target)
	if f.owners = f.owners[len(some):]; len(f.owners) == 0 {
		e.folds = nil
		maps.Copy(e.sweeps, e.waits)
		clear(e.waits)
	}
	return e.folds != nil, nil
}

// foldOwner adds an owner's rows up to target to its chunks; the last of these is filled up first.
func (e *Engine) foldOwner(o store.Owner, target int64) error {
	s := e.tail.of(o)
	s.refs = s.refs[:s.upto(target)]
	c, err := readChunk(e.ws.chunk, o, maxID)
	if err != nil {
		return e.chunkError(err)
	}
	if len(c.refs) > 0 && c.last() >= s.first {
		n := min(int(c.last()-s.first)+1, len(s.refs))
		s = span{s.first + store.ID(n), s.refs[n:]}
	}
	for len(s.refs) > 0 {
		if len(c.refs) == 0 || len(c.refs) >= chunkRefs || c.last()+1 != s.first {
			c = span{first: s.first}
		}
		n := min(chunkRefs-len(c.refs), len(s.refs))
		c.refs = append(slices.Clip(c.refs), s.refs[:n]...)
		s = span{s.first + store.ID(n), s.refs[n:]}
		if err := e.ws.putChunk.exec(int64(o), int64(c.first), int64(len(c.refs)), encodeChunk(o, c)); err != nil {
			return err
		}
	}
	return nil
}

const (
	maxID = store.ID(1<<63 - 1)

	// chunkRefs is how many refs a row of fold holds at most: at 3 to 6 bytes each it stays within its page.
	chunkRefs = 160

	chunkBelow = "SELECT first, n, refs FROM fold WHERE owner = ? AND first <= ? ORDER BY first DESC LIMIT 1"
)

var errIndex = errors.New("the index is wrong")

// chunkError tells a damaged chunk from other errors.
func (e *Engine) chunkError(err error) error {
	if errors.Is(err, errIndex) {
		return damaged(e.path, e.dir, err)
	}
	return err
}

// readChunk returns the chunk that s (chunkBelow or chunkAbove) finds for id, an empty one if there is none.
func readChunk(s *stmt, o store.Owner, id store.ID) (c span, err error) {
	var bad error
	err = s.rows(func(row []dv) bool {
		c.first = store.ID(number(row[0]))
		c.refs, bad = decodeChunk(o, c.first, int(number(row[1])), blob(row[2]))
		return false
	}, int64(o), int64(id))
	if err == nil {
		err = bad
	}
	return c, err
}

// encodeChunk writes for each ref the distance to the one before as a varint and the hash; a checksum ends it.
func encodeChunk(o store.Owner, c span) []byte {
	b := make([]byte, 0, 6*len(c.refs)+12)
	last := int64(0)
	for _, r := range c.refs {
		b = binary.AppendUvarint(b, uint64(r.seq-last))
		b = binary.LittleEndian.AppendUint16(b, r.peer)
		last = r.seq
	}
	return binary.LittleEndian.AppendUint32(b, sumChunk(o, c.first, b))
}

func decodeChunk(o store.Owner, first store.ID, n int, b []byte) ([]ref, error) {
	bad := fmt.Errorf("%w: owner %d, entry %d", errIndex, o, first)
	if len(b) < 4 || n < 1 || n > len(b) {
		return nil, bad
	}
	b, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if sumChunk(o, first, b) != sum {
		return nil, bad
	}
	refs := make([]ref, 0, n)
	seq := int64(0)
	for range n {
		d, k := binary.Uvarint(b)
		if k <= 0 || len(b) < k+2 {
			return nil, bad
		}
		seq += int64(d)
		refs = append(refs, ref{seq, binary.LittleEndian.Uint16(b[k:])})
		b = b[k+2:]
	}
	if len(b) > 0 {
		return nil, bad
	}
	return refs, nil
}

func sumChunk(o store.Owner, first store.ID, b []byte) uint32 {
	var head [16]byte
	binary.LittleEndian.PutUint64(head[0:], uint64(o))
	binary.LittleEndian.PutUint64(head[8:], uint64(first))
	return uint32(checksum(head[:], b))
}
