package load

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// run is one measurement.
type run struct {
	cfg   *Config
	id    uint32 // tells its messages from those of earlier ones
	users []*user
	loop  *loop
	meter meter

	conns    []*conn // signed in
	latency  *hdrhistogram.Histogram
	counting bool
	units    int64 // of work, while counting
	result   Result
}

// scenarios says what each of them does, in the words of `parley bench`.
type scenario struct {
	name, unit string
	pairs      bool // needs an even number of accounts
	run        func(*run, context.Context) error
}

func scenarios() []scenario {
	return []scenario{
		{"login", "login", false, (*run).login},
		{"idle", "session", false, (*run).idle},
		{"chat", "message", true, (*run).chat},
		{"rate", "message", true, (*run).rate},
		{"fanout", "delivery", false, (*run).fanout},
		{"offline", "message", true, (*run).offline},
		{"presence", "presence", false, (*run).presence},
		{"churn", "login", false, (*run).churn},
		{"history", "entry", true, (*run).history},
	}
}

// Scenarios are the names of the kinds of work, as Config.Scenario takes them.
func Scenarios() (names []string) {
	for _, s := range scenarios() {
		names = append(names, s.name)
	}
	return names
}

// Run measures. Its errors say what kept it from measuring; what a measurement found wrong is in the result.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	for _, s := range scenarios() {
		if s.name == cfg.Scenario {
			return s.measure(ctx, &cfg)
		}
	}
	return nil, fmt.Errorf("there is no scenario %q", cfg.Scenario)
}

func (s *scenario) measure(ctx context.Context, cfg *Config) (*Result, error) {
	if s.pairs {
		cfg.Accounts = cfg.Accounts[:len(cfg.Accounts)&^1]
	}
	r := &run{cfg: cfg, latency: newHistogram(), meter: meter{pid: cfg.PID, empty: resident(cfg.PID)}}
	r.result = Result{Scenario: s.name, Target: cfg.HostPort, Users: len(cfg.Accounts), Window: cfg.Window, TLS: cfg.TLS, Unit: s.unit}
	var id [4]byte
	_, _ = rand.Read(id[:]) // never fails
	r.id = binary.BigEndian.Uint32(id[:])
	for _, a := range cfg.Accounts {
		p, err := cfg.prover(a)
		if err != nil {
			return nil, err
		}
		r.users = append(r.users, &user{Account: a, proof: p})
	}
	l, err := newLoop()
	if err != nil {
		return nil, err
	}
	defer l.close()
	r.loop = l
	if cfg.Register {
		err := r.each(ctx, "accounts", len(r.users), func(ctx context.Context, n int) error { return cfg.register(ctx, n, cfg.Accounts[n]) })
		if err != nil {
			return nil, err
		}
	}
	if err := s.run(r, ctx); err != nil {
		return nil, err
	}
	r.judge()
	return &r.result, nil
}

// atOnce is how many sign-ins are under way at the same time, when they are not what is measured.
const atOnce = 32

// each calls f for 0 to n-1, several at once, until one fails.
func (r *run) each(ctx context.Context, what string, n int, f func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next, done atomic.Int64
	var wg sync.WaitGroup
	for range min(atOnce, n) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
				done.Add(1)
			}
		})
	}
	all := make(chan struct{})
	go func() { wg.Wait(); close(all) }()
	for {
		select {
		case <-all:
			return context.Cause(ctx)
		case <-time.After(100 * time.Millisecond):
			r.cfg.progress(what, float64(done.Load()), float64(n))
		}
	}
}

// enter signs accounts first to last-1 in and gives them to the loop.
func (r *run) enter(ctx context.Context, first, last int) ([]*conn, error) {
	list := make([]*conn, last-first)
	err := r.each(ctx, "signing in", len(list), func(ctx context.Context, i int) (err error) {
		list[i], err = r.cfg.signIn(ctx, first+i, r.users[first+i])
		return err
	})
	for _, c := range list {
		switch {
		case c == nil:
		case err != nil:
			_ = c.wire.Close()
		default:
			err = r.loop.add(c)
			r.conns = append(r.conns, c)
		}
	}
	return list, err
}

// arrive makes the sessions available, and waits until the server has done with it.
func (r *run) arrive(ctx context.Context, list []*conn) error {
	return r.settle(ctx, list, "<presence/>")
}

// settle has each of them send something, and waits until the server has answered what they asked behind it.
func (r *run) settle(ctx context.Context, list []*conn, what string) error {
	waiting := len(list)
	handle := r.loop.handle
	r.loop.handle = func(c *conn, el []byte) {
		if is(el, "iq") && string(attr(el, "id")) == "settle" {
			waiting--
			return
		}
		handle(c, el)
	}
	defer func() { r.loop.handle = handle }()
	for _, c := range list {
		r.loop.send(c, func(dst []byte) []byte { return c.ping(append(dst, what...)) })
	}
	end := r.loop.clock() + patience
	if err := r.loop.run(ctx, end, func() bool { return waiting == 0 }); err != nil {
		return err
	}
	if waiting > 0 {
		return fmt.Errorf("load: %d clients got no answer within %s", waiting, patience)
	}
	return nil
}

// ping asks the server for any answer: what was sent before has been looked at then.
func (c *conn) ping(dst []byte) []byte {
	dst = append(append(dst, "<iq type='get' id='settle' to='"...), c.domain...)
	return append(dst, "'><ping xmlns='urn:xmpp:ping'/></iq>"...)
}

// warmed runs the loop for the time of the warm-up and then for the time that counts.
func (r *run) warmed(ctx context.Context) error {
	if err := r.loop.run(ctx, r.loop.clock()+r.cfg.Warmup, nil); err != nil {
		return err
	}
	return r.counted(ctx)
}

// counted runs the loop for the time that counts.
func (r *run) counted(ctx context.Context) error {
	r.begin()
	for end := r.loop.clock() + r.cfg.Duration; r.loop.clock() < end; {
		r.cfg.progress(r.cfg.Scenario, float64(r.cfg.Duration-(end-r.loop.clock())), float64(r.cfg.Duration))
		if err := r.loop.run(ctx, min(end, r.loop.clock()+100*time.Millisecond), nil); err != nil {
			return err
		}
	}
	r.end()
	return nil
}

func (r *run) begin() {
	r.counting = true
	r.loop.busy = 0
	r.meter.begin()
}

func (r *run) end() {
	r.counting = false
	r.meter.end(&r.result, r.units, r.loop.busy, len(r.conns))
}

// note counts one unit of work that was begun at a time on the loop's clock.
func (r *run) note(sent time.Duration) {
	if r.counting {
		r.units++
		_ = r.latency.RecordValue(max(1, int64((r.loop.at-sent)/time.Microsecond)))
	}
}

// judge says what was wrong, when all that was to come has come.
func (r *run) judge() {
	for _, c := range r.conns {
		r.result.Doubled += c.order.doubled
		r.result.Reordered += c.order.reordered
	}
	r.result.Lost = r.owed()
	if r.latency.TotalCount() > 0 {
		r.result.Latency = latencyOf(r.latency)
	}
}

// owed is how many messages have been sent and not come.
func (r *run) owed() (n int) {
	for _, c := range r.conns {
		if c.source != nil {
			n += c.order.lost(c.source.seq)
		}
	}
	return n
}

// drain waits until everybody has what was sent to him, but not for ever.
func (r *run) drain(ctx context.Context) error { return r.wait(ctx, r.owed) }

// wait runs the loop until nothing is left, or until it has become no less for a while.
func (r *run) wait(ctx context.Context, left func() int) error {
	last, since := left(), r.loop.clock()
	total := last
	for last > 0 && r.loop.clock()-since < patience/4 {
		if err := r.loop.run(ctx, r.loop.clock()+5*time.Millisecond, nil); err != nil {
			return err
		}
		if n := left(); n < last {
			last, since = n, r.loop.clock()
		}
		r.cfg.progress(r.cfg.Scenario, float64(total-last), float64(max(total, 1)))
	}
	return nil
}
