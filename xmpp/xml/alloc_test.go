//go:build !race

package xml

import "testing"

// TestLendAllocates: an element that is lent costs its text and the index of its children. The race detector has pools
// forget at random, which the test would see.
func TestLendAllocates(t *testing.T) {
	s := inStream(t, wire)
	in := []byte(chatMessage)
	n := testing.AllocsPerRun(1000, func() {
		s.Feed(in)
		if _, err := s.Lend(); err != nil {
			t.Fatal(err)
		}
	})
	if n > 2 {
		t.Errorf("%v allocations", n)
	}
}
