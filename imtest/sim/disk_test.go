package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"parley/store"
	"parley/store/memory"
)

var (
	errOff = errors.New("the machine is off")
	errIO  = errors.New("fsync: input/output error")
)

// disk is what outlives a server: what was committed to it. Its weather is what happens to servers that use it.
type disk struct {
	*memory.Engine

	mu   sync.Mutex
	full time.Time     // guarded by mu: until then there is no room
	days []time.Time   // guarded by mu: when there was none: from, until, from, until …
	slow time.Time     // guarded by mu: until then reads take their time
	hang time.Duration // guarded by mu: how long the next commit takes in addition
	fail bool          // guarded by mu: the next commit fails for good
}

// newDisk is a disk that holds what these batches left.
func newDisk(batches [][]store.Op) (*disk, error) {
	d := &disk{Engine: memory.New()}
	for _, ops := range batches {
		if err := d.Engine.Commit(ops); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *disk) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// fill leaves no room on the disk for so long.
func (d *disk) fill(long time.Duration) {
	d.set(func() {
		d.full = time.Now().Add(long)
		d.days = append(d.days, time.Now(), d.full)
	})
}

// wasFull tells whether there was no room at some time between two, or just before: the store finds room a little later.
func (d *disk) wasFull(from, until time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := 0; i < len(d.days); i += 2 {
		if d.days[i].Before(until) && d.days[i+1].Add(time.Second).After(from) {
			return true
		}
	}
	return false
}

// mount is the disk as one run of a server uses it, until the machine crashes.
type mount struct {
	*disk
	off chan struct{} // closed by crash

	mu     sync.Mutex
	r      *rand.Rand // guarded by mu
	dead   bool       // guarded by mu
	failed time.Time  // guarded by mu: when a commit failed for good
}

func (d *disk) mount(r *rand.Rand) *mount { return &mount{disk: d, r: r, off: make(chan struct{})} }

// crash takes the disk away. What was not committed is lost; of a commit under way nobody knows, and its caller is told
// nothing good.
func (m *mount) crash() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	close(m.off)
}

// pass lets time pass, at most d; it returns early with an error when the machine crashes.
func (m *mount) pass(d time.Duration) error {
	if d > 0 {
		m.mu.Lock()
		d = time.Duration(m.r.Int64N(int64(d)))
		m.mu.Unlock()
	}
	return m.exactly(d)
}

func (m *mount) exactly(d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-m.off:
		return errOff
	case <-t.C:
		return nil
	}
}

// Commit implements store.Engine, with whatever the weather brings.
func (m *mount) Commit(ops []store.Op) error {
	var hang time.Duration
	var full, fail bool
	m.set(func() {
		full = time.Now().Before(m.full)
		if !full {
			hang, fail = m.hang, m.fail
			m.hang, m.disk.fail = 0, false
		}
	})
	if err := m.pass(8 * time.Millisecond); err != nil {
		return err
	}
	if full {
		return fmt.Errorf("no space left on device: %w", store.ErrFull)
	}
	if err := m.exactly(hang); err != nil {
		return err
	}
	if err := m.write(ops, fail); err != nil {
		return err
	}
	return m.pass(4 * time.Millisecond)
}

// write keeps ops, unless the machine is off. A commit that fails may have kept all of it or nothing.
func (m *mount) write(ops []store.Op, fail bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.dead:
		return errOff
	case fail && m.r.IntN(2) == 0:
		m.failed = time.Now()
		return errIO
	}
	if err := m.Engine.Commit(ops); err != nil {
		return err
	}
	if fail {
		m.failed = time.Now()
		return errIO
	}
	return nil
}

// broke tells whether a commit has failed for good, and when.
func (m *mount) broke() (time.Time, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed, !m.failed.IsZero()
}

// Range implements store.Engine. Only here reads are slow, and only forward: the others are made once for an account, under
// a lock of its own, and nobody in a bubble may wait for a mutex while time passes.
func (m *mount) Range(ctx context.Context, o store.Owner, q store.Query) ([]store.Entry, bool, error) {
	var slow bool
	m.set(func() { slow = time.Now().Before(m.slow) })
	if slow && !q.Backward {
		if err := m.pass(2 * time.Second); err != nil {
			return nil, false, err
		}
	}
	select {
	case <-m.off:
		return nil, false, errOff
	default:
	}
	return m.Engine.Range(ctx, o, q)
}

// recorder is an engine that remembers what was committed.
type recorder struct {
	*memory.Engine
	batches [][]store.Op // read after the store has closed
}

func (e *recorder) Commit(ops []store.Op) error {
	e.batches = append(e.batches, clone(ops))
	return e.Engine.Commit(ops)
}

func clone(ops []store.Op) []store.Op {
	ops = append([]store.Op(nil), ops...)
	for i := range ops {
		ops[i].Value = bytes.Clone(ops[i].Value)
		ops[i].Entry.Body = bytes.Clone(ops[i].Entry.Body)
	}
	return ops
}
