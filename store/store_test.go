package store_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"parley/store"
	"parley/store/memory"
	"parley/store/storetest"
)

// run runs a store over e until the test ends.
func run(t testing.TB, e store.Engine, o store.Options) *store.Store {
	s := store.New(e, o)
	done := make(chan error, 1)
	go func() { done <- s.Run(context.Background()) }()
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil && s.Err() == nil {
			t.Errorf("close: %v", err)
		}
		<-done
	})
	return s
}

func put(t testing.TB, s *store.Store, size int) store.Mark {
	j, err := s.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer j.End()
	if _, err := s.Log.Append(j, 1, store.Entry{Body: make([]byte, size)}); err != nil {
		t.Fatal(err)
	}
	return j.Mark()
}

// TestRetry looks at the clock: a full disk is tried every 200 ms, an idle committer starts at once.
func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := storetest.NewFaulty(memory.New())
		s := run(t, e, store.Options{})
		var tries []time.Duration
		begin := time.Now()
		e.Before(func([]store.Op) error {
			if tries = append(tries, time.Since(begin)); len(tries) < 4 {
				return store.ErrFull
			}
			return nil
		})
		m := put(t, s, 10)
		if err := s.Wait(context.Background(), m); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, 200 * time.Millisecond, 400 * time.Millisecond, 600 * time.Millisecond}
		if !slices.Equal(tries, want) {
			t.Fatalf("tried at %v, want %v", tries, want)
		}
	})
}

// A tender counts the housekeeping.
type tender struct {
	*memory.Engine
	busy, idle atomic.Int32
}

func (e *tender) Tend(idle bool) (bool, error) {
	if idle {
		return e.idle.Add(1)%3 != 0, nil
	}
	e.busy.Add(1)
	return false, nil
}

// TestIdle waits for the housekeeping of an idle store: all of it, once, after ten seconds.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &tender{Engine: memory.New()}
		s := run(t, e, store.Options{})
		if err := s.Wait(context.Background(), put(t, s, 10)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		if n := e.busy.Load(); n < 9 || n > 12 || e.idle.Load() != 0 { // first of all, after the commit, and every second
			t.Fatalf("housekeeping after 9 s: %d, %d times", e.busy.Load(), e.idle.Load())
		}
		time.Sleep(time.Hour)
		if e.idle.Load() != 3 {
			t.Fatalf("idle housekeeping: %d times", e.idle.Load())
		}
	})
}

// TestTendFails tells a full disk from a broken one in the housekeeping, too.
func TestTendFails(t *testing.T) {
	for _, c := range []struct {
		err   error
		stops bool
	}{{store.ErrFull, false}, {errors.New("input/output error"), true}} {
		synctest.Test(t, func(t *testing.T) {
			s := run(t, &badTender{memory.New(), c.err}, store.Options{})
			time.Sleep(time.Minute)
			if (s.Err() != nil) != c.stops || s.Full() == c.stops {
				t.Fatalf("after %v: %v, full: %v", c.err, s.Err(), s.Full())
			}
		})
	}
}

type badTender struct {
	*memory.Engine
	err error
}

func (e *badTender) Tend(bool) (bool, error) { return true, e.err }

// TestNewFails gives a store over an engine that cannot be written to.
func TestNewFails(t *testing.T) {
	broken := errors.New("input/output error")
	e := storetest.NewFaulty(memory.New())
	e.Before(func([]store.Op) error { return broken })
	s := run(t, e, store.Options{})
	<-s.Failed()
	if !errors.Is(s.Err(), broken) || s.Log.WireID(1, 1) != "" {
		t.Fatalf("%v, %q", s.Err(), s.Log.WireID(1, 1))
	}
	if _, err := s.Begin(context.Background()); !errors.Is(err, store.ErrFailed) {
		t.Fatal(err)
	}
}

// TestBurst lets much gather and looks at the heap when it is gone.
func TestBurst(t *testing.T) {
	e := storetest.NewFaulty(&forgetful{memory.New()})
	s := run(t, e, store.Options{MaxPending: 64 << 20, Idle: 10 * time.Millisecond})
	before := heap()
	gate := make(chan struct{})
	e.Before(func([]store.Op) error { <-gate; return nil })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 10_000 {
				put(t, s, 300)
			}
		})
	}
	wg.Wait()
	if n := heap() - before; n < 20<<20 {
		t.Fatalf("only %d bytes gathered", n)
	}
	close(gate)
	if err := s.Wait(context.Background(), s.Mark()); err != nil {
		t.Fatal(err)
	}
	left := heap() - before
	for end := time.Now().Add(5 * time.Second); left > 2<<20 && time.Now().Before(end); left = heap() - before {
		time.Sleep(10 * time.Millisecond)
	}
	if left > 2<<20 {
		t.Fatalf("%d bytes are left of a burst", left)
	}
}

// forgetful keeps nothing, so that the heap is the store's alone.
type forgetful struct{ *memory.Engine }

func (e *forgetful) Commit(ops []store.Op) error {
	if ops[0].Kind == store.OpAppend {
		return nil
	}
	return e.Engine.Commit(ops)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestAllocations counts what a journey without writes costs, and the Mark of an answer.
func TestAllocations(t *testing.T) {
	s := run(t, memory.New(), store.Options{})
	n := testing.AllocsPerRun(100, func() {
		j, _ := s.Begin(context.Background())
		_ = j.Mark()
		j.End()
		_ = s.Mark()
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGate(b *testing.B) {
	s := run(b, memory.New(), store.Options{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			j, _ := s.Begin(context.Background())
			j.End()
		}
	})
}

func BenchmarkWireID(b *testing.B) {
	s := run(b, memory.New(), store.Options{})
	b.ReportAllocs()
	for b.Loop() {
		s.Log.WireID(123, 456)
	}
}
