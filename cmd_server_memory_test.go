package main

import "testing"

func TestThrift(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name  string
		alive uint64
		each  []uint64 // allocated between looks
		want  []bool
	}{
		{"nothing happens", 4 * mib, []uint64{4 * mib, 0, 0}, []bool{false, false, false}},
		{"a rush, once", 40 * mib, []uint64{300 * mib, 100 * mib, 0, 0}, []bool{false, false, true, false}},
		{"and another", 40 * mib, []uint64{300 * mib, 0, 300 * mib, 2 * mib}, []bool{false, true, false, true}},
		{"it works all the time", 40 * mib, []uint64{30 * mib, 30 * mib, 30 * mib}, []bool{false, false, false}},
		{"it trickles", 40 * mib, []uint64{4 * mib, 4 * mib, 4 * mib, 4 * mib, 4 * mib}, []bool{false, false, false, true, false}},
		{"a small server at work", 4 * mib, []uint64{20 * mib, 2 * mib, mib}, []bool{false, false, true}},
	} {
		var h thrift
		total := uint64(0)
		for i, n := range c.each {
			total += n
			if got := h.due(total, c.alive); got != c.want[i] {
				t.Errorf("%s: look %d: %v", c.name, i, got)
			}
		}
	}
}

func TestPace(t *testing.T) {
	const mib = 1 << 20
	for alive, want := range map[uint64]int{0: 400, 3 * mib: 400, 10 * mib: 320, 16 * mib: 200, 31 * mib: 100, 400 * mib: 100} {
		if got := pace(alive); got != want {
			t.Errorf("with %d bytes alive: %d, want %d", alive, got, want)
		}
	}
}
