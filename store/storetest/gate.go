package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/store"
)

// A bell counts how often it was rung.
type bell struct{ n atomic.Int32 }

func (b *bell) Durable() { b.n.Add(1) }

func testMarks(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	if m := f.Mark(); m != 0 {
		t.Fatalf("mark %d of a store at rest", m)
	}
	release := f.block()
	m1, _ := f.append(1, "a")
	if m1 == 0 || f.Mark() < m1 {
		t.Fatalf("marks %d, then %d", m1, f.Mark())
	}
	eventually(t, "a commit has begun", func() bool { return f.Mark() > m1 })
	m2, _ := f.append(1, "b")
	if m2 <= m1 || f.Durable() >= m1 {
		t.Fatalf("marks %d, %d, durable %d", m1, m2, f.Durable())
	}
	release()
	f.await(m2)
	if f.Durable() < m2 || f.Mark() != 0 {
		t.Fatalf("durable %d, mark %d", f.Durable(), f.Mark())
	}
	// A journey's own Mark is there before it writes anything, and never sinks.
	var last store.Mark
	for range 200 {
		m := f.journey(func(j store.Journey) error {
			if !j.Valid() || j.Mark() == 0 {
				return errors.New("a journey without mark")
			}
			return f.KV.Set(j, 1, "k", []byte("v"))
		})
		if now := f.Mark(); m < last || now != 0 && now < m {
			t.Fatalf("marks %d, %d, then %d", last, m, now)
		}
		last = m
	}
	store.Journey{}.End()
	if (store.Journey{}).Valid() || (store.Journey{}).Mark() != 0 {
		t.Fatal("the zero journey is one")
	}
}

// testNotes wakes those who wait for a batch without rows, and touches no disk for it.
func testNotes(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	f.settle()
	f.engine.Before(func(ops []store.Op) error { return fmt.Errorf("%d rows were committed", len(ops)) })
	var b bell
	j, err := f.Begin(ctx())
	if err != nil {
		t.Fatal(err)
	}
	m := j.Mark()
	if !f.Notify(m, &b) {
		t.Fatal("a live journey's mark is durable")
	}
	time.Sleep(5 * time.Millisecond)
	if b.n.Load() != 0 {
		t.Fatal("woken before the journey's end")
	}
	j.End()
	eventually(t, "the bell rings", func() bool { return b.n.Load() == 1 })
	if f.Notify(m, &b) || f.Notify(0, &b) || f.Durable() < m {
		t.Fatal("not durable after the bell")
	}
	f.await(m)
	if f.Err() != nil {
		t.Fatal(f.Err())
	}
}

// testHeld looks from the waker's side: it never rings before the commit is over, always once.
func testHeld(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	var committed sync.Map // body → true once its commit is over
	var over atomic.Int64
	f.engine.Before(func(ops []store.Op) error {
		bodies := make([]string, 0, len(ops))
		for _, op := range ops {
			bodies = append(bodies, string(op.Entry.Body))
		}
		time.Sleep(time.Duration(rand.IntN(500)) * time.Microsecond)
		for _, b := range bodies {
			committed.Store(b, true)
		}
		return nil
	})
	var wg sync.WaitGroup
	const workers, each = 16, 60
	for w := range workers {
		wg.Go(func() {
			for n := range each {
				body := fmt.Sprint(w, "/", n)
				m, _ := f.append(store.Owner(w%5), body)
				ring := make(ringer, 1)
				ring <- func() {
					if _, ok := committed.Load(body); !ok {
						t.Errorf("%s was shown before it was committed", body)
					}
					over.Add(1)
				}
				if !f.Notify(m, ring) {
					ring.Durable()
				}
			}
		})
	}
	wg.Wait()
	f.settle()
	eventually(t, "all are told", func() bool { return over.Load() == workers*each })
}

// A ringer calls the function in it once; a second call would block for ever.
type ringer chan func()

func (r ringer) Durable() { (<-r)() }

func testUnheld(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{Unheld: true})
	release := f.block()
	defer release()
	m, _ := f.append(1, "a")
	if m != 0 || f.Mark() != 0 || f.Notify(5, new(bell)) {
		t.Fatal("something is held back")
	}
}

// testWhole hammers the committer and looks at every batch: a journey is in one, and an owner's ids go up without gaps.
func testWhole(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	const owners = 6
	var next [owners + 1]store.ID
	whole := make(map[string]int) // journeys seen; the value is the batch
	batch, torn := 0, ""
	f.engine.Before(func(ops []store.Op) error {
		batch++
		rows := make(map[string]int)
		for _, op := range ops {
			if op.Kind != store.OpAppend {
				continue
			}
			o := op.Owner
			if next[o]++; op.Entry.ID != next[o] {
				torn = fmt.Sprintf("owner %d: id %d, want %d", o, op.Entry.ID, next[o])
			}
			rows[string(op.Entry.Body)]++
		}
		for name, n := range rows {
			if was, seen := whole[name]; seen || n != 3 {
				torn = fmt.Sprintf("journey %s: %d rows in batch %d, and before in %d", name, n, batch, was)
			}
			whole[name] = batch
		}
		return nil
	})
	var turn [owners + 1]sync.Mutex
	var wg sync.WaitGroup
	const workers, each = 32, 60
	for w := range workers {
		wg.Go(func() {
			for n := range each {
				name := fmt.Appendf(nil, "%d/%d", w, n)
				f.journey(func(j store.Journey) error {
					for range 3 {
						o := 1 + rand.IntN(owners)
						turn[o].Lock()
						_, err := f.Log.Append(j, store.Owner(o), store.Entry{Body: name})
						turn[o].Unlock()
						if err != nil {
							return err
						}
						if rand.IntN(4) == 0 {
							time.Sleep(time.Duration(rand.IntN(100)) * time.Microsecond)
						}
					}
					return nil
				})
			}
		})
	}
	wg.Wait()
	f.settle()
	f.close()
	if torn != "" {
		t.Fatal(torn)
	}
	if len(whole) != workers*each {
		t.Fatalf("%d journeys, want %d", len(whole), workers*each)
	}
}

func testPressure(t *testing.T, setup Setup) {
	const limit, workers, body = 256 << 10, 20, 2000
	f := start(t, setup, store.Options{MaxPending: limit})
	release := f.block()
	var bytes, done atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range 50 {
				f.append(store.Owner(w), string(make([]byte, body)))
				bytes.Add(body)
				done.Add(1)
			}
		})
	}
	var was int64 = -1
	eventually(t, "everybody waits", func() bool {
		time.Sleep(30 * time.Millisecond)
		now := bytes.Load()
		same := now == was && now > 0
		was = now
		return same
	})
	if n := bytes.Load(); n > limit+workers*(body+1000) {
		t.Fatalf("%d bytes were taken, %d are allowed", n, limit)
	}
	if done.Load() == workers*50 {
		t.Fatal("nobody waited")
	}
	equal(t, "reads while others wait", f.bodies(99, store.Query{}), nil)
	release()
	wg.Wait()
	f.settle()
	for w := range workers {
		if n := len(f.bodies(store.Owner(w), store.Query{})); n != 50 {
			t.Fatalf("owner %d has %d entries", w, n)
		}
	}
}

func testPressureCancelled(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{MaxPending: 1000})
	release := f.block()
	f.append(1, string(make([]byte, 2000)))
	c, cancel := context.WithTimeout(ctx(), 20*time.Millisecond)
	defer cancel()
	_, err := f.Begin(c)
	wantErr(t, err, context.DeadlineExceeded)
	got := make(chan error, 1)
	go func() {
		j, err := f.Begin(ctx())
		j.End()
		got <- err
	}()
	time.Sleep(10 * time.Millisecond)
	m := f.Mark()
	closed := make(chan struct{})
	go func() { f.close(); close(closed) }() // also wakes those who wait for room
	wantErr(t, <-got, store.ErrClosed)
	release()
	<-closed
	f.await(m)
}

func testClose(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	j, err := f.Begin(ctx())
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() { f.close(); close(closed) }()
	eventually(t, "no journey begins", func() bool {
		// A Begin that comes before the close must end at once, or it would hold the committer back.
		c, cancel := context.WithTimeout(ctx(), time.Millisecond)
		defer cancel()
		done := make(chan error, 1)
		go func() { k, err := f.Begin(c); k.End(); done <- err }()
		select {
		case err := <-done:
			return errors.Is(err, store.ErrClosed)
		case <-time.After(time.Second):
			return false
		}
	})
	select {
	case <-closed:
		t.Fatal("closed under a live journey")
	case <-time.After(20 * time.Millisecond):
	}
	if _, err := f.Log.Append(j, 1, store.Entry{Body: []byte("late")}); err != nil {
		t.Fatal(err)
	}
	m := j.Mark()
	j.End()
	<-closed
	f.await(m)
	if err := f.Store.Close(ctx()); err != nil {
		t.Fatalf("second close: %v", err)
	}
	f.open()
	equal(t, "after restart", f.bodies(1, store.Query{}), []string{"late"})
	f.close()

	// Without Run, Close itself commits.
	s := store.New(setup.Open(t, f.dir), store.Options{})
	if j, err = s.Begin(ctx()); err != nil {
		t.Fatal(err)
	}
	if err := s.KV.Set(j, 1, "k", []byte("v")); err != nil {
		t.Fatal(err)
	}
	j.End()
	if err := s.Close(ctx()); err != nil {
		t.Fatal(err)
	}
	f.open()
	equal(t, "without Run", f.pairs(f.KV.All(ctx(), 1, "")), []string{"1/k=v"})
}

func testRunContext(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	m, _ := f.append(1, "a")
	f.cancel()
	if err := <-f.ran; err != nil {
		t.Fatalf("run: %v", err)
	}
	f.ran <- nil // for close
	f.await(m)
	_, err := f.Begin(ctx())
	wantErr(t, err, store.ErrClosed)
	if err := f.Run(ctx()); err == nil {
		t.Fatal("ran twice")
	}
}
