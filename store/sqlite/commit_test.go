package sqlite

import (
	"context"
	"fmt"
	"testing"

	"parley/store"
)

// TestRowsAtOnce commits as many entries as go into one statement, one less and one more, between writes of other kinds.
func TestRowsAtOnce(t *testing.T) {
	e := open(t, t.TempDir(), Options{})
	id := 0
	var ops []store.Op
	add := func(n int) {
		for range n {
			id++
			ops = append(ops, store.Op{Kind: store.OpAppend, Entry: store.Entry{ID: store.ID(id), Peer: fmt.Sprint("peer", id%3), Note: uint64(id % 2),
				Body: fmt.Appendf(nil, "<body of='0' number='%d'/>", id)}})
		}
	}
	total := 0
	for _, n := range addRows {
		for _, more := range []int{n - 1, n, n + 1} {
			total++
			key := fmt.Sprint("total", total)
			add(more)
			ops = append(ops, store.Op{Kind: store.OpSet, Key: key, Value: fmt.Append(nil, id)})
			add(more)
			if err := e.Commit(ops); err != nil {
				t.Fatal(err)
			}
			ops = ops[:0]
			if v, err := e.Get(context.Background(), 0, key); err != nil || string(v) != fmt.Sprint(id-more) {
				t.Errorf("%s is %q, %v", key, v, err)
			}
		}
	}
	verify(t, e, 1, 1, id)
	verify(t, crashed(t, e, Options{}), 1, 1, id)
	if n := e.count(t, "SELECT count(*) FROM log"); n != id || e.tail.len() != id || int(e.seq) != id {
		t.Errorf("%d rows, %d of them without an index, the last is %d; want %d", n, e.tail.len(), e.seq, id)
	}
}
