package auth

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"parley/store"
)

// Scopes of a lock-out: whom wrong passwords shut out.
const (
	ScopeSource  = "source"  // the account as seen from one network: an IPv4 address, or an IPv6 /64
	ScopeAccount = "account" // the account from everywhere
)

// LockoutOptions are the settings of a Lockout.
type LockoutOptions struct {
	Attempts int           // wrong passwords in a row that lead to a block; 0: 3
	Duration time.Duration // how long a block lasts at first, see SetDuration; 0: nobody is ever blocked
	Scope    string        // ScopeSource if empty
	Capacity int           // how many pairs of account and network are remembered; 0: 100,000
	Patience time.Duration // how long Try waits for attempts under way; 0: 10 s
	Logger   *slog.Logger

	// Now is the time of day, for what is kept and shown; nil: time.Now. Within the process blocks last by the
	// monotonic clock, which nobody can set.
	Now func() time.Time
}

// Lockout counts wrong passwords: three in a row, and the account is blocked for a while, for the network they came
// from or for all. It treats names without an account like all others.
//
//	Check                                   first step: is it blocked?
//	Try ── Succeed | Fail | Abandon         around the check of the proof
//
// An attempt reserves a failure before anybody looks at its proof, so that attempts made at the same time get no more
// answers than attempts made one by one. Further ones wait until one of those has its outcome.
type Lockout struct {
	// fixed
	opts    LockoutOptions
	store   *store.Store
	log     *slog.Logger
	secret  secret
	started time.Time // with the monotonic clock

	duration atomic.Int64 // of a block, as a time.Duration

	mu sync.Mutex
	t  table // guarded by mu
}

// OpenLockout loads the blocks that still last. Errors are those of the store.
func OpenLockout(ctx context.Context, st *store.Store, o LockoutOptions) (*Lockout, error) {
	if o.Attempts <= 0 {
		o.Attempts = 3
	}
	if o.Capacity <= 0 {
		o.Capacity = 100_000
	}
	if o.Patience <= 0 {
		o.Patience = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	switch o.Scope {
	case "":
		o.Scope = ScopeSource
	case ScopeSource, ScopeAccount:
	default:
		return nil, fmt.Errorf("auth: open the lock-out: no such scope: %q", o.Scope)
	}
	secret, err := loadSecret(ctx, st)
	if err != nil {
		return nil, err
	}
	l := &Lockout{opts: o, store: st, log: o.Logger, secret: secret, started: time.Now(), t: newTable(o.Capacity)}
	l.SetDuration(o.Duration)
	if err := l.load(ctx); err != nil {
		return nil, fmt.Errorf("auth: load the lock-out: %w", err)
	}
	return l, nil
}

// SetDuration says how long blocks last that begin from now on; 0 lifts all of them.
func (l *Lockout) SetDuration(d time.Duration) { l.duration.Store(int64(d)) }

func (l *Lockout) lasts() time.Duration { return time.Duration(l.duration.Load()) }

// elapsed is the time of the process, by the clock that nobody can set.
func (l *Lockout) elapsed() time.Duration { return time.Since(l.started) }

// sourceOf is the network that an address counts for.
func (l *Lockout) sourceOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	if l.opts.Scope == ScopeAccount || !addr.IsValid() {
		return netip.Prefix{}
	}
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // the bits fit
	return p
}

// keyOf is what a pair is remembered by. It tells nothing of the name, and is short whatever the name is.
func (l *Lockout) keyOf(name string, source netip.Prefix) (k key) {
	copy(k[:], l.secret.derive("lockout", source.String()+" "+name))
	return k
}

// Check returns *Locked while name is blocked for addr, and reserves nothing. It is for the step before the client has
// proven anything.
func (l *Lockout) Check(name string, addr netip.Addr) error {
	if l.lasts() <= 0 {
		return nil
	}
	k := l.keyOf(name, l.sourceOf(addr))
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.t.entries[k]; e != nil {
		if left := l.remaining(e); left > 0 {
			return &Locked{Remaining: left}
		}
	}
	return nil
}

// Try begins an attempt to sign in as name, a canonical localpart, from addr; the zero address is a source of its own.
// It reserves a failure until the attempt has its outcome. Errors: *Locked while blocked; ErrBusy when as many
// attempts as are left stay without an outcome for Options.Patience; ctx's.
func (l *Lockout) Try(ctx context.Context, name string, addr netip.Addr) (*Attempt, error) {
	a := &Attempt{l: l, ctx: context.WithoutCancel(ctx), name: name, source: l.sourceOf(addr)}
	if l.lasts() <= 0 {
		return a, nil
	}
	k := l.keyOf(name, a.source)
	var patience <-chan time.Time
	for {
		e, changed, err := l.reserve(k)
		if e != nil || err != nil {
			a.e = e
			return a, err
		}
		if patience == nil {
			t := time.NewTimer(l.opts.Patience)
			defer t.Stop()
			patience = t.C
		}
		select {
		case <-changed:
		case <-patience:
			return nil, ErrBusy
		case <-ctx.Done():
			return nil, fmt.Errorf("auth: wait for other attempts: %w", ctx.Err())
		}
	}
}

// reserve takes one of the failures that are left; if there is none, changed is closed when there may be one.
func (l *Lockout) reserve(k key) (e *pair, changed <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e = l.t.entries[k]
	if e != nil && e.block != nil {
		if left := l.remaining(e); left > 0 {
			return nil, nil, &Locked{Remaining: left}
		}
		l.t.release(e) // counts from zero; what is kept of it goes with the next block
	}
	if e == nil {
		e = l.t.add(k)
	}
	if e.failures+e.reserved < l.opts.Attempts {
		e.reserved++
		l.t.place(e)
		return e, nil, nil
	}
	if e.waiting == nil {
		e.waiting = make(chan struct{})
	}
	return nil, e.waiting, nil
}

// remaining is how long the block of a pair still lasts.
func (l *Lockout) remaining(e *pair) time.Duration {
	if e.block == nil {
		return 0
	}
	return e.block.until - l.elapsed()
}

// Attempt is one attempt to sign in. The first of its three outcomes counts, later ones do nothing.
type Attempt struct {
	// fixed
	l      *Lockout
	ctx    context.Context // of Try, but never cancelled
	name   string
	source netip.Prefix

	once sync.Once
	e    *pair // nil: nothing is counted
}

// Succeed says that the password was right: the failures of this account from this source are forgotten.
func (a *Attempt) Succeed() {
	a.settle(func(e *pair) { e.failures = 0 })
}

// Abandon says that the exchange ended without a proof to look at. It does not count.
func (a *Attempt) Abandon() {
	a.settle(func(*pair) {})
}

// Fail says that the password was wrong. It returns how many attempts are left, or the block that this failure led to;
// the block is durable then. Without blocks (Duration 0) all attempts are left.
func (a *Attempt) Fail() (left int, locked *Locked) {
	left = a.l.opts.Attempts
	var blocked *pair
	lasts := a.l.lasts()
	a.settle(func(e *pair) {
		e.failures++
		left -= e.failures
		if left <= 0 {
			a.l.t.block(e, &block{name: shortName(a.name), source: a.source, until: a.l.elapsed() + lasts})
			blocked = e
		}
	})
	if blocked == nil {
		return left, nil
	}
	a.l.log.Warn("sign-in blocked after wrong passwords", slog.String("name", shortName(a.name)),
		slog.String("source", sourceText(a.source)), slog.Duration("for", lasts))
	a.l.keep(a.ctx, blocked)
	return 0, &Locked{Remaining: lasts}
}

// settle gives the reservation back, together with what the outcome changes.
func (a *Attempt) settle(outcome func(*pair)) {
	a.once.Do(func() {
		if a.e == nil {
			return
		}
		a.l.mu.Lock()
		defer a.l.mu.Unlock()
		a.e.reserved--
		outcome(a.e)
		a.l.t.place(a.e)
		if a.e.waiting != nil {
			close(a.e.waiting)
			a.e.waiting = nil
		}
	})
}

// shortName is as much of a name as is kept and shown: no account has a longer one.
func shortName(name string) string {
	if r := []rune(name); len(r) > MaxName {
		return string(r[:MaxName]) + "…"
	}
	return name
}

// sourceText is a network as people read it.
func sourceText(p netip.Prefix) string {
	switch {
	case !p.IsValid():
		return "everywhere"
	case p.Addr().Is4():
		return p.Addr().String()
	}
	return p.String()
}
