package load_test

import (
	"context"
	"net"
	"os"
	"strconv"
	"testing"
	"time"

	"parley/imtest"
	"parley/imtest/history"
	"parley/imtest/load"
	"parley/imtest/proxy"
	"parley/store/sqlite"
)

// TestStorm: connections that a bad network cuts, half-closes, swallows, delays and splits, and clients that resume over
// and over; with PARLEY_LONG, 10,000 times. Nothing is lost, doubled, or out of order (P13).
func TestStorm(t *testing.T) {
	cycles := 200
	if os.Getenv("PARLEY_LONG") != "" {
		cycles = 10_000
	}
	engine, err := sqlite.Open(t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := imtest.Start(t, imtest.Options{Transport: imtest.TCP, Engine: engine})
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("PARLEY_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("PARLEY_SEED=%d", seed)
	p, err := proxy.New(s.Facts().Listen[0], proxy.Options{
		Seed: seed, Cut: .5, Half: .2, Hole: .1, After: 30 << 10, Split: true, Delay: 200 * time.Microsecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	r := history.NewRecorder()
	o := load.Options{
		Recorder: r, Password: imtest.Password, Seed: seed, Pairs: 4, Devices: 2, Rounds: 1 << 30, Burst: 6,
		Cut: .3, Half: .1, Takeover: .1, GiveUp: .05, Forge: .05, Read: .2, Again: .1, Anew: .05, Leave: .02,
		Dial: func(ctx context.Context) (net.Conn, bool, error) {
			nc, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", p.Addr())
			return nc, false, err
		},
	}
	s.Account(load.Accounts(o.Pairs)...)
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	g := load.New(o)
	defer g.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for resumed(r.Events()) < cycles && ctx.Err() == nil {
			time.Sleep(20 * time.Millisecond)
		}
	}()
	if err := g.Talk(ctx, done); err != nil {
		t.Fatal(err)
	}
	p.Calm()
	if err := g.Finish(ctx); err != nil {
		t.Error(err)
	}
	events := r.Events()
	report(t, events)
	t.Logf("%d resumptions in %v; the network cut %d, half-closed %d and swallowed %d connections", resumed(events), time.Since(began).Round(time.Millisecond),
		p.Count(proxy.Cut), p.Count(proxy.Half), p.Count(proxy.Swallow))
}

func resumed(events []history.Event) (n int) {
	for _, e := range events {
		if e.Kind == history.Resumed {
			n++
		}
	}
	return n
}

// report fails the test with what refutes the promise, and says how much there was.
func report(t *testing.T, events []history.Event) {
	t.Helper()
	found := history.Check(events)
	for i, v := range found {
		if i == 20 {
			t.Errorf("and %d more", len(found)-i)
			break
		}
		t.Error(v)
	}
	count := map[history.Kind]int{}
	for _, e := range events {
		count[e.Kind]++
	}
	t.Logf("%d events: %v", len(events), count)
	if at := os.Getenv("PARLEY_HISTORY"); at != "" && t.Failed() {
		f, err := os.Create(at)
		if err == nil {
			err = history.Write(f, events)
		}
		t.Logf("history written to %s: %v", at, err)
	}
}
