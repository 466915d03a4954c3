//go:build !race

package im_test

import "testing"

// The race detector has pools forget at random, which these tests would see.

// TestPathAllocates: a message costs its stanza; nothing is allocated for the way.
func TestPathAllocates(t *testing.T) {
	_, alice := chatting(t)
	el := element(t, chat)
	if n := testing.AllocsPerRun(1000, func() {
		if err := alice.Receive(t.Context(), el); err != nil {
			t.Fatal(err)
		}
		alice.Flush()
	}); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// TestFanOutAllocates: what goes to many costs no more memory for each of them than its place in a list.
func TestFanOutAllocates(t *testing.T) {
	for name, send := range spread(t, 300) {
		if n := testing.AllocsPerRun(100, send); n > 100 {
			t.Errorf("%s: %v allocations for 300 people", name, n)
		}
	}
}
