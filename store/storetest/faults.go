package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/store"
)

// testFullInjected lets commits find no room for a while.
func testFullInjected(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{Retry: 5 * time.Millisecond, MaxPending: 4000})
	f.append(1, "before")
	f.settle()
	var full atomic.Bool
	var first []store.Op
	full.Store(true)
	f.engine.Before(func(ops []store.Op) error {
		if first == nil {
			first = append(first, ops...)
		} else if len(ops) != len(first) || ops[0].Entry.ID != first[0].Entry.ID {
			t.Errorf("another batch is tried: %d writes instead of %d", len(ops), len(first))
		}
		if full.Load() {
			return fmt.Errorf("no room for %d writes: %w", len(ops), store.ErrFull)
		}
		first = nil
		return nil
	})
	var b bell
	m, _ := f.append(1, string(make([]byte, 5000))) // more than may wait: Begin must not wait for that
	f.Notify(m, &b)
	eventually(t, "the store is full", f.Full)
	for range 3 {
		c, cancel := context.WithTimeout(ctx(), 5*time.Second)
		j, err := f.Begin(c)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Log.Append(j, 1, store.Entry{Body: []byte("refused")})
		wantErr(t, err, store.ErrFull)
		wantErr(t, f.KV.Set(j, 1, "k", []byte("refused")), store.ErrFull)
		wantErr(t, f.Forget(j, 1), store.ErrFull)
		wantErr(t, f.Log.Replace(j, 1, 1, nil), store.ErrFull)
		j.End()
	}
	if n := len(f.bodies(1, store.Query{})); n != 2 {
		t.Fatalf("%d entries are seen, want 2", n)
	}
	if b.n.Load() != 0 || f.Durable() >= m {
		t.Fatal("told to be durable while full")
	}
	full.Store(false)
	eventually(t, "the store has room", func() bool { return !f.Full() })
	f.await(m)
	if _, id := f.append(1, "after"); id != 3 {
		t.Fatalf("id %d after the disk was full, want 3", id)
	}
	f.settle()
	eventually(t, "the bell rings", func() bool { return b.n.Load() == 1 })
	f.reopen()
	if got := f.bodies(1, store.Query{}); len(got) != 3 || got[0] != "before" || got[2] != "after" {
		t.Fatalf("entries: %.80q", got)
	}
}

// testFullReal fills an engine under load: what was taken is all there afterwards, in order and without a gap.
func testFullReal(t *testing.T, setup Setup) {
	if setup.Full == nil {
		t.Skip("this engine cannot be full")
	}
	f := start(t, setup, store.Options{Retry: 5 * time.Millisecond})
	f.append(1, "first")
	f.settle()
	setup.Full(t, f.inner, true)
	const workers = 4
	var wg sync.WaitGroup
	var taken [workers]int
	var refused atomic.Int64
	stop := make(chan struct{})
	for w := range workers {
		wg.Go(func() {
			for n := 0; ; {
				select {
				case <-stop:
					return
				default:
				}
				j, err := f.Begin(ctx())
				if err != nil {
					t.Errorf("begin: %v", err)
					return
				}
				id, err := f.Log.Append(j, store.Owner(10+w), store.Entry{Body: fmt.Appendf(make([]byte, 3000), "%d", n)})
				j.End()
				switch {
				case err == nil:
					if n++; id != store.ID(n) {
						t.Errorf("id %d, want %d", id, n)
						return
					}
					taken[w] = n
				case errors.Is(err, store.ErrFull):
					refused.Add(1)
					time.Sleep(time.Millisecond)
				default:
					t.Errorf("append: %v", err)
					return
				}
			}
		})
	}
	eventually(t, "messages are refused", func() bool { return refused.Load() > 20 })
	if got := f.bodies(1, store.Query{}); len(got) != 1 {
		t.Errorf("reading while full: %q", got)
	}
	setup.Full(t, f.inner, false)
	eventually(t, "the store has room", func() bool { return !f.Full() })
	time.Sleep(20 * time.Millisecond)
	close(stop)
	wg.Wait()
	f.settle()
	f.reopen()
	for w, n := range taken {
		got := f.bodies(store.Owner(10+w), store.Query{})
		if len(got) != n {
			t.Fatalf("owner %d: %d entries, %d were taken", 10+w, len(got), n)
		}
		for i, b := range got {
			if b[3000:] != fmt.Sprint(i) {
				t.Fatalf("owner %d: entry %d is %q", 10+w, i+1, b[3000:])
			}
		}
	}
}

// testFullClose closes while the disk is full: the patience of Close is the caller's.
func testFullClose(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{Retry: time.Millisecond})
	f.engine.Before(func([]store.Op) error { return store.ErrFull })
	m, _ := f.append(1, "lost")
	eventually(t, "the store is full", f.Full)
	c, cancel := context.WithTimeout(ctx(), 20*time.Millisecond)
	defer cancel()
	wantErr(t, f.Store.Close(c), context.DeadlineExceeded)
	wantErr(t, <-f.ran, store.ErrFull)
	f.closed = true
	if f.Durable() >= m || f.Err() == nil {
		t.Fatal("what was given up counts as durable")
	}
	f.open()
	equal(t, "after restart", f.bodies(1, store.Query{}), nil)
}

// testFatal breaks a commit: nothing becomes durable any more and the store says so.
func testFatal(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{MaxPending: 1000})
	f.append(1, "good")
	f.settle()
	broken := errors.New("input/output error")
	hold := make(chan struct{})
	f.engine.Before(func([]store.Op) error { <-hold; return broken })
	var b bell
	m, _ := f.append(1, string(make([]byte, 2000)))
	f.Notify(m, &b)
	waits := make(chan error, 1)
	go func() { _, err := f.Begin(ctx()); waits <- err }()
	time.Sleep(5 * time.Millisecond)
	close(hold)
	<-f.Failed()
	wantErr(t, f.Err(), broken)
	wantErr(t, <-f.ran, broken)
	f.ran <- broken
	wantErr(t, <-waits, store.ErrFailed)
	wantErr(t, f.Wait(ctx(), m), store.ErrFailed)
	_, err := f.Begin(ctx())
	wantErr(t, err, store.ErrFailed)
	f.engine.Before(nil)
	time.Sleep(10 * time.Millisecond)
	if f.Durable() >= m || b.n.Load() != 0 {
		t.Fatal("durable after a failure")
	}
	if err := f.Store.Close(ctx()); !errors.Is(err, broken) {
		t.Fatalf("close: %v", err)
	}
	f.closed = true
	f.open()
	equal(t, "after restart", f.bodies(1, store.Query{}), []string{"good"})
}

// testDamageStops reads something damaged.
func testDamageStops(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	f.append(1, "a")
	f.settle()
	f.engine.FailReads(fmt.Errorf("page 5: %w", store.ErrCorrupt))
	for _, err := range f.Log.Range(ctx(), 1, store.Query{}) {
		wantErr(t, err, store.ErrCorrupt)
	}
	<-f.Failed()
	wantErr(t, f.Err(), store.ErrCorrupt)
	wantErr(t, <-f.ran, store.ErrCorrupt)
	f.ran <- nil
}
