package auth

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"parley/store"
	"parley/store/memory"
)

func TestLockoutSurvivesRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, e *memory.Engine, st *store.Store, stop func()) {
		l := openLockout(t, st, LockoutOptions{Duration: time.Hour})
		for _, name := range []string{"alice", "bob"} {
			for range 3 {
				try(t, l, name, home, false)
				try(t, l, name, home6, false)
			}
		}
		for range 2 {
			try(t, l, "carol", home, false)
		}
		stop()
		time.Sleep(20 * time.Minute)

		st, stop = openStore(t, e)
		l = openLockout(t, st, LockoutOptions{Duration: time.Hour})
		if _, locked := try(t, l, "alice", home, true); locked == nil || locked.Remaining != 40*time.Minute {
			t.Errorf("after a restart: %v", locked)
		}
		if n := len(l.List()); n != 4 {
			t.Errorf("%d blocks", n)
		}
		stop()

		// A clock that was set back does not make it longer than it was; a shorter duration does count.
		for _, tc := range []struct {
			duration, shift, want time.Duration
			scope                 string
		}{
			{time.Hour, -48 * time.Hour, time.Hour, ""},
			{30 * time.Minute, 0, 30 * time.Minute, ""},
			{2 * time.Hour, 0, 40 * time.Minute, ""},
			{time.Hour, time.Hour, 0, ""},
			{0, 0, 0, ""},
			{time.Hour, 0, 0, ScopeAccount}, // means something else
		} {
			st, stop = openStore(t, e)
			l = openLockout(t, st, LockoutOptions{Duration: tc.duration, Scope: tc.scope, Now: func() time.Time { return time.Now().Add(tc.shift) }})
			var got time.Duration
			if _, locked := try(t, l, "alice", home, true); locked != nil {
				got = locked.Remaining
			}
			if got != tc.want {
				t.Errorf("%+v: %v", tc, got)
			}
			stop()
		}

		// What has ended is erased together with the next block.
		time.Sleep(time.Hour)
		st, stop = openStore(t, e)
		l = openLockout(t, st, LockoutOptions{Duration: time.Minute})
		for range 3 {
			try(t, l, "dave", home, false)
		}
		if n := keptBlocks(t, st); n != 1 {
			t.Errorf("%d blocks are kept", n)
		}
		time.Sleep(time.Hour)
		for range 3 {
			try(t, l, "dave", home, false)
		}
		for range 3 {
			try(t, l, "erin", home, false)
		}
		if n := keptBlocks(t, st); n != 2 {
			t.Errorf("%d blocks are kept", n)
		}
		stop()
	})
}

func keptBlocks(t *testing.T, st *store.Store) (n int) {
	t.Helper()
	for _, err := range st.KV.All(t.Context(), 0, prefixLockout) {
		if err != nil {
			t.Error(err)
		}
		n++
	}
	return n
}

// TestLockoutDurable: who hears of a block can rely on it.
func TestLockoutDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &slowEngine{Engine: memory.New(), let: make(chan struct{}, 10)}
		e.let <- struct{}{}
		st, stop := openStore(t, e)
		l := openLockout(t, st, LockoutOptions{Duration: time.Minute})
		e.let <- struct{}{}
		synctest.Wait()
		for len(e.let) > 0 {
			<-e.let
		}
		try(t, l, "alice", home, false)
		try(t, l, "alice", home, false)
		a, err := l.Try(t.Context(), "alice", home)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan *Locked, 1)
		go func() {
			_, locked := a.Fail()
			done <- locked
		}()
		synctest.Wait()
		if len(done) != 0 {
			t.Error("told before it is durable")
		}
		if l.Check("alice", home) == nil {
			t.Error("not blocked while it becomes durable")
		}
		close(e.let)
		if locked := <-done; locked == nil {
			t.Error("not locked")
		}
		stop()
	})
}

func TestUnblock(t *testing.T) {
	inBubble(t, func(t *testing.T, e *memory.Engine, st *store.Store, stop func()) {
		l := openLockout(t, st, LockoutOptions{Duration: time.Hour})
		for range 3 {
			try(t, l, "bob", home, false)
			try(t, l, "alice", home, false)
			try(t, l, "alice", home6, false)
		}
		list := l.List()
		want := []Block{{"alice", netip.MustParsePrefix("192.0.2.1/32"), time.Now().Add(time.Hour).UTC()},
			{"alice", netip.MustParsePrefix("2001:db8:1:2::/64"), time.Now().Add(time.Hour).UTC()},
			{"bob", netip.MustParsePrefix("192.0.2.1/32"), time.Now().Add(time.Hour).UTC()}}
		if len(list) != 3 || list[0] != want[0] || list[1] != want[1] || list[2] != want[2] {
			t.Errorf("%v, want %v", list, want)
		}
		if n, err := l.Unblock(t.Context(), "ALICE"); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := l.Unblock(t.Context(), "carol"); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if left, locked := try(t, l, "alice", home, false); left != 2 || locked != nil {
			t.Errorf("%d, %v", left, locked)
		}
		stop()
		st, stop = openStore(t, e)
		l = openLockout(t, st, LockoutOptions{Duration: time.Hour})
		if list := l.List(); len(list) != 1 || list[0].Name != "bob" {
			t.Errorf("after a restart %v", list)
		}
		stop()
	})
}
