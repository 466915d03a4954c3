package load

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"parley/imtest"
)

// parley starts a server that is measured.
func parley(t *testing.T, settings map[string]string) *imtest.Server {
	t.Helper()
	given := map[string]string{"insecure_listen": "127.0.0.1:0", "registration": "open", "auth.legacy": "true", "broadcast.every": "0", "broadcast.burst": "100000"}
	for key, value := range settings {
		given[key] = value
	}
	return imtest.Start(t, imtest.Options{Transport: imtest.TCP, Settings: given})
}

// TestScenarios measures a whole server: nothing is lost, and the figures are such as can be.
func TestScenarios(t *testing.T) {
	s := parley(t, nil)
	none, starttls, direct := s.Facts().Insecure[0], s.Facts().Listen[0], s.Facts().TLSListen[0]
	for i, c := range []struct {
		scenario string
		change   func(*Config)
		phases   string
		count    int64 // exactly; 0: some
	}{
		{"login", func(c *Config) { c.Window = 3 }, "", 0},
		{"login", func(c *Config) { c.HostPort, c.TLS, c.Mechanism = starttls, StartTLS, ScramSHA1 }, "", 0},
		{"login", func(c *Config) { c.HostPort, c.TLS, c.Mechanism, c.Managed = direct, Direct, Plain, true }, "", 0},
		{"idle", nil, "", 8},
		{"idle", func(c *Config) { c.Sources = 2 }, "", 8},
		{"chat", nil, "", 0},
		{"chat", func(c *Config) { c.Full, c.Window, c.Accounts = false, 5, c.Accounts[:7] }, "", 0},
		{"chat", func(c *Config) { c.HostPort, c.TLS, c.Managed, c.Body = starttls, StartTLS, true, 3000 }, "", 0},
		{"chat", func(c *Config) { c.HostPort, c.TLS, c.Mechanism, c.Domain = direct, Direct, ScramSHA1, "localhost" }, "", 0},
		{"rate", nil, "", 0},
		{"rate", func(c *Config) { c.HostPort, c.TLS, c.Managed, c.Full = starttls, StartTLS, true, false }, "", 0},
		{"fanout", func(c *Config) { c.Window = 3 }, "", 0},
		{"offline", nil, "stored 120 delivered 120", 120},
		{"offline", func(c *Config) { c.HostPort, c.TLS, c.Managed = direct, Direct, true }, "stored 120 delivered 120", 120},
		{"presence", nil, "", 56},
		{"churn", func(c *Config) { c.Window = 2 }, "messages", 0},
		{"churn", func(c *Config) { c.HostPort, c.TLS, c.Managed, c.Accounts = starttls, StartTLS, true, c.Accounts[:5] }, "messages", 0},
		{"history", func(c *Config) { c.Messages = 120 }, "", 0},
		{"history", func(c *Config) { c.Messages, c.Register = 50, false }, "", 0},
	} {
		t.Run(fmt.Sprintf("%d %s", i, c.scenario), func(t *testing.T) {
			cfg := quick(c.scenario, none, 8)
			cfg.Accounts, cfg.Mechanism, cfg.Register, cfg.patience = Made(fmt.Sprintf("s%d-", i), 8), ScramSHA256, true, 20*time.Second
			if c.change != nil {
				c.change(&cfg)
			}
			if !cfg.Register { // a file of accounts
				names := strings.Fields(strings.Repeat("c- ", 8))
				for i := range names {
					names[i] += fmt.Sprint(i)
					cfg.Accounts[i] = Account{names[i], imtest.Password}
				}
				s.Account(names...)
			}
			r, err := Run(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if !r.Sound() || r.Count == 0 || c.count > 0 && r.Count != c.count {
				t.Errorf("%+v", r)
			}
			if (r.Latency == nil) != (c.scenario == "idle" || c.scenario == "offline") {
				t.Errorf("%+v", r.Latency)
			}
			var phases []string
			for _, p := range r.Phases {
				if phases = append(phases, p.Name); c.scenario == "offline" {
					phases = append(phases, fmt.Sprint(p.Count))
				}
			}
			if got := strings.Join(phases, " "); got != c.phases {
				t.Errorf("%s", got)
			}
		})
	}
}

// TestRefusals: what a server does not do is said, with a way out.
func TestRefusals(t *testing.T) {
	s := parley(t, map[string]string{
		"registration": "closed", "auth.legacy": "false", "contacts": "roster", "broadcast.burst": "10", "broadcast.every": "3600",
	})
	none, starttls := s.Facts().Insecure[0], s.Facts().Listen[0]
	s.Account("u0", "u1", "u2", "u3")
	known := func(c *Config) {
		for i := range c.Accounts {
			c.Accounts[i].Password = imtest.Password
		}
	}
	for _, c := range []struct {
		scenario, hostPort string
		change             func(*Config)
		why, fix           string
	}{
		{"chat", none, func(c *Config) { c.Register = true }, "the account u", "--accounts FILE"},
		{"chat", none, nil, "the server refuses to sign in: not-authorized", "--register"},
		{"chat", none, func(c *Config) { c.Mechanism = Plain }, "the server does not offer PLAIN here, but SCRAM-SHA-256", "--mechanism SCRAM-SHA-256\n--tls starttls"},
		{"chat", starttls, func(c *Config) { c.TLS, c.Mechanism = StartTLS, ScramSHA1 }, "the server does not offer SCRAM-SHA-1 here, but SCRAM-SHA-256", "--mechanism SCRAM-SHA-256"},
		{"chat", none, func(c *Config) { c.TLS = StartTLS }, "the server offers no STARTTLS", "--tls direct\n--tls none"},
		{"chat", none, func(c *Config) { c.Domain = "example.org" }, "the server wants to be called by its name: stream error host-unknown", "--domain NAME"},
		{"fanout", none, func(c *Config) { c.Via = Room; known(c) }, "u0@localhost/bench could not join the room bench", "--via broadcast"},
		{"fanout", none, func(c *Config) { c.Window = 50; known(c) }, "the server has refused to pass a message on to all: u0@localhost/bench got <iq", "broadcast.every = 0"},
		{"presence", none, known, "of 12 presences 0 came", "--contacts everyone"},
	} {
		cfg := quick(c.scenario, c.hostPort, 4)
		cfg.Mechanism, cfg.patience = ScramSHA256, time.Second
		if c.change != nil {
			c.change(&cfg)
		}
		_, err := Run(t.Context(), cfg)
		var known *Error
		if !errors.As(err, &known) || !strings.HasPrefix(err.Error(), c.why) || !strings.Contains(known.Fix, c.fix) {
			t.Errorf("%s: %v, want %s; %s; %+v", c.scenario, err, c.why, c.fix, known)
		}
	}
}

// TestSources: connections come from as many addresses as were asked for.
func TestSources(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	cfg := quick("idle", ln.Addr().String(), 1)
	for _, c := range []struct {
		sources, n int
		want       string
	}{{0, 5, "127.0.0.1"}, {2, 0, "127.0.0.1"}, {2, 1, "127.0.0.2"}, {2, 2, "127.0.0.1"}, {300, 253, "127.0.0.254"}, {300, 254, "127.0.1.1"}} {
		cfg.Sources = c.sources
		w, err := cfg.dial(t.Context(), c.n)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.LocalAddr().(*net.TCPAddr).IP.String(); got != c.want {
			t.Errorf("%d of %d: %s, want %s", c.n, c.sources, got, c.want)
		}
		_ = w.Close()
	}
}
