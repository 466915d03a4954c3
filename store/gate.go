package store

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the settings of a Store; the zero value is what a server wants.
type Options struct {
	MaxPending int64         // bytes that may wait for the disk before Begin waits; 0 is 4 MiB
	Retry      time.Duration // pause before a batch that found the disk full is tried again; 0 is 200 ms
	Idle       time.Duration // how long nothing must be written before idle housekeeping; 0 is 10 s
	Logger     *slog.Logger  // nil discards

	// Unheld makes every Mark 0, so that nothing waits for the disk and the promise is broken. It exists for the test
	// that proves that the crash tests can fail. Nothing but tests may set it.
	Unheld bool
}

// Store is the gate in front of an Engine. Its methods may be called by any goroutine.
type Store struct {
	Log *Log
	KV  *KV

	// fixed
	engine Engine
	opts   Options
	log    *slog.Logger
	wire   wire

	// The gate. Journeys hold it for reading; the committer takes it for writing only to swap the batch or to change
	// full, with no other lock held. Not sharded, on purpose: one RWMutex lets a waiting writer stop newcomers, so that a
	// preempted holder is scheduled soon; with shards the writer starves under load.
	gate sync.RWMutex

	durable atomic.Uint64 // Mark; written under mu
	dirty   atomic.Bool   // cur holds something
	slow    atomic.Bool   // Begin must look closer: no room, closed or failed; written under mu
	kick    chan struct{} // wakes the committer; holds one
	failed  chan struct{} // closed by fail
	closing chan struct{} // closed by Close
	give    chan struct{} // closed when Close waits no longer
	done    chan struct{} // closed when Run has ended

	mu sync.Mutex
	// guarded by mu; cur and full change only while the gate is held for writing too
	cur      *batch
	flushing *batch // being committed, or nil
	spare    *batch // for the next swap, or nil
	full     bool
	room     chan struct{} // closed when there may be room; nil while nobody waits
	heads    map[Owner]*head
	free     []*pend
	started  bool
	closed   bool // no journey begins any more
	err      error
}

// New returns a Store over e, which belongs to it from now on. It starts nothing; Run does the commits. At the first
// start it makes the key of the ids on the wire, durably. An engine that cannot even do that makes a store that has
// failed.
func New(e Engine, o Options) *Store {
	if o.MaxPending <= 0 {
		o.MaxPending = 4 << 20
	}
	if o.Retry <= 0 {
		o.Retry = 200 * time.Millisecond
	}
	if o.Idle <= 0 {
		o.Idle = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		engine: e, opts: o, log: o.Logger,
		kick: make(chan struct{}, 1), failed: make(chan struct{}), closing: make(chan struct{}),
		give: make(chan struct{}), done: make(chan struct{}),
		cur: &batch{mark: 1}, spare: &batch{slot: 1},
		heads: make(map[Owner]*head),
	}
	s.Log, s.KV = &Log{s: s}, &KV{s}
	var err error
	if s.wire, err = loadWire(e); err != nil {
		s.fail(err)
	}
	return s
}

// Journey is the right to write, from Begin to End. It is a small value to be passed down; the zero value is no journey.
type Journey struct {
	s    *Store
	mark Mark
}

// Valid reports whether j is a journey and not the zero value.
func (j Journey) Valid() bool { return j.s != nil }

// Mark returns the number of the batch that everything written in this journey belongs to.
func (j Journey) Mark() Mark { return j.mark }

// End ends the journey; it must be called exactly once. For the zero value it does nothing.
func (j Journey) End() {
	if j.s == nil {
		return
	}
	j.s.gate.RUnlock()
	if j.s.dirty.Load() {
		j.s.wake()
	}
}

// Begin starts a journey. It waits while more than MaxPending bytes wait for the disk, holding nothing, but not while
// the disk is full: then the writes are refused with ErrFull. Further errors are ErrFailed, ErrClosed and ctx's.
// Whoever holds a journey must not begin another one.
func (s *Store) Begin(ctx context.Context) (Journey, error) { return s.begin(ctx, s.opts.MaxPending) }

// BeginSmall is Begin for what others should hear of although the disk does not keep up, and what writes next to nothing:
// presence. It waits only when a quarter more than MaxPending waits.
func (s *Store) BeginSmall(ctx context.Context) (Journey, error) {
	return s.begin(ctx, s.opts.MaxPending/4*5)
}

func (s *Store) begin(ctx context.Context, limit int64) (Journey, error) {
	for {
		if s.slow.Load() {
			if err := s.waitRoom(ctx, limit); err != nil {
				return Journey{}, fmt.Errorf("store: begin: %w", err)
			}
		}
		s.gate.RLock()
		// A close that was not seen above is seen here, or else waits for the gate until this journey ends.
		if s.slow.Load() && s.refusal() != nil {
			s.gate.RUnlock()
			continue
		}
		if s.opts.Unheld {
			return Journey{s: s}, nil
		}
		return Journey{s: s, mark: s.cur.mark}, nil
	}
}

// refusal returns why no journey may begin now or ever after, nil if one may.
func (s *Store) refusal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused()
}

// refused is refusal for callers that hold mu.
func (s *Store) refused() error {
	switch {
	case s.err != nil:
		return ErrFailed
	case s.closed:
		return ErrClosed
	}
	return nil
}

// waitRoom returns when there is room for a new journey: less than limit bytes wait.
func (s *Store) waitRoom(ctx context.Context, limit int64) error {
	for {
		s.mu.Lock()
		err := s.refused()
		if err != nil || !s.crowded(limit) {
			s.mu.Unlock()
			return err
		}
		if s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// crowded reports whether new journeys must wait since limit bytes do; the caller holds mu.
func (s *Store) crowded(limit int64) bool {
	n := s.cur.bytes
	if s.flushing != nil {
		n += s.flushing.bytes
	}
	return n >= limit && !s.full
}

// settle brings slow up to date and wakes those who wait for room; the caller holds mu and has changed what they
// depend on.
func (s *Store) settle() {
	crowded := s.crowded(s.opts.MaxPending)
	s.slow.Store(crowded || s.closed || s.err != nil)
	if s.room != nil && (!crowded || s.refused() != nil) {
		close(s.room)
		s.room = nil
	}
}

// Mark returns what an answer made now rests on: 0 when everything written so far is durable, else the number of the
// current batch. Marks asked for one after the other never decrease, 0 apart.
func (s *Store) Mark() Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.Unheld || s.flushing == nil && s.cur.empty() {
		return 0
	}
	return s.cur.mark
}

// Durable returns the number of the last batch that survives a power cut; all lower ones do, too.
func (s *Store) Durable() Mark { return Mark(s.durable.Load()) }

// Notify asks for w.Durable() to be called once when m is durable, and returns true; or returns false if it is already.
// A batch that holds nothing but such requests advances without touching the disk. Whoever asks several times is told
// several times: an outbox should ask once for each Mark. After a failure nobody is told.
func (s *Store) Notify(m Mark, w Waker) bool {
	s.mu.Lock()
	if m <= s.Durable() || s.opts.Unheld {
		s.mu.Unlock()
		return false
	}
	if s.flushing != nil && m <= s.flushing.mark {
		s.flushing.notes = append(s.flushing.notes, w)
		s.mu.Unlock()
		return true
	}
	s.cur.notes = append(s.cur.notes, w)
	s.dirty.Store(true)
	s.mu.Unlock()
	s.wake()
	return true
}

type waiter chan struct{}

func (w waiter) Durable() { close(w) }

// Wait returns nil when m is durable. Other errors than ctx's: ErrFailed and ErrClosed, when it will not be any more.
func (s *Store) Wait(ctx context.Context, m Mark) error {
	w := make(waiter)
	if !s.Notify(m, w) {
		return nil
	}
	err := ErrClosed
	select {
	case <-w:
		return nil
	case <-s.failed:
	case <-s.done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	switch {
	case m <= s.Durable():
		return nil
	case isClosed(s.failed):
		err = ErrFailed
	}
	return fmt.Errorf("store: wait for the disk: %w", err)
}

// Full reports whether writes are refused at the moment with ErrFull.
func (s *Store) Full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.full
}

// Failed is closed when the store broke: an fsync went wrong or the database is damaged. Nothing becomes durable any
// more, and the process must stop; what was acknowledged is safe.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Err returns why the store broke, nil as long as it did not.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *Store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return
	}
	s.err = err
	s.settle()
	close(s.failed)
	s.log.Error("the store has failed; nothing can be stored any more", "err", err)
}

func (s *Store) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// Slow reports whether Begin may have to wait.
func (s *Store) Slow() bool { return s.slow.Load() }
