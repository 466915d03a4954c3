package auth

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/store"
	"parley/store/memory"
)

var (
	home  = netip.MustParseAddr("192.0.2.1")
	away  = netip.MustParseAddr("198.51.100.7")
	home6 = netip.MustParseAddr("2001:db8:1:2::1")
)

func openLockout(t testing.TB, st *store.Store, o LockoutOptions) *Lockout {
	t.Helper()
	l, err := OpenLockout(t.Context(), st, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// inBubble runs a test with a store in a bubble of time.
func inBubble(t *testing.T, f func(t *testing.T, e *memory.Engine, st *store.Store, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		e := memory.New()
		st, stop := openStore(t, e)
		f(t, e, st, stop)
		stop()
	})
}

// try makes an attempt with a right or wrong password and returns what came of it.
func try(t testing.TB, l *Lockout, name string, addr netip.Addr, right bool) (left int, locked *Locked) {
	t.Helper()
	a, err := l.Try(t.Context(), name, addr)
	if errors.As(err, &locked) {
		if l.Check(name, addr) == nil {
			t.Error("Check lets in whom Try does not")
		}
		return 0, locked
	}
	if err != nil {
		t.Fatal(err)
	}
	if right {
		a.Succeed()
		return 3, nil
	}
	return a.Fail()
}

func TestLockout(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memory.Engine, st *store.Store, _ func()) {
		l := openLockout(t, st, LockoutOptions{Duration: time.Minute})
		for _, name := range []string{"alice", "nobody"} {
			for _, want := range []int{2, 1} {
				if left, locked := try(t, l, name, home, false); left != want || locked != nil {
					t.Fatalf("%s: %d left, %v, want %d", name, left, locked, want)
				}
			}
			if left, locked := try(t, l, name, home, false); left != 0 || locked == nil || locked.Remaining != time.Minute {
				t.Fatalf("%s: the third: %d, %v", name, left, locked)
			}
			time.Sleep(20500 * time.Millisecond)
			// Even with the right password.
			if _, locked := try(t, l, name, home, true); locked == nil || locked.Remaining != 39500*time.Millisecond || locked.Seconds() != 40 {
				t.Fatalf("%s: while blocked: %v", name, locked)
			}
			// Everybody else gets in.
			if _, locked := try(t, l, "bob", home, true); locked != nil {
				t.Errorf("another account: %v", locked)
			}
			if _, locked := try(t, l, name, away, true); locked != nil {
				t.Errorf("another network: %v", locked)
			}
			time.Sleep(39500 * time.Millisecond)
			// Counts start at zero.
			if err := l.Check(name, home); err != nil {
				t.Errorf("after the block: %v", err)
			}
			if left, locked := try(t, l, name, home, false); left != 2 || locked != nil {
				t.Errorf("after the block: %d, %v", left, locked)
			}
		}
	})
}

func TestLockoutInARow(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memory.Engine, st *store.Store, _ func()) {
		l := openLockout(t, st, LockoutOptions{Duration: time.Minute})
		for range 5 {
			for range 2 {
				try(t, l, "alice", home, false)
				try(t, l, "alice", away, false)
				try(t, l, "alice", away, true) // resets only its own pair
				try(t, l, "bob", home, true)
			}
			if left, locked := try(t, l, "alice", home, true); left != 3 || locked != nil {
				t.Fatalf("%v", locked)
			}
		}
		// What has no verdict does not count, and an outcome counts once.
		for range 10 {
			a, err := l.Try(t.Context(), "alice", home)
			if err != nil {
				t.Fatal(err)
			}
			a.Abandon()
			a.Fail()
		}
		a, _ := l.Try(t.Context(), "alice", home)
		a.Fail()
		a.Succeed()
		a.Abandon()
		if left, _ := try(t, l, "alice", home, false); left != 1 {
			t.Errorf("%d left", left)
		}
		try(t, l, "alice", home, true)
		l.mu.Lock()
		defer l.mu.Unlock()
		if n := len(l.t.entries); n != 0 {
			t.Errorf("%d pairs without failures are remembered", n)
		}
	})
}

func TestLockoutScopes(t *testing.T) {
	mapped := netip.MustParseAddr("::ffff:192.0.2.1")
	near6, far6 := netip.MustParseAddr("2001:db8:1:2:ffff::9%eth0"), netip.MustParseAddr("2001:db8:1:3::1")
	for _, tc := range []struct {
		scope      string
		from, then netip.Addr
		locked     bool
	}{
		{"", home, home, true},
		{ScopeSource, home, mapped, true},
		{ScopeSource, home, away, false},
		{ScopeSource, home, netip.MustParseAddr("192.0.2.2"), false},
		{ScopeSource, home6, near6, true},
		{ScopeSource, home6, far6, false},
		{ScopeSource, netip.Addr{}, netip.Addr{}, true},
		{ScopeSource, netip.Addr{}, home, false},
		{ScopeAccount, home, away, true},
		{ScopeAccount, home, home6, true},
	} {
		st, stop := openStore(t, memory.New())
		l := openLockout(t, st, LockoutOptions{Duration: time.Hour, Scope: tc.scope})
		for range 3 {
			try(t, l, "alice", tc.from, false)
		}
		if _, locked := try(t, l, "alice", tc.then, true); (locked != nil) != tc.locked {
			t.Errorf("%q: from %v, then %v: %v", tc.scope, tc.from, tc.then, locked)
		}
		stop()
	}
	st, _ := openStore(t, memory.New())
	if _, err := OpenLockout(t.Context(), st, LockoutOptions{Scope: "galaxy"}); err == nil {
		t.Error("a scope that there is not")
	}
}

func TestLockoutOff(t *testing.T) {
	st, _ := openStore(t, memory.New())
	l := openLockout(t, st, LockoutOptions{})
	for range 10 {
		if left, locked := try(t, l, "alice", home, false); left != 3 || locked != nil {
			t.Fatalf("%d, %v", left, locked)
		}
	}
	if len(l.List()) != 0 {
		t.Error("blocks without a duration")
	}
}

// TestLockoutParallel: however many attempts are made at a time, three get an answer.
func TestLockoutParallel(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memory.Engine, st *store.Store, _ func()) {
		l := openLockout(t, st, LockoutOptions{Duration: time.Minute})
		var verdicts, refused atomic.Int32
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				a, err := l.Try(t.Context(), "alice", home)
				var locked *Locked
				if errors.As(err, &locked) {
					refused.Add(1)
					return
				}
				time.Sleep(time.Duration(i%7) * time.Millisecond) // the way to the client and back
				verdicts.Add(1)
				a.Fail()
			})
		}
		wg.Wait()
		if verdicts.Load() != 3 || refused.Load() != 97 {
			t.Errorf("%d verdicts, %d refused", verdicts.Load(), refused.Load())
		}
	})
}

// TestLockoutPhones: many devices that come back at the same time all get in.
func TestLockoutPhones(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memory.Engine, st *store.Store, _ func()) {
		l := openLockout(t, st, LockoutOptions{Duration: time.Minute})
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				a, err := l.Try(t.Context(), "alice", home)
				if err != nil {
					t.Errorf("a right password: %v", err)
					return
				}
				time.Sleep(10 * time.Millisecond)
				a.Succeed()
			})
		}
		wg.Wait()
	})
}

func TestLockoutWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memory.Engine, st *store.Store, _ func()) {
		l := openLockout(t, st, LockoutOptions{Duration: time.Minute, Patience: 5 * time.Second})
		var held []*Attempt
		for range 3 {
			a, err := l.Try(t.Context(), "alice", home)
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, a)
		}
		began := time.Now()
		if _, err := l.Try(t.Context(), "alice", home); !errors.Is(err, ErrBusy) || time.Since(began) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := l.Check("alice", home); err != nil {
			t.Errorf("attempts under way are no block: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := l.Try(ctx, "alice", home); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		cancel()
		if _, err := l.Try(t.Context(), "alice", away); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
		time.AfterFunc(time.Second, held[0].Abandon)
		a, err := l.Try(t.Context(), "alice", home)
		if err != nil {
			t.Fatalf("after one was given up: %v", err)
		}
		a.Succeed()
		held[1].Fail()
		if left, _ := held[2].Fail(); left != 1 {
			t.Errorf("%d left", left)
		}
	})
}

// TestLockoutClock: nobody lifts a block by setting the clock.
func TestLockoutClock(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memory.Engine, st *store.Store, _ func()) {
		var shift time.Duration
		l := openLockout(t, st, LockoutOptions{Duration: time.Minute, Now: func() time.Time { return time.Now().Add(shift) }})
		for range 3 {
			try(t, l, "alice", home, false)
		}
		for _, shift = range []time.Duration{24 * time.Hour, -24 * time.Hour} {
			if _, locked := try(t, l, "alice", home, true); locked == nil || locked.Remaining != time.Minute {
				t.Errorf("clock set by %v: %v", shift, locked)
			}
		}
		time.Sleep(time.Minute)
		if _, locked := try(t, l, "alice", home, true); locked != nil {
			t.Errorf("after the time: %v", locked)
		}
	})
}

// TestLockoutBounded: any number of names costs bounded memory, and blocks do not keep failures from being counted.
func TestLockoutBounded(t *testing.T) {
	st, _ := openStore(t, memory.New())
	l := openLockout(t, st, LockoutOptions{Duration: time.Hour, Capacity: 40})
	for i := range 100 {
		for range 3 {
			try(t, l, fmt.Sprintf("blocked%d", i), home, false)
		}
		try(t, l, fmt.Sprintf("failed%d", i), home, false)
	}
	if n := len(l.t.entries); n != 40 {
		t.Errorf("%d pairs", n)
	}
	if n := len(l.List()); n != 20 {
		t.Errorf("%d blocks", n)
	}
	if n := keptBlocks(t, st); n > 21 {
		t.Errorf("%d blocks are kept", n)
	}
	for range 2 {
		try(t, l, "alice", home, false)
	}
	if _, locked := try(t, l, "alice", home, false); locked == nil {
		t.Error("failures are not counted any more")
	}
}

func TestLockoutMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("120,000 names")
	}
	st, _ := openStore(t, memory.New())
	before := heap()
	l := openLockout(t, st, LockoutOptions{Duration: time.Hour})
	for i := range 120_000 {
		try(t, l, fmt.Sprintf("somebody-with-a-long-name-%d", i), home, false)
	}
	used := heap() - before
	if len(l.t.entries) != 50_000 || used > 15<<20 {
		t.Errorf("%d pairs, %d KiB", len(l.t.entries), used>>10)
	}
	runtime.KeepAlive(l)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkTry(b *testing.B) {
	st, _ := openStore(b, memory.New())
	l := openLockout(b, st, LockoutOptions{Duration: time.Hour})
	b.ReportAllocs()
	for b.Loop() {
		a, err := l.Try(b.Context(), "alice", home)
		if err != nil {
			b.Fatal(err)
		}
		a.Succeed()
	}
}

// TestSetDuration: a new duration counts for blocks that begin from now on, and 0 lifts those that there are.
func TestSetDuration(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *memory.Engine, st *store.Store, _ func()) {
		l := openLockout(t, st, LockoutOptions{Duration: time.Minute})
		block := func(name string, want time.Duration) {
			t.Helper()
			for range 2 {
				try(t, l, name, home, false)
			}
			if _, locked := try(t, l, name, home, false); locked == nil || locked.Remaining != want {
				t.Errorf("%s is blocked: %v, want %v", name, locked, want)
			}
		}
		block("alice", time.Minute)
		l.SetDuration(time.Hour)
		block("bob", time.Hour)
		time.Sleep(2 * time.Minute)
		if l.Check("alice", home) != nil || l.Check("bob", home) == nil {
			t.Error("the block of before does not end when it was to end, or the new one does")
		}
		l.SetDuration(0)
		if _, locked := try(t, l, "bob", home, true); locked != nil {
			t.Error("bob is still blocked")
		}
	})
}
