package adhoc_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestBounds(t *testing.T) {
	h := hall(t)
	alice, bob := h.Join("alice", "tui"), h.Join("bob", "tui")
	other := run(bob, "ask", "", "", "").Attr("sessionid")
	var ids []string
	for range 17 {
		ids = append(ids, run(alice, "ask", "", "", "").Attr("sessionid"))
	}
	if run(alice, "ask", "complete", ids[0], "x") != nil {
		t.Error("the seventeenth did not push out the first")
	}
	for _, id := range ids[1:] {
		if run(alice, "ask", "complete", id, "x") == nil {
			t.Error("one of sixteen is gone")
		}
	}
	if run(bob, "ask", "complete", other, "x") == nil {
		t.Error("alice pushed out bob's")
	}
}

// TestFlat: beginning again and again costs no memory (C25).
func TestFlat(t *testing.T) {
	h := hall(t)
	alice := h.Join("alice", "tui")
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for range 100 {
		run(alice, "ask", "", "", "")
	}
	before := heap()
	for range 5000 {
		run(alice, "ask", "", "", "")
	}
	if after := heap(); after > before+512<<10 {
		t.Errorf("%d bytes before, %d after", before, after)
	}
}

func TestLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice := hall(t).Join("alice", "tui")
		first := run(alice, "ask", "", "", "").Attr("sessionid")
		time.Sleep(5 * time.Minute)
		second := run(alice, "ask", "", "", "").Attr("sessionid")
		time.Sleep(5*time.Minute + time.Second)
		if run(alice, "ask", "complete", first, "x") != nil {
			t.Error("eleven minutes old")
		}
		if run(alice, "ask", "complete", second, "x") == nil {
			t.Error("five minutes old")
		}
	})
}
