package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// login: everybody signs in once, so that his keys are computed, and out; then it counts how often they do so, a window of
// them at the same time. A sign-in is a connection, TLS, the proof of the password and the binding of a resource.
func (r *run) login(ctx context.Context) error {
	v := r.visitors(0, len(r.users), false)
	if err := r.each(ctx, "signing in", len(r.users), v.visit); err != nil {
		return err
	}
	coming, stop := v.start(ctx, r.cfg.Window)
	err := r.pass(coming, "warming up", r.cfg.Warmup)
	r.begin()
	v.reset()
	if err == nil {
		err = r.pass(coming, "login", r.cfg.Duration)
	}
	r.units, r.latency = v.so()
	r.end()
	stop()
	return err
}

// pass lets time go by.
func (r *run) pass(ctx context.Context, what string, d time.Duration) error {
	for began := time.Now(); ; {
		gone := time.Since(began)
		if gone >= d {
			return nil
		}
		r.cfg.progress(what, float64(gone), float64(d))
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(min(d-gone, 100*time.Millisecond)):
		}
	}
}

// visitors are accounts that sign in and out all the time.
type visitors struct {
	// fixed
	run       *run
	first, n  int  // which accounts
	available bool // they say so, and leave in order or not, in turn

	mu      sync.Mutex
	latency *hdrhistogram.Histogram // guarded by mu
}

func (r *run) visitors(first, last int, available bool) *visitors {
	return &visitors{run: r, first: first, n: last - first, available: available, latency: newHistogram()}
}

// start lets so many of them come and go at the same time, until one fails, which ends the context. stop waits for them. No
// account is in twice: with the same resource, one would end the other.
func (v *visitors) start(ctx context.Context, atOnce int) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var over atomic.Bool
	var wg sync.WaitGroup
	step := min(atOnce, v.n)
	for first := range step {
		wg.Go(func() {
			for n := first; !over.Load() && ctx.Err() == nil; n += step {
				if n >= v.n {
					n = first
				}
				began := time.Now()
				if err := v.visit(ctx, n); err != nil {
					cancel(err)
					return
				}
				v.mu.Lock()
				record(v.latency, time.Since(began))
				v.mu.Unlock()
			}
		})
	}
	return ctx, func() {
		over.Store(true)
		wg.Wait()
		cancel(nil)
	}
}

// reset begins to count.
func (v *visitors) reset() {
	v.mu.Lock()
	v.latency.Reset()
	v.mu.Unlock()
}

// so is how many visits there were, and how long they took.
func (v *visitors) so() (int64, *hdrhistogram.Histogram) {
	v.mu.Lock()
	defer v.mu.Unlock()
	h := hdrhistogram.Import(v.latency.Export())
	return h.TotalCount(), h
}

// visit signs the nth of them in and out again.
func (v *visitors) visit(ctx context.Context, n int) error {
	u := v.run.users[v.first+n]
	c, err := v.run.cfg.signIn(ctx, v.first+n, u)
	if err != nil {
		return err
	}
	defer c.wire.Close()
	last := "</stream:stream>"
	switch {
	case v.available && n%2 == 0:
		last = "<presence/>"
	case v.available:
		last = "<presence/>" + last
	}
	if _, err := c.wire.upper().Write([]byte(last)); err != nil {
		return fmt.Errorf("load: sign out: %w", err)
	}
	return nil
}
