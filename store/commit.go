package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// lookEvery is how often the engine is asked whether there is still room, or room again, while nothing is written; and how long
// that has to last before the memory of a burst is given back.
const lookEvery = time.Second

// Run is the committer. It returns nil after Close, or with the error that stopped the store. It runs once; its caller
// owns the goroutine. ctx is for the hard stop: when it ends, no journey begins any more, what has gathered is
// committed and Run returns; it should therefore outlive all sessions.
func (s *Store) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.started {
		s.mu.Unlock()
		if !isClosed(s.closing) {
			return errors.New("store: run: it has run already")
		}
		<-s.done // Close came first and does the work
		return s.Err()
	}
	s.started = true
	s.mu.Unlock()
	defer close(s.done)
	return s.run(ctx)
}

func (s *Store) run(ctx context.Context) error {
	err := s.Err()
	if err == nil {
		err = s.loop(ctx)
	}
	if err != nil {
		s.fail(err)
	}
	return err
}

func (s *Store) loop(ctx context.Context) error {
	idle := time.NewTimer(s.opts.Idle)
	defer idle.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	more := true // the first thing is to see whether there is room
	var quiet, stop, busy bool
	for {
		if isClosed(s.failed) {
			return s.Err()
		}
		b := s.take(stop)
		switch {
		case b != nil:
			if err := s.commit(ctx, b); err != nil {
				return err
			}
			s.publish(b)
			quiet, busy = false, true
			idle.Reset(s.opts.Idle)
			fallthrough
		case more && !stop:
			var err error
			if more, err = s.tend(quiet); err != nil {
				return err
			}
			continue
		case stop:
			return nil
		}
		select {
		case <-s.kick:
		case <-idle.C:
			quiet, more = true, true
		case <-look.C:
			if !busy {
				s.shrink()
			}
			busy = false
			var err error
			if more, err = s.tend(false); err != nil {
				return err
			}
		case <-s.failed:
			return s.Err()
		case <-s.closing:
			stop = true
		case <-ctx.Done():
			s.refuseAll()
			stop = true
		}
	}
}

// take swaps the batches and returns the one that has gathered, nil if it is empty. At the last, when no journey begins
// any more, it waits for those that live; an empty batch is then as durable as it will ever be.
func (s *Store) take(last bool) *batch {
	if !last && !s.dirty.Load() {
		return nil
	}
	s.gate.Lock()
	defer s.gate.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.cur
	if b.empty() {
		if last {
			s.durable.Store(uint64(b.mark))
		}
		return nil
	}
	s.dirty.Store(false)
	s.flushing, s.cur, s.spare = b, s.spare, nil
	s.cur.mark = b.mark + 1
	return b
}

// commit writes b, again and again while the disk is full.
func (s *Store) commit(ctx context.Context, b *batch) error {
	if len(b.ops) == 0 {
		return nil
	}
	for {
		err := s.engine.Commit(b.ops)
		if err == nil {
			return nil // tend, which follows, says whether there is room for more
		}
		if !errors.Is(err, ErrFull) {
			return fmt.Errorf("store: commit: %w", err)
		}
		s.setFull(err)
		select {
		case <-time.After(s.opts.Retry):
			continue
		case <-s.give:
		case <-ctx.Done():
		}
		return fmt.Errorf("store: commit: given up, %d writes are lost: %w", len(b.ops), err)
	}
}

// setFull says whether the disk is full: err is why. Journeys see one state from begin to end, thus the gate.
func (s *Store) setFull(err error) {
	full := err != nil
	if s.full == full { // only the committer writes it
		return
	}
	if full {
		s.log.Error("the disk is full: what would have to be stored is refused, all else goes on; make room, nothing has to be restarted", "err", err)
	} else {
		s.log.Info("there is room on the disk again: messages are accepted")
	}
	s.gate.Lock()
	defer s.gate.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
	s.settle()
}

// publish makes b's Mark known and tells those who wait for it, outside all locks.
func (s *Store) publish(b *batch) {
	s.mu.Lock()
	if s.err != nil { // a read found damage in the meantime: nothing more is promised
		s.mu.Unlock()
		return
	}
	s.durable.Store(uint64(b.mark))
	for _, h := range b.heads {
		p := h.pend[b.slot]
		h.pend[b.slot] = nil
		if len(s.free) < 1024 {
			p.reset()
			s.free = append(s.free, p)
		}
	}
	s.flushing = nil
	s.settle()
	s.mu.Unlock()
	// b is out of everybody's reach now: Notify adds to it only while it is s.flushing.
	for _, w := range b.notes {
		w.Durable()
	}
	b.reset()
	s.mu.Lock()
	s.spare = b
	s.mu.Unlock()
}

// tend lets the engine do a piece of its housekeeping, and takes its word on whether there is room.
func (s *Store) tend(idle bool) (more bool, err error) {
	more, err = s.engine.Tend(idle)
	if err != nil && !errors.Is(err, ErrFull) {
		return false, fmt.Errorf("store: housekeeping: %w", err)
	}
	s.setFull(err)
	return more && err == nil, nil
}

// shrink gives back what the last burst needed.
func (s *Store) shrink() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spare.shrink()
	if s.cur.empty() {
		s.cur.shrink()
	}
	s.free = nil
}

// refuseAll lets no journey begin any more.
func (s *Store) refuseAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.settle()
}

// Close lets no journey begin any more, waits for those that live, commits what is left and closes the engine. ctx
// bounds the waiting, above all on a full disk: then the rest is given up and the error says so.
func (s *Store) Close(ctx context.Context) error {
	s.mu.Lock()
	again := s.closed && isClosed(s.closing)
	s.closed = true
	inline := !s.started
	s.started = true
	if !again {
		close(s.closing)
	}
	s.settle()
	s.mu.Unlock()
	if again {
		<-s.done
		return nil
	}
	var err error
	if inline {
		err = s.run(ctx)
		close(s.done)
	} else if err = s.awaitRun(ctx); err == nil {
		err = s.Err()
	}
	if isClosed(s.done) { // else the engine is still at work and must be left alone
		err = errors.Join(err, s.engine.Close())
	}
	if err != nil {
		return fmt.Errorf("store: close: %w", err)
	}
	return nil
}

func (s *Store) awaitRun(ctx context.Context) error {
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
	}
	close(s.give)
	select {
	case <-s.done:
		return ctx.Err()
	case <-time.After(5 * time.Second):
		return fmt.Errorf("a journey or the disk does not end: %w", ctx.Err())
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
