package store

import (
	"bytes"
	"testing"
)

// TestArena copies pieces of all sizes: they neither change nor overlap.
func TestArena(t *testing.T) {
	var a arena
	for range 3 {
		var got, want [][]byte
		for i := range 3000 {
			p := bytes.Repeat([]byte{byte(i)}, i*7%20_000)
			c := a.copy(p)
			got, want = append(got, c), append(want, bytes.Clone(p))
			if cap(c) > len(c) && len(c) <= arenaChunk/4 {
				t.Fatal("a piece could grow into the next one")
			}
			clear(p)
		}
		for i := range got {
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("piece %d has changed", i)
			}
		}
		a.reset(arenaChunk)
		if len(a.chunks) != 1 || a.used != 0 {
			t.Fatalf("%d chunks, %d bytes used after reset", len(a.chunks), a.used)
		}
	}
	if a.copy(nil) != nil || a.copy([]byte{}) == nil {
		t.Fatal("nil and empty are not told apart")
	}
}

// TestBatchGivesBack lets a burst pass: what it needed is given back, but not while such batches come all the time.
func TestBatchGivesBack(t *testing.T) {
	var b batch
	use := func(n int) {
		for range n {
			b.add(Op{Entry: Entry{Body: make([]byte, 200)}})
		}
		b.reset()
	}
	use(20_000)
	burst := cap(b.ops)
	chunks := len(b.arena.chunks)
	if burst < 20_000 || chunks < 50 {
		t.Fatalf("room for %d writes in %d chunks is kept after the first", burst, chunks)
	}
	for range 5 {
		use(20_000)
	}
	if cap(b.ops) != burst || len(b.arena.chunks) != chunks {
		t.Fatal("the room for a steady load is not kept")
	}
	for range 60 {
		use(10)
	}
	if cap(b.ops) > 200 || len(b.arena.chunks) > 2 {
		t.Fatalf("after the burst there is still room for %d writes, in %d chunks", cap(b.ops), len(b.arena.chunks))
	}
	use(20_000)
	b.shrink()
	if cap(b.ops) > 64 || len(b.arena.chunks) > 1 || b.bytes != 0 {
		t.Fatalf("after shrinking there is room for %d writes, in %d chunks", cap(b.ops), len(b.arena.chunks))
	}
}
