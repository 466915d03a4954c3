package im

import (
	"math/rand/v2"
	"testing"
)

// TestRepeats compares the ring with a list that is searched from its end.
func TestRepeats(t *testing.T) {
	type sent struct {
		key uint64
		at  uint32
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		keys := uint64(1 + rng.IntN(3*sentIDs))
		var r repeats
		var list []sent // the last sentIDs
		has := func(key uint64, now uint32) bool {
			for i := len(list) - 1; i >= 0; i-- {
				if list[i].key == key {
					return now-list[i].at < sentFor
				}
			}
			return false
		}
		now := uint32(1_000_000)
		for step := range 5 * sentIDs {
			now += rng.Uint32N(100)
			key := (1 + rng.Uint64N(keys)) * (1 + seed%3*(sentChains-1)) // with some seeds, all in one chain
			got, want := r.has(key, now), has(key, now)
			if got != want {
				t.Fatalf("seed %d, step %d: known is %v", seed, step, got)
			}
			switch {
			case !got:
				r.add(key, now)
				if list = append(list, sent{key, now}); len(list) > sentIDs {
					list = list[1:]
				}
			case rng.IntN(4) == 0:
				r.remove(key)
				for i := len(list) - 1; i >= 0; i-- {
					if list[i].key == key {
						list[i].key = 0 // its place stays taken
						break
					}
				}
			}
		}
		if len(r.ring) > sentIDs || cap(r.ring) > 2*sentIDs {
			t.Fatalf("a ring of %d places in %d", len(r.ring), cap(r.ring))
		}
	}
}

// TestRepeatsWindow is the window to the message and to the second.
func TestRepeatsWindow(t *testing.T) {
	var r repeats
	r.add(1, 1000)
	if !r.has(1, 1000+sentFor-1) || r.has(1, 1000+sentFor) {
		t.Error("not a day")
	}
	if !r.has(1, 900) {
		t.Error("forgotten, because the clock was set back")
	}
	for i := range uint64(sentIDs - 1) {
		r.add(2+i, 1000)
	}
	if !r.has(1, 1000) {
		t.Error("the last but 999 is forgotten")
	}
	r.add(5000, 1000)
	if r.has(1, 1000) || !r.has(2, 1000) || !r.has(5000, 1000) {
		t.Error("not the last 1,000")
	}
}
