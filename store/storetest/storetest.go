// Package storetest holds the one suite of tests that every store.Engine passes, and what else tests of the store
// share. Only tests import it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"parley/store"
)

// Setup says how the suite gets at an engine.
type Setup struct {
	// Open opens the engine kept in dir; after Close, opening it again finds what was committed.
	Open func(t testing.TB, dir string) store.Engine
	// Full makes the engine run out of room, or gives it room again; nil if it cannot.
	Full func(t testing.TB, e store.Engine, full bool)
}

// Run runs the suite.
func Run(t *testing.T, s Setup) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Setup)
	}{
		{"Range", testRange},
		{"Model", testModel},
		{"Bounds", testBounds},
		{"Trim", testTrim},
		{"Replace", testReplace},
		{"Times", testTimes},
		{"LargeBodies", testLargeBodies},
		{"TrimDuringRead", testTrimDuringRead},
		{"KV", testKV},
		{"KVPages", testKVPages},
		{"Forget", testForget},
		{"Marks", testMarks},
		{"Notes", testNotes},
		{"Held", testHeld},
		{"Unheld", testUnheld},
		{"Whole", testWhole},
		{"Pressure", testPressure},
		{"PressureCancelled", testPressureCancelled},
		{"FullInjected", testFullInjected},
		{"FullReal", testFullReal},
		{"FullClose", testFullClose},
		{"Fatal", testFatal},
		{"DamageStops", testDamageStops},
		{"Close", testClose},
		{"RunContext", testRunContext},
		{"WireID", testWireID},
		{"Readers", testReaders},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, s) })
	}
}

// RunFull runs only the test that fills the engine.
func RunFull(t *testing.T, s Setup) { testFullReal(t, s) }

// Faulty is an Engine that calls a hook before each Commit: to fail it, to delay it, to look at it. A nil hook does
// nothing.
type Faulty struct {
	store.Engine

	mu sync.Mutex
	// guarded by mu
	before func(ops []store.Op) error
	read   error
}

// NewFaulty wraps e.
func NewFaulty(e store.Engine) *Faulty { return &Faulty{Engine: e} }

// Before sets the hook; an error from it is what Commit returns, without committing.
func (f *Faulty) Before(hook func(ops []store.Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before = hook
}

// FailReads makes Range return err, until it is nil again.
func (f *Faulty) FailReads(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read = err
}

// Commit implements store.Engine.
func (f *Faulty) Commit(ops []store.Op) error {
	f.mu.Lock()
	hook := f.before
	f.mu.Unlock()
	if hook != nil {
		if err := hook(ops); err != nil {
			return err
		}
	}
	return f.Engine.Commit(ops)
}

// Range implements store.Engine.
func (f *Faulty) Range(ctx context.Context, o store.Owner, q store.Query) ([]store.Entry, bool, error) {
	f.mu.Lock()
	err := f.read
	f.mu.Unlock()
	if err != nil {
		return nil, false, err
	}
	return f.Engine.Range(ctx, o, q)
}

// A fixture is a running store over a Faulty engine.
type fixture struct {
	*store.Store
	t      testing.TB
	setup  Setup
	opts   store.Options
	dir    string
	engine *Faulty
	inner  store.Engine
	ran    chan error
	cancel context.CancelFunc
	closed bool
}

// start opens a store and runs it until the test ends.
func start(t testing.TB, setup Setup, opts store.Options) *fixture {
	f := &fixture{t: t, setup: setup, opts: opts, dir: t.TempDir()}
	f.open()
	t.Cleanup(f.close)
	return f
}

func (f *fixture) open() {
	f.inner = f.setup.Open(f.t, f.dir)
	f.engine = NewFaulty(f.inner)
	f.Store = store.New(f.engine, f.opts)
	f.ran = make(chan error, 1)
	f.closed = false
	var ctx context.Context
	ctx, f.cancel = context.WithCancel(context.Background())
	go func(s *store.Store, ran chan error) { ran <- s.Run(ctx) }(f.Store, f.ran)
}

// close ends the store, whatever state it is in.
func (f *fixture) close() {
	if f.closed {
		return
	}
	f.closed = true
	f.engine.Before(nil)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := f.Store.Close(ctx); err != nil && f.Err() == nil {
		f.t.Errorf("close: %v", err)
	}
	if err := <-f.ran; err != nil && f.Err() == nil {
		f.t.Errorf("run: %v", err)
	}
	f.cancel()
}

// reopen closes the store and opens it again.
func (f *fixture) reopen() {
	f.t.Helper()
	f.close()
	f.open()
}

// block makes commits wait until the returned function is called.
func (f *fixture) block() (release func()) {
	gate := make(chan struct{})
	f.engine.Before(func([]store.Op) error { <-gate; return nil })
	var once sync.Once
	release = func() { once.Do(func() { f.engine.Before(nil); close(gate) }) }
	f.t.Cleanup(release)
	return release
}

// journey runs do in a journey and returns its Mark.
func (f *fixture) journey(do func(j store.Journey) error) store.Mark {
	f.t.Helper()
	j, err := f.Begin(ctx())
	if err != nil {
		f.t.Fatalf("begin: %v", err)
	}
	defer j.End()
	if err := do(j); err != nil {
		f.t.Fatalf("journey: %v", err)
	}
	return j.Mark()
}

// append adds entries with these bodies and returns the Mark of the journey and the last id.
func (f *fixture) append(o store.Owner, bodies ...string) (store.Mark, store.ID) {
	f.t.Helper()
	var id store.ID
	m := f.journey(func(j store.Journey) (err error) {
		for _, b := range bodies {
			if id, err = f.Log.Append(j, o, store.Entry{Peer: "peer@example.org", Body: []byte(b)}); err != nil {
				return err
			}
		}
		return nil
	})
	return m, id
}

func (f *fixture) set(o store.Owner, key, value string) store.Mark {
	f.t.Helper()
	return f.journey(func(j store.Journey) error { return f.KV.Set(j, o, key, []byte(value)) })
}

// settle waits until everything is durable.
func (f *fixture) settle() {
	f.t.Helper()
	f.await(f.Mark())
}

func (f *fixture) await(m store.Mark) {
	f.t.Helper()
	c, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := f.Wait(c, m); err != nil {
		f.t.Fatalf("wait for %d: %v", m, err)
	}
}

// bodies returns the bodies that q selects.
func (f *fixture) bodies(o store.Owner, q store.Query) []string {
	f.t.Helper()
	var all []string
	for e, err := range f.Log.Range(ctx(), o, q) {
		if err != nil {
			f.t.Fatalf("range: %v", err)
		}
		all = append(all, string(e.Body))
	}
	return all
}

// pairs returns "owner/key=value" of what a loop over KV yields.
func (f *fixture) pairs(seq func(func(store.Pair, error) bool)) []string {
	f.t.Helper()
	var all []string
	for p, err := range seq {
		if err != nil {
			f.t.Fatalf("pairs: %v", err)
		}
		all = append(all, fmt.Sprintf("%d/%s=%s", p.Owner, p.Key, p.Value))
	}
	return all
}

func ctx() context.Context { return context.Background() }

// eventually waits until ok.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func equal[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d: %v, want %d: %v", what, len(got), got, len(want), want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("%s: at %d got %v, want %v", what, i, got, want)
		}
	}
}
