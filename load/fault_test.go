package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"parley/xmpp/sasl"
	"parley/xmpp/xml"
)

// user64 is the user in what PLAIN says.
func user64(text string) string {
	p, _ := sasl.Decode(text)
	return strings.Split(string(p)+"\x00\x00", "\x00")[1]
}

func cut(address string) (local, rest string, ok bool) { return strings.Cut(address, "@") }

// quick is what tests that do not care measure.
func quick(scenario, hostPort string, users int) Config {
	return Config{
		Scenario: scenario, HostPort: hostPort, TLS: NoTLS, Mechanism: Plain, Accounts: Made("u", users), Window: 1, Rate: 500,
		Messages: 30, Body: 64, Via: Broadcast, Full: true, Warmup: 20 * time.Millisecond, Duration: 100 * time.Millisecond,
		patience: 2 * time.Second,
	}
}

// TestFaultsAreFound: a server that loses, doubles or exchanges one message is found out.
func TestFaultsAreFound(t *testing.T) {
	held := ""
	for _, c := range []struct {
		name                     string
		deliver                  func(n int, to, text string) ([]string, bool)
		lost, doubled, reordered int
	}{
		{"nothing", nil, 0, 0, 0},
		{"lost", func(n int, _, text string) ([]string, bool) {
			if n == 5 {
				return nil, true
			}
			return []string{text}, true
		}, 1, 0, 0},
		{"doubled", func(n int, _, text string) ([]string, bool) {
			if n == 5 {
				return []string{text, text}, true
			}
			return []string{text}, true
		}, 0, 1, 0},
		{"exchanged", func(n int, to, text string) ([]string, bool) {
			switch {
			case to != "u1":
			case held == "" && n > 5:
				held = text
				return nil, true
			case len(held) > 1:
				texts := []string{text, held}
				held = "-"
				return texts, true
			}
			return []string{text}, true
		}, 0, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick("rate", (&fake{deliver: c.deliver}).start(t), 2)
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if r.Lost != c.lost || r.Doubled != c.doubled || r.Reordered != c.reordered || r.Sound() != (c.deliver == nil) {
				t.Errorf("lost %d, doubled %d, reordered %d", r.Lost, r.Doubled, r.Reordered)
			}
		})
	}
}

// TestPause: a server that stops for a while makes everything late that was due then, also when it goes on only after the time
// that counts.
func TestPause(t *testing.T) {
	for _, at := range []int{100, 270} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			t.Parallel()
			f := &fake{deliver: func(n int, _, text string) ([]string, bool) {
				if n == at {
					time.Sleep(200 * time.Millisecond)
				}
				return []string{text}, true
			}}
			cfg := quick("rate", f.start(t), 2)
			cfg.Warmup, cfg.Duration = 100*time.Millisecond, 500*time.Millisecond // 50 messages, then 250
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !r.Sound() || r.Latency.P90 < 100 || r.Latency.P99 < 150 {
				t.Errorf("%+v, %+v", r, r.Latency)
			}
		})
	}
}

// TestServerEnds: what ends a measurement is said, and nothing is left of it (see fake.start).
func TestServerEnds(t *testing.T) {
	// What becomes of a message to u1, once there were twenty.
	late := func(text string, stays bool) func(n int, to, as string) ([]string, bool) {
		return func(n int, to, as string) ([]string, bool) {
			if n < 20 || to != "u1" {
				return []string{as}, true
			}
			return []string{text}, stays
		}
	}
	for _, c := range []struct {
		name  string
		fake  *fake
		users int
		says  string
	}{
		{"closes", &fake{deliver: late("", false)}, 2, "load: u1@fake/r: the server has closed the connection"},
		{"ends the stream", &fake{deliver: late("</body></message><stream:error><conflict xmlns='x'/></stream:error></stream:stream>", false)}, 2,
			"load: u1@fake/r: the server ends the stream: <stream:error><conflict xmlns='x'/></stream:error>"},
		{"refuses one of them", &fake{refuses: "u5"}, 80, "the server refuses to sign in: not-authorized (account u5)"},
		{"does not answer", &fake{mute: true}, 2, "load: the server has not answered 2 clients within 500ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := quick("chat", c.fake.start(t), c.users)
			cfg.Duration = time.Minute
			if r, err := Run(t.Context(), cfg); err == nil || err.Error() != c.says {
				t.Errorf("%v, %+v", err, r)
			}
		})
	}
}

// TestInterrupted: whatever the generator is doing, it stops when its context ends.
func TestInterrupted(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, c := range []struct {
		name, scenario string
		fake           *fake // nil: nobody ever answers
	}{
		{"signing in", "idle", nil},
		{"visiting", "login", nil},
		{"waiting for answers", "idle", &fake{mute: true}},
		{"doing nothing", "idle", new(fake)},
		{"chatting", "chat", new(fake)},
		{"at a rate", "rate", new(fake)},
		{"storing", "offline", &fake{mute: true}},
		{"coming and going", "churn", new(fake)},
		{"coming and going for the first time", "login", new(fake)},
		{"waiting for the rest", "chat", &fake{deliver: func(int, string, string) ([]string, bool) { return nil, true }}},
	} {
		t.Run(c.name, func(t *testing.T) {
			hostPort := silent.Addr().String()
			if c.fake != nil {
				hostPort = c.fake.start(t)
			}
			cfg := quick(c.scenario, hostPort, 4)
			cfg.patience = time.Hour
			if c.fake == nil || c.fake.deliver == nil {
				cfg.Warmup = time.Hour
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(150*time.Millisecond, cancel)
			ended := make(chan error, 1)
			go func() {
				_, err := Run(ctx, cfg)
				ended <- err
			}()
			select {
			case err := <-ended:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("%v", err)
				}
			case <-time.After(20 * time.Second):
				t.Fatal("it goes on")
			}
		})
	}
}

// TestEach: one that fails ends the others, and each returns once they have ended.
func TestEach(t *testing.T) {
	r := &run{cfg: &Config{}}
	var under, most, done atomic.Int64
	err := r.each(t.Context(), "", 1000, func(ctx context.Context, n int) error {
		if u := under.Add(1); u > most.Load() {
			most.Store(u)
		}
		defer under.Add(-1)
		defer done.Add(1)
		if n == 40 {
			return errors.New("no")
		}
		if n > 40 {
			<-ctx.Done()
		}
		return nil
	})
	if err == nil || err.Error() != "no" || under.Load() != 0 || most.Load() > atOnce || done.Load() > 41+atOnce {
		t.Errorf("%v: %d under way, %d at most, %d done", err, under.Load(), most.Load(), done.Load())
	}
	if err := r.each(t.Context(), "", 0, nil); err != nil {
		t.Error(err)
	}
}

// TestVisitors: nobody signs in a second time while he still does so (see fake.serve), and everybody has his turn.
func TestVisitors(t *testing.T) {
	for _, c := range [][2]int{{1, 1}, {4, 1}, {4, 3}, {5, 2}, {3, 10}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			f := &fake{slow: "u0"}
			cfg := quick("login", f.start(t), c[0])
			cfg.Window = c[1]
			r, err := Run(t.Context(), cfg)
			if err != nil || r.Count == 0 || len(f.conns) != c[0] {
				t.Errorf("%v, %+v, %d", err, r, len(f.conns))
			}
		})
	}
}

// TestImpossible: what cannot be measured is said before anything begins.
func TestImpossible(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		says   string
	}{
		{func(c *Config) { c.Scenario = "chatt" }, `there is no scenario "chatt"`},
		{func(c *Config) { c.TLS = "ssl" }, `--tls cannot be "ssl": it is one of starttls, direct, none`},
		{func(c *Config) { c.Mechanism = "plain" }, `--mechanism cannot be "plain": it is one of SCRAM-SHA-256, SCRAM-SHA-1, PLAIN`},
		{func(c *Config) { c.Scenario, c.Via = "fanout", "mail" }, `--via cannot be "mail": it is one of broadcast, room`},
		{func(c *Config) { c.Accounts = c.Accounts[:1] }, "chat needs 2 accounts, and there are 1"},
		{func(c *Config) { c.Scenario, c.Accounts = "churn", c.Accounts[:3] }, "churn needs 4 accounts, and there are 3"},
		{func(c *Config) { c.Accounts[1] = c.Accounts[0] }, "the account u0 is there twice"},
		{func(c *Config) { c.Body = 33 }, "a body needs at least 34 bytes, for a number and a time"},
		{func(c *Config) { c.Window = 0 }, "a window of less than 1 lets nobody send"},
		{func(c *Config) { c.Scenario, c.Rate = "rate", 0 }, "the rate has to be more than nothing"},
		{func(c *Config) { c.Scenario, c.Messages = "offline", -1 }, "each account needs at least 1 message"},
		{func(c *Config) { c.Duration = 0 }, "the duration has to be more than nothing, and the warm-up no less"},
		{func(c *Config) { c.Sources = -1 }, "there cannot be less than no source addresses"},
		{func(c *Config) { c.PID = 1 << 30 }, "there is no process 1073741824"},
		{func(c *Config) { c.Accounts = Made("u", int(openFiles())-50) }, fmt.Sprintf("a process may have %d files open here, and so many connections need %d", openFiles(), openFiles()+30)},
	} {
		f := new(fake)
		cfg := quick("chat", f.start(t), 4)
		cfg.PID = os.Getpid()
		c.change(&cfg)
		if _, err := Run(t.Context(), cfg); err == nil || err.Error() != c.says {
			t.Errorf("%v, want %s", err, c.says)
		}
		_ = f.ln.Close()
		f.wg.Wait()
		if len(f.conns) > 0 {
			t.Errorf("%s: it has begun", c.says)
		}
	}
}

// TestManaged: what the server says right behind its last answer is not forgotten, and each <r/> has the right answer.
func TestManaged(t *testing.T) {
	answers := make(chan string, 10)
	f := &fake{enabled: "<r xmlns='urn:xmpp:sm:3'/><presence/><r xmlns='urn:xmpp:sm:3'/><iq type='result' id='x'/>\n<message", sm: func(el *xml.Element) {
		answers <- el.Name.Local + el.Attr("h")
	}}
	cfg := quick("idle", f.start(t), 1)
	cfg.Managed = true
	c, err := cfg.signIn(t.Context(), 0, &user{Account: cfg.Accounts[0]})
	if err != nil {
		t.Fatal(err)
	}
	l := newTestLoop(t)
	if err := l.add(c); err != nil {
		t.Fatal(err)
	}
	want := func(n int, list string) {
		if err := l.run(t.Context(), l.clock()+10*time.Second, func() bool { return len(answers) == n }); err != nil || len(answers) != n {
			t.Fatalf("%v, %d answers", err, len(answers))
		}
		for _, a := range strings.Fields(list) {
			if got := <-answers; got != a {
				t.Errorf("%s, want %s", got, a)
			}
		}
	}
	want(2, "a0 a1")
	f.mu.Lock()
	_ = f.conns["u0"].s.Write([]byte("><body/></message> <presence/><r xmlns='urn:xmpp:sm:3'/>"))
	f.mu.Unlock()
	want(1, "a4")
}
