package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"parley/store"
)

// A reader is a connection of the pool with its statements. Reads never wait for the writer.
type reader struct {
	*conn
	below          *stmt // chunks
	one, up, down  *stmt // rows of the log
	floor          *stmt
	get, all, each *stmt
	sums           summer
}

// fetchRows is how many rows one statement reads at most, each named by its place.
const fetchRows = 64

func (r *reader) prepare() error {
	row := "SELECT seq, owner, id, stamp, peer, sent, note, body, sum FROM log WHERE seq "
	many := row + "IN (?" + strings.Repeat(", ?", fetchRows-1) + ") ORDER BY seq"
	return r.keep([]query{
		{&r.below, chunkBelow},
		{&r.one, row + "= ?"},
		{&r.up, many},
		{&r.down, many + " DESC"},
		{&r.floor, "SELECT floor FROM trim WHERE owner = ?"},
		{&r.get, "SELECT value, sum FROM kv WHERE owner = ? AND key = ?"},
		{&r.all, "SELECT key, value, sum FROM kv WHERE owner = ? AND key >= ? ORDER BY key LIMIT ?"},
		{&r.each, "SELECT owner, value, sum FROM kv WHERE key = ? AND owner >= ? ORDER BY owner LIMIT ?"},
	})
}

// acquire takes a reader from the pool.
func (e *Engine) acquire(ctx context.Context) (*reader, error) {
	select {
	case r, ok := <-e.readers:
		if !ok {
			return nil, store.ErrClosed
		}
		return r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *Engine) giveBack(r *reader) { e.readers <- r }

// Head implements store.Engine.
func (e *Engine) Head(ctx context.Context, o store.Owner) (last, floor store.ID, err error) {
	r, err := e.acquire(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer e.giveBack(r)
	if floor, err = r.trimmed(o); err != nil {
		return 0, 0, e.wrap("read the begin of a log", err)
	}
	if s := e.tail.of(o); len(s.refs) > 0 {
		return max(s.last(), floor), floor, nil
	}
	c, err := readChunk(r.below, o, maxID)
	if err != nil {
		return 0, 0, e.wrap("read the end of a log", e.chunkError(err))
	}
	if len(c.refs) > 0 {
		last = c.last()
	}
	return max(last, floor), floor, nil
}

// pageBytes is where a page of Range ends although more was asked for.
const pageBytes = 256 << 10

// Range implements store.Engine.
func (e *Engine) Range(ctx context.Context, o store.Owner, q store.Query) (page []store.Entry, more bool, err error) {
	r, err := e.acquire(ctx)
	if err != nil {
		return nil, false, err
	}
	defer e.giveBack(r)
	w := &walk{r: r, owner: o, tail: e.tail.of(o), lo: q.After + 1, hi: maxID, back: q.Backward}
	if q.Before != 0 {
		w.hi = q.Before - 1
	}
	if q.Peer != "" {
		w.filter, w.peer = true, hashPeer(q.Peer)
	}
	for bytes := 0; ; {
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		places, err := w.next(min(fetchRows, q.Limit-len(page)))
		if err != nil {
			return nil, false, e.wrap("read the index", e.chunkError(err))
		}
		if len(places) == 0 {
			return page, false, nil
		}
		got, whole, err := e.fetch(r, o, places, q, &bytes)
		if err != nil {
			return nil, false, err
		}
		page = append(page, got...)
		if !whole || len(page) == q.Limit {
			return page, true, nil
		}
	}
}

// fetch reads the entries at places, which are in the order of q. It stops early when *bytes goes over pageBytes; whole
// says that it did not. Entries that were swept away meanwhile are left out, and so are those that fail their checksum.
func (e *Engine) fetch(r *reader, o store.Owner, places []place, q store.Query, bytes *int) (
	got []store.Entry, whole bool, err error) {
	stmt := r.one
	vals := make([]dv, 0, fetchRows)
	for _, p := range places {
		vals = append(vals, p.seq)
	}
	if len(places) > 1 {
		stmt = r.up
		if q.Backward {
			stmt = r.down
		}
		for len(vals) < fetchRows { // an unused parameter would be NULL; twice the same is once
			vals = append(vals, places[0].seq)
		}
	}
	at := 0
	var missing store.ID
	var bad error
	err = stmt.rows(func(row []dv) bool {
		for at < len(places) && places[at].seq != number(row[0]) {
			missing = max(missing, places[at].id)
			at++
		}
		if at == len(places) {
			return false
		}
		want := places[at].id
		at++
		var entry store.Entry
		if entry, bad = e.entry(&r.sums, o, want, row); bad != nil {
			return false
		}
		if entry.ID != 0 && (q.Peer == "" || entry.Peer == q.Peer) {
			got = append(got, entry)
			*bytes += len(entry.Body)
		}
		return *bytes < pageBytes
	}, vals...)
	if err != nil {
		return nil, false, e.wrap("read the log", err)
	}
	if bad != nil {
		return nil, false, bad
	}
	whole = *bytes < pageBytes
	if whole {
		for ; at < len(places); at++ {
			missing = max(missing, places[at].id)
		}
	}
	if missing != 0 {
		err = e.missing(r, o, missing)
	}
	return got, whole, err
}

// entry makes an Entry of a row. A row that is another entry's means a damaged index; one that fails its checksum is
// reported and withheld: the zero Entry.
func (e *Engine) entry(sums *summer, o store.Owner, id store.ID, row []dv) (store.Entry, error) {
	owner, rowID, stamp := number(row[1]), number(row[2]), number(row[3])
	peer, sent, note, body := text(row[4]), number(row[5]), number(row[6]), blob(row[7])
	if owner != int64(o) || rowID != int64(id) {
		return store.Entry{}, damaged(e.path, e.dir, fmt.Sprintf("the index of owner %d leads astray at entry %d", o, id))
	}
	if sums.entry(owner, rowID, stamp, peer, sent, note, body) != number(row[8]) {
		e.log.Error("an entry of the log is damaged and is withheld; restore a backup of the data directory",
			"path", e.path, "owner", o, "entry", id)
		return store.Entry{}, nil
	}
	return store.Entry{ID: id, Time: time.Unix(0, stamp).UTC(), Peer: peer, Sent: sent != 0, Note: uint64(note), Body: body}, nil
}

// missing returns an error for the entry id, which is in the index and not in the log, unless it went because it was
// trimmed after the read had begun.
func (e *Engine) missing(r *reader, o store.Owner, id store.ID) error {
	floor, err := r.trimmed(o)
	if err != nil {
		return e.wrap("read the begin of a log", err)
	}
	if id <= floor {
		return nil
	}
	return damaged(e.path, e.dir, fmt.Sprintf("entry %d of owner %d is missing", id, o))
}

// trimmed returns up to which id the owner's entries are gone.
func (r *reader) trimmed(o store.Owner) (floor store.ID, err error) {
	err = r.floor.rows(func(row []dv) bool { floor = store.ID(number(row[0])); return false }, int64(o))
	return floor, err
}
