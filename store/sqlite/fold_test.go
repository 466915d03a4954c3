package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"parley/store"
)

// crashed returns an engine over a copy of e's files as they are now, as if the process had died.
func crashed(t *testing.T, e *Engine, o Options) *Engine {
	t.Helper()
	e.wmu.Lock()
	defer e.wmu.Unlock()
	dir := t.TempDir()
	for _, name := range []string{FileName, FileName + "-wal"} {
		// Reading drops the locks that this process has on the file; nobody else is there who would mind.
		b, err := os.ReadFile(filepath.Join(e.dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return open(t, dir, o)
}

func (e *Engine) count(t testing.TB, query string) int {
	t.Helper()
	e.wmu.Lock()
	defer e.wmu.Unlock()
	n, err := e.w.number(query)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

// verify reads all owners' entries, which are in the shape fill makes, from first to last.
func verify(t *testing.T, e *Engine, owners, first, last int) {
	t.Helper()
	for o := range store.Owner(owners) {
		head, floor, err := e.Head(context.Background(), o)
		if err != nil || int(head) != last || int(floor) != first-1 {
			t.Fatalf("owner %d: head %d, floor %d, %v; want %d, %d", o, head, floor, err, last, first-1)
		}
		for _, back := range []bool{false, true} {
			q := store.Query{After: floor, Before: head + 1, Backward: back, Limit: 1 << 20}
			page, more, err := e.Range(context.Background(), o, q)
			if err != nil || more || len(page) != last-first+1 {
				t.Fatalf("owner %d: %d entries, more %v, %v; want %d", o, len(page), more, err, last-first+1)
			}
			for i, n := range page {
				want := first + i
				if back {
					want = last - i
				}
				if int(n.ID) != want || string(n.Body) != fmt.Sprintf("<body of='%d' number='%d'/>", o, want) {
					t.Fatalf("owner %d: entry %d is %+v", o, want, n)
				}
			}
		}
	}
}

// more commits entries from first to last for each owner.
func more(t *testing.T, e *Engine, owners, first, last int) {
	t.Helper()
	var ops []store.Op
	for id := first; id <= last; id++ {
		for o := range owners {
			ops = append(ops, store.Op{Kind: store.OpAppend, Owner: store.Owner(o), Entry: store.Entry{ID: store.ID(id),
				Body: fmt.Appendf(nil, "<body of='%d' number='%d'/>", o, id)}})
		}
	}
	if err := e.Commit(ops); err != nil {
		t.Fatal(err)
	}
}

// TestFoldCutShort dies after every slice of a fold, with commits between the slices.
func TestFoldCutShort(t *testing.T) {
	const owners = 6
	o := Options{foldAt: 100, foldSlice: 2}
	e := open(t, t.TempDir(), o)
	last := 0
	for round := range 2 {
		more(t, e, owners, last+1, last+90)
		last += 90
		for slice := 0; ; slice++ {
			again, err := e.Tend(false)
			if err != nil {
				t.Fatal(err)
			}
			more(t, e, owners, last+1, last+1)
			last++
			verify(t, e, owners, 1, last)
			c := crashed(t, e, o)
			verify(t, c, owners, 1, last)
			for cont := true; cont; {
				if cont, err = c.Tend(true); err != nil {
					t.Fatal(err)
				}
			}
			more(t, c, owners, last+1, last+5)
			verify(t, c, owners, 1, last+5)
			if n, rows := c.count(t, "SELECT sum(n) FROM fold"), c.count(t, "SELECT count(*) FROM log"); n != rows-5*owners {
				t.Fatalf("round %d, slice %d: %d in the index, %d in the log", round, slice, n, rows)
			}
			if !again {
				break
			}
		}
	}
	for cont := true; cont; {
		cont, _ = e.Tend(true)
	}
	if e.tail.len() != 0 {
		t.Fatalf("%d rows are left", e.tail.len())
	}
	if n := e.count(t, "SELECT max(n) FROM fold"); n != chunkRefs {
		t.Errorf("the longest chunk has %d entries, want %d", n, chunkRefs)
	}
	if n := e.count(t, "SELECT count(*) FROM fold"); n != owners*((last+chunkRefs-1)/chunkRefs) {
		t.Errorf("%d chunks for %d entries of each owner", n, last)
	}
	if n := e.count(t, "SELECT max(length(refs)) FROM fold"); n > 960 {
		t.Errorf("a chunk of %d bytes leaves its page", n)
	}
}

// TestSweep trims and looks for what is left in the file; a place in the log is never given twice.
func TestSweep(t *testing.T) {
	const owners = 4
	o := Options{foldAt: 50}
	e := open(t, t.TempDir(), o)
	tend := func(e *Engine) {
		t.Helper()
		for cont := true; cont; {
			var err error
			if cont, err = e.Tend(true); err != nil {
				t.Fatal(err)
			}
		}
	}
	trim := func(kind store.Kind, upto int) {
		t.Helper()
		var ops []store.Op
		for w := range owners {
			ops = append(ops, store.Op{Kind: kind, Owner: store.Owner(w), Entry: store.Entry{ID: store.ID(upto)}})
		}
		if err := e.Commit(ops); err != nil {
			t.Fatal(err)
		}
	}
	more(t, e, owners, 1, 1000)
	trim(store.OpTrim, 400)
	verify(t, e, owners, 401, 1000)
	tend(e)
	verify(t, e, owners, 401, 1000)
	if n := e.count(t, "SELECT count(*) FROM log"); n != owners*600 {
		t.Fatalf("%d rows are left, want %d", n, owners*600)
	}
	for _, back := range []bool{false, true} { // a read that had begun before the trimming
		page, _, err := e.Range(context.Background(), 2, store.Query{After: 10, Before: 1001, Limit: 2000, Backward: back})
		if err != nil || len(page) != 600 {
			t.Fatalf("%d entries, %v", len(page), err)
		}
	}
	more(t, e, owners, 1001, 1010)
	trim(store.OpForget, 1010) // partly without index
	trim(store.OpTrim, 500)    // does not bring anything back
	verify(t, e, owners, 1011, 1010)
	c := crashed(t, e, o)
	verify(t, c, owners, 1011, 1010)
	tend(c)
	tend(e)
	for _, e := range []*Engine{c, e} {
		verify(t, e, owners, 1011, 1010)
		for _, table := range []string{"log", "fold", "trim WHERE swept < floor"} {
			if n := e.count(t, "SELECT count(*) FROM "+table); n != 0 {
				t.Errorf("%d rows are left in %s", n, table)
			}
		}
	}
	seq := e.seq
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	e = open(t, e.dir, o)
	if e.seq < seq {
		t.Fatalf("the log goes on at %d, it was at %d", e.seq, seq)
	}
	more(t, e, owners, 1011, 1020)
	verify(t, e, owners, 1011, 1020)
}

// TestPeerFilter searches for a peer whose hash others share, and for a rare one.
func TestPeerFilter(t *testing.T) {
	same := map[uint16]string{}
	var a, b string
	for i := 0; a == ""; i++ {
		p := fmt.Sprintf("p%d@example.org", i)
		if q, ok := same[hashPeer(p)]; ok {
			a, b = p, q
		}
		same[hashPeer(p)] = p
	}
	e := open(t, t.TempDir(), Options{})
	var ops []store.Op
	for i := range 5000 {
		peer := a
		if i == 700 || i == 4999 {
			peer = b
		}
		ops = append(ops, store.Op{Kind: store.OpAppend, Owner: 1, Entry: store.Entry{ID: store.ID(i + 1), Peer: peer, Body: []byte("x")}})
	}
	if err := e.Commit(ops[:4000]); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Tend(true); err != nil {
		t.Fatal(err)
	}
	if err := e.Commit(ops[4000:]); err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1, 2, 3} {
		page, more, err := e.Range(context.Background(), 1, store.Query{Before: 5001, Limit: limit, Peer: b})
		if err != nil || len(page) != min(limit, 2) || page[0].ID != 701 || more != (limit < 3) {
			t.Fatalf("limit %d: %+v, %v, %v", limit, page, more, err)
		}
	}
}

// TestDamage breaks single rows: a damaged entry is withheld, anything else is an error that stops the store.
func TestDamage(t *testing.T) {
	ctx := context.Background()
	for sql, what := range map[string]string{
		"UPDATE log SET body = x'00' WHERE owner = 1 AND id = 5":                           "withheld",
		"UPDATE log SET stamp = stamp + 1 WHERE owner = 1 AND id = 5":                      "withheld",
		"UPDATE log SET peer = 'mallory@example.org' WHERE owner = 1 AND id = 5":           "withheld",
		"UPDATE log SET sent = 1 - sent WHERE owner = 1 AND id = 5":                        "withheld",
		"DELETE FROM log WHERE owner = 1 AND id = 5":                                       "missing",
		"UPDATE log SET owner = 2 WHERE owner = 1 AND id = 5":                              "astray",
		"UPDATE fold SET refs = zeroblob(length(refs)) WHERE owner = 1":                    "index",
		"UPDATE fold SET n = n - 1 WHERE owner = 1":                                        "index",
		"UPDATE fold SET first = first + 1 WHERE owner = 1":                                "index",
		"DELETE FROM fold WHERE owner = 1 AND first = 1":                                   "index",
		"UPDATE kv SET value = x'00' WHERE owner = 1 AND key = 'key1'":                     "value",
		"DELETE FROM kv WHERE key = 'key1'; UPDATE kv SET key = 'key1' WHERE key = 'key4'": "value",
	} {
		e := open(t, t.TempDir(), Options{})
		fill(t, e, 900)
		if _, err := e.Tend(true); err != nil {
			t.Fatal(err)
		}
		e.wmu.Lock()
		err := e.w.exec(sql)
		e.wmu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		page, _, err := e.Range(ctx, 1, store.Query{Before: 301, Limit: 1000})
		if what == "value" {
			if err != nil {
				t.Fatal(err)
			}
			_, err = e.Get(ctx, 1, "key1")
			if _, err2 := e.All(ctx, 1, "", "", 10); !errors.Is(err2, store.ErrCorrupt) {
				t.Errorf("%s: all: %v", sql, err2)
			}
		}
		switch {
		case what == "withheld" && (err != nil || len(page) != 299):
			t.Errorf("%s: %d entries, %v", sql, len(page), err)
		case what != "withheld" && (!errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), what) ||
			!strings.Contains(err.Error(), e.path)):
			t.Errorf("%s: %v", sql, err)
		}
	}
}

func FuzzDecodeChunk(f *testing.F) {
	good := span{first: 7, refs: []ref{{1, 2}, {100, 3}, {1 << 40, 65535}}}
	f.Add(encodeChunk(3, good), 3)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		refs, err := decodeChunk(3, 7, n, b)
		if err == nil && len(refs) != n {
			t.Fatalf("%d refs, want %d", len(refs), n)
		}
	})
}
