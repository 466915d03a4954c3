package client

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"parley/xmpp/stanza"
	"parley/xmpp/stream"
)

func TestDial(t *testing.T) {
	f := newFake(t)
	cfg := f.config()
	s := f.dial(cfg)
	if s.JID().String() != "alice@example.org/r1" || s.Server().String() != "example.org" {
		t.Errorf("signed in as %s at %s", s.JID(), s.Server())
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
	if err := s.Close(t.Context()); err != nil || s.End() == nil || s.End().Reason != LoggedOut {
		t.Errorf("Close: %v, end %v", err, s.End())
	}
	if len(f.headers) != 3 || f.headers[0].To != "" || f.headers[1].To != "" || f.headers[2].To != "example.org" {
		t.Errorf("headers %+v: the domain is not known before the server names it behind TLS", f.headers)
	}
	if err := s.Message(s.Server(), s.NewID(), "late"); err == nil {
		t.Error("a message after Close was taken")
	}
}

func TestDialErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*fake, *Config)
		want func(error) bool
	}{
		{"wrong password", func(f *fake, c *Config) { c.Password = "wrong" }, is(ErrPassword)},
		{"unknown name", func(f *fake, c *Config) { c.User = "nobody" }, is(ErrPassword)},
		{"empty password", func(f *fake, c *Config) { c.Password = "" }, is(ErrPassword)},
		{"no name", func(f *fake, c *Config) { c.User = "a b" }, is(ErrName)},
		{"locked", func(f *fake, c *Config) {
			f.failure = "<temporary-auth-failure/><text>Too many wrong passwords. Try again in 60 seconds.</text>"
		}, func(err error) bool {
			var e *LockedError
			return errors.As(err, &e) && e.For == time.Minute
		}},
		{"disabled", func(f *fake, c *Config) { f.failure = "<account-disabled/>" }, func(err error) bool {
			var e *AuthError
			return errors.As(err, &e) && e.Condition == "account-disabled"
		}},
		{"no proof of the server", func(f *fake, c *Config) { f.success = "<success xmlns='" + stream.NSSASL + "'>dj1mb28=</success>" }, is(ErrServerProof)},
		{"no data in success", func(f *fake, c *Config) { f.success = "<success xmlns='" + stream.NSSASL + "'/>" }, is(ErrServerProof)},
		{"only plain", func(f *fake, c *Config) { f.mechanisms = "PLAIN SCRAM-SHA-1" }, is(ErrNoMechanism)},
		{"stripped tls", func(f *fake, c *Config) { f.noTLS = true }, is(ErrNoTLS)},
		{"tls failure", func(f *fake, c *Config) { f.tlsAnswer = "<failure xmlns='" + stream.NSTLS + "'/>" }, is(ErrNoTLS)},
		{"early success", func(f *fake, c *Config) { f.tlsAnswer = "<success xmlns='" + stream.NSSASL + "'/>" }, is(ErrNoTLS)},
		{"injection", func(f *fake, c *Config) { f.behind = "<stream:features/>" }, is(stream.ErrInjected)},
		{"key refused", func(f *fake, c *Config) { c.Trust = func(k Key) error { return context.Canceled } }, func(err error) bool {
			var e *KeyError
			return errors.As(err, &e) && e.Err == context.Canceled && strings.HasPrefix(e.Key.Fingerprint, "SHA256:") && !e.Key.Verified
		}},
		{"nobody to ask", func(f *fake, c *Config) { c.Trust = nil }, func(err error) bool {
			var e *KeyError
			return errors.As(err, &e)
		}},
		{"another domain", func(f *fake, c *Config) { c.Domain = "other.org" }, says("asked for other.org")},
		{"no registration", func(f *fake, c *Config) { c.Register = true }, is(ErrNoRegistration)},
		{"name taken", func(f *fake, c *Config) { f.register, c.Register = "conflict", true }, func(err error) bool {
			var e *RegisterError
			return errors.As(err, &e) && e.Err.Condition == stanza.Conflict
		}},
		{"unreachable", func(f *fake, c *Config) {
			c.Net = func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no way") }
		}, func(err error) bool {
			var e *UnreachableError
			return errors.As(err, &e) && len(e.Tried) == 1
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t)
			cfg := f.config()
			c.set(f, &cfg)
			s, err := Dial(t.Context(), cfg)
			if err == nil {
				s.Close(t.Context())
			}
			if err == nil || !c.want(err) {
				t.Errorf("Dial: %v", err)
			}
		})
	}
}

func is(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }

func says(words string) func(error) bool {
	return func(err error) bool { return strings.Contains(err.Error(), words) }
}

func TestRegister(t *testing.T) {
	f := newFake(t)
	f.register = "result"
	cfg := f.config()
	cfg.User, cfg.Password, cfg.Register = "Dora", "a good one", true
	if s := f.dial(cfg); s.JID().Local() != "dora" {
		t.Errorf("signed in as %s", s.JID())
	}
	if info, err := Probe(t.Context(), cfg); err != nil || !info.Registration || info.Domain != "example.org" {
		t.Errorf("Probe: %+v, %v", info, err)
	}
}

// The domain that is named in clear could come from anybody.
func TestDomainBehindTLS(t *testing.T) {
	f := newFake(t)
	f.plainFrom = "evil.example"
	if s := f.dial(f.config()); s.Server().String() != "example.org" {
		t.Errorf("domain %s", s.Server())
	}
}

// A certificate that an authority vouches for is taken, for its own name only.
func TestVerified(t *testing.T) {
	f := newFake(t)
	var seen Key
	cfg := f.config()
	cfg.HostPort, cfg.Roots = "example.org:5222", f.pool
	cfg.Trust = func(k Key) error { seen = k; return nil }
	f.dial(cfg)
	if !seen.Verified || seen.Host != "example.org" || seen.HostPort != "example.org:5222" {
		t.Errorf("%+v", seen)
	}
	cfg.Trust = nil
	f.dial(cfg)
	cfg.HostPort = "other.org:5222"
	var refused *KeyError
	if _, err := Dial(t.Context(), cfg); !errors.As(err, &refused) {
		t.Errorf("Dial: %v", err)
	}
}

// Over a real connection, and what listens and speaks something else.
func TestDialNetwork(t *testing.T) {
	f := newFake(t)
	cfg := f.config()
	cfg.HostPort, cfg.Net = f.listen(), nil
	s := f.dial(cfg)
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if nc, err := l.Accept(); err == nil {
			_, _ = nc.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			nc.Close()
		}
	}()
	cfg.HostPort = l.Addr().String()
	if _, err := Dial(t.Context(), cfg); !errors.Is(err, ErrNotXMPP) {
		t.Errorf("Dial: %v", err)
	}
	l.Close()
	<-done
	var gone *UnreachableError
	if _, err := Dial(t.Context(), cfg); !errors.As(err, &gone) {
		t.Errorf("Dial: %v", err)
	}
}

// The first place that does not answer is passed over.
func TestPlaces(t *testing.T) {
	f := newFake(t)
	cfg := f.config()
	cfg.HostPort, cfg.Domain = "", "example.org"
	var tried []string
	cfg.Net = func(ctx context.Context, network, addr string) (net.Conn, error) {
		tried = append(tried, addr)
		if strings.HasSuffix(addr, ":5223") {
			return nil, errors.New("refused")
		}
		return f.net(ctx, network, addr)
	}
	f.dial(cfg)
	if strings.Join(tried, " ") != "example.org:5223 example.org:5222" {
		t.Errorf("tried %v", tried)
	}
}

// A caller who gives up is believed at once.
func TestDialCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cfg := Config{HostPort: "x:1", User: "a", Password: "b", Net: func(context.Context, string, string) (net.Conn, error) {
		a, b := net.Pipe()
		t.Cleanup(func() { b.Close() })
		go func() {
			buf := make([]byte, 1000)
			_, _ = b.Read(buf)
			cancel()
		}()
		return a, nil
	}}
	if _, err := Dial(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial: %v", err)
	}
}
