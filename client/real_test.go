package client

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/imtest"
	stored "parley/store/memory"
	"parley/xmpp/jid"
)

// steady is a client that comes back whenever it is cut off, on whatever server there is now.
type steady struct {
	t   *testing.T
	to  func() string // where the server listens
	cfg Config
	recorder

	mu      sync.Mutex
	nc      net.Conn // guarded by mu: the connection of the moment
	s       *Session // guarded by mu
	resumed int
	anew    int
	done    chan struct{}
}

// newSteady signs in; the client ends with the test.
func newSteady(t *testing.T, name string, to func() string) *steady {
	t.Helper()
	p := &steady{t: t, to: to, done: make(chan struct{})}
	p.cfg = Config{HostPort: "server:5222", User: name, Password: imtest.Password, Trust: func(Key) error { return nil }, Handle: p.handle, Net: p.dial}
	first := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go p.run(ctx, first)
	t.Cleanup(func() {
		cancel()
		<-p.done
	})
	<-first
	return p
}

func (p *steady) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, "tcp", p.to())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nc = nc
	return nc, err
}

func (p *steady) run(ctx context.Context, first chan struct{}) {
	defer close(p.done)
	for ctx.Err() == nil {
		s, err := Dial(ctx, p.cfg)
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		p.mu.Lock()
		p.s = s
		if s.Resumed() {
			p.resumed++
		} else {
			p.anew++
		}
		p.mu.Unlock()
		p.cfg.Before = s
		if err := s.Start(ctx); err == nil && first != nil {
			close(first)
			first = nil
		}
		select {
		case <-s.Done():
		case <-ctx.Done():
			leaving, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			_ = s.Close(leaving)
			cancel()
		}
	}
}

// cut closes the TCP connection under the client.
func (p *steady) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.nc != nil {
		_ = p.nc.Close()
	}
}

// says hands a message over, to the session that there is or to the next one.
func (p *steady) says(to jid.JID, text string) {
	for range 2000 {
		p.mu.Lock()
		s := p.s
		p.mu.Unlock()
		if s.Message(to, s.NewID(), text) == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
	p.t.Fatalf("cannot hand over %q", text)
}

// heard are the texts that came, without the times of those that were kept.
func (p *steady) heard() []string {
	var list []string
	for _, text := range p.texts() {
		if strings.HasPrefix(text, "caught up") {
			continue
		}
		text, _, _ = strings.Cut(text, ". ")
		text = strings.TrimSuffix(text, ".")
		list = append(list, text)
	}
	return list
}

func (p *steady) count(prefix string) int {
	n := 0
	for _, e := range p.all() {
		if strings.HasPrefix(e, prefix) {
			n++
		}
	}
	return n
}

// A hundred messages, and meanwhile the connections of both sides are cut again and again, and the server is started anew,
// once in order and once as after a kill: each arrives once and in order, and is accepted and delivered. The sessions go
// on, and where the server keeps none, it is all the same.
func TestHundredMessages(t *testing.T) {
	for _, c := range []struct {
		name string
		set  map[string]string
	}{
		{name: "resumed"},
		{name: "never resumed", set: map[string]string{"resume_time": "0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			options := imtest.Options{Transport: imtest.TCP, Engine: stored.New(), Settings: c.set}
			server := imtest.Start(t, options)
			server.Account("alice", "bob")
			var mu sync.Mutex
			where := func() string {
				mu.Lock()
				defer mu.Unlock()
				return server.Facts().Listen[0]
			}
			alice, bob := newSteady(t, "alice", where), newSteady(t, "bob", where)
			var want []string
			for i := range 100 {
				text := fmt.Sprintf("number %d", i)
				want = append(want, text)
				alice.says(jid.MustParse("bob@localhost"), text+".")
				switch {
				case i == 50:
					mu.Lock()
					server.Stop()
					server = imtest.Start(t, options)
					mu.Unlock()
				case i == 75: // as if the server had been killed: only what was durable is there again
					mu.Lock()
					alice.cut()
					bob.cut()
					options.Engine = options.Engine.(*stored.Engine).Copy()
					server.Stop()
					server = imtest.Start(t, options)
					mu.Unlock()
				case i%10 == 3:
					alice.cut()
				case i%10 == 7:
					bob.cut()
				}
			}
			until(t, func() bool {
				return len(bob.heard()) >= 100 && alice.count("accepted") >= 100 && alice.count("delivered") >= 100
			})
			if got := bob.heard(); !slices.Equal(got, want) {
				t.Errorf("bob heard %q", got)
			}
			if a, d := alice.count("accepted"), alice.count("delivered"); a != 100 || d != 100 {
				t.Errorf("%d accepted, %d delivered", a, d)
			}
			alice.mu.Lock()
			defer alice.mu.Unlock()
			if c.set == nil && (alice.anew > 1 || alice.resumed < 2) || c.set != nil && alice.resumed > 0 {
				t.Errorf("alice's session went on %d times, and began %d times", alice.resumed, alice.anew)
			}
		})
	}
}
