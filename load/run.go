package load

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
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
	counting bool
	units    int64 // of work, while counting
	result   Result

	latency     *hdrhistogram.Histogram
	from, until time.Duration // when the work began that it tells of, on the loop's clock
}

// scenarios says what each of them does, in the words of `parley bench`.
type scenario struct {
	name, unit string
	pairs      bool // has an even number of accounts
	least      int  // accounts
	run        func(*run, context.Context) error
}

func scenarios() []scenario {
	return []scenario{
		{"login", "login", false, 1, (*run).login},
		{"idle", "session", false, 1, (*run).idle},
		{"chat", "message", true, 2, (*run).chat},
		{"rate", "message", true, 2, (*run).rate},
		{"fanout", "delivery", false, 2, (*run).fanout},
		{"offline", "message", true, 2, (*run).offline},
		{"presence", "presence", false, 2, (*run).presence},
		{"churn", "login", false, 4, (*run).churn},
		{"history", "entry", true, 2, (*run).history},
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
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if cfg.patience == 0 {
		cfg.patience = time.Minute
	}
	i := slices.IndexFunc(scenarios(), func(s scenario) bool { return s.name == cfg.Scenario })
	return scenarios()[i].measure(ctx, &cfg)
}

// possible says what this computer lacks for the measurement.
func (c *Config) possible() error {
	if c.PID != 0 && resident(c.PID) == 0 {
		return &Error{Why: fmt.Sprintf("there is no process %d", c.PID), Fix: "--pid with the number of the server's process, on this computer"}
	}
	// Beside the connections there are the sign-ins under way, and what every process has open.
	const others = 2*atOnce + 16
	files, most := uint64(len(c.Accounts)+others), openFiles()
	if c.Scenario == "login" {
		files = uint64(min(c.Window, len(c.Accounts)) + others)
	}
	if files > most {
		return &Error{
			Why: fmt.Sprintf("a process may have %d files open here, and so many connections need %d", most, files),
			Fix: fmt.Sprintf("--users %d\nmore files:  ulimit -n %d", max(2, int(most)-others), files),
		}
	}
	return nil
}

func (s *scenario) measure(ctx context.Context, cfg *Config) (*Result, error) {
	if s.pairs {
		cfg.Accounts = cfg.Accounts[:len(cfg.Accounts)&^1]
	}
	r := &run{cfg: cfg, latency: newHistogram(), from: math.MaxInt64, meter: meter{pid: cfg.PID, empty: resident(cfg.PID)}}
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
	if err := cfg.possible(); err != nil {
		return nil, err
	}
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
	if err := r.wait(ctx, "waiting for answers", func() int { return waiting }); err != nil {
		return err
	}
	return r.answered(waiting)
}

// answered is the error that so many have waited in vain.
func (r *run) answered(waiting int) error {
	if waiting == 0 {
		return nil
	}
	return fmt.Errorf("load: the server has not answered %d clients within %s", waiting, r.cfg.patience/4)
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
		if err := r.loop.run(ctx, min(end, r.loop.clock()+glance), nil); err != nil {
			return err
		}
	}
	r.end()
	return nil
}

func (r *run) begin() {
	r.counting, r.units = true, 0
	r.from, r.until = r.loop.clock(), math.MaxInt64
	r.loop.busy = 0
	r.meter.begin()
}

func (r *run) end() {
	r.counting, r.until = false, r.loop.clock()
	r.meter.end(&r.result, r.units, r.loop.busy, len(r.conns))
}

// note counts one unit of work that was begun at a time on the loop's clock.
func (r *run) note(began time.Duration) {
	if r.counting {
		r.units++
	}
	r.took(began)
}

// took notes how long something took that was begun while it counted, even if that is over: what a server has fallen behind with
// belongs to how long it takes.
func (r *run) took(began time.Duration) {
	if began >= r.from && began < r.until {
		record(r.latency, r.loop.at-began)
	}
}

// judge says what was wrong, when all that was to come has come.
func (r *run) judge() {
	for _, c := range r.conns {
		r.result.Doubled += c.order.doubled
		r.result.Reordered += c.order.reordered
	}
	r.result.Lost += r.owed()
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
func (r *run) drain(ctx context.Context) error { return r.wait(ctx, "waiting for the rest", r.owed) }

// wait runs the loop until nothing is left, or until it has become no less for a while.
func (r *run) wait(ctx context.Context, what string, left func() int) error {
	last, since := left(), r.loop.clock()
	total := last
	for last > 0 && r.loop.clock()-since < r.cfg.patience/4 {
		if err := r.loop.run(ctx, r.loop.clock()+glance, func() bool { return left() == 0 }); err != nil {
			return err
		}
		if n := left(); n < last {
			last, since = n, r.loop.clock()
		}
		r.cfg.progress(what, float64(total-last), float64(max(total, 1)))
	}
	return nil
}
