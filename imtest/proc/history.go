package proc

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"parley/auth"
	"parley/client"
	"parley/config"
	"parley/server"
	"parley/store"
	"parley/store/sqlite"
	"parley/xmpp/jid"
)

// Password is that of all accounts that Prepare makes.
const Password = "correct horse battery"

// Pairs talk to each other.
func Pairs() [][2]string {
	return [][2]string{{"anna", "bert"}, {"carl", "dora"}, {"emil", "faye"}, {"gina", "hugo"}}
}

// Absent never signs in: what the pairs write to it is kept.
const Absent = "zoe"

// Names are all accounts that Prepare makes.
func Names() (names []string) {
	for _, p := range Pairs() {
		names = append(names, p[:]...)
	}
	return append(names, Absent)
}

// Prepare makes a data directory with the accounts, and more.
func Prepare(t testing.TB, dir string, more ...string) {
	t.Helper()
	Within(t, dir, func(ctx context.Context, st *store.Store) {
		if _, err := server.RecordDomain(ctx, st, config.Default()); err != nil {
			t.Fatal(err)
		}
		a, err := auth.Open(ctx, st, auth.Options{Domain: "localhost", Iterations: 4096})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range append(Names(), more...) {
			if _, err := a.Add(ctx, name, Password); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Within opens the store of a data directory that no server uses.
func Within(t testing.TB, dir string, f func(context.Context, *store.Store)) {
	t.Helper()
	engine, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Check(context.Background()); err != nil {
		t.Error(err)
	}
	st := store.New(engine, store.Options{})
	var run sync.WaitGroup
	run.Go(func() { _ = st.Run(context.Background()) })
	defer run.Wait()
	defer st.Close(context.Background())
	f(context.Background(), st)
}

// History is what clients know for certain.
type History struct {
	mu      sync.Mutex
	certain map[string]string // message to how it is known to be kept; guarded by mu
	refused map[string]bool   // messages that were; guarded by mu
	seq     map[string]int    // last number of each sender; guarded by mu
}

// NewHistory is an empty one.
func NewHistory() *History {
	return &History{certain: map[string]string{}, refused: map[string]bool{}, seq: map[string]int{}}
}

// Certain are the messages that somebody was shown or that a later iq result answered for, and how that is known.
func (h *History) Certain() map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.certain)
}

// Refused are the messages that came back as an error.
func (h *History) Refused() map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.refused)
}

func (h *History) know(how string, messages ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range messages {
		if !h.refused[m] {
			h.certain[m] = how
		}
	}
}

// next is a message that nobody has written before: sender, recipient and number.
func (h *History) next(from, to string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq[from]++
	return fmt.Sprintf("%s %s %d", from, to, h.seq[from])
}

// Load lets all pairs write to each other until the server dies or ctx ends.
func (h *History) Load(ctx context.Context, addr string) (wait func()) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	var work sync.WaitGroup
	for _, p := range Pairs() {
		for i := range p {
			work.Go(func() { h.talk(ctx, addr, p[i], p[1-i]) })
		}
	}
	return func() { work.Wait(); cancel() }
}

// talk lets one account write: bursts, each followed by a ping whose answer covers it.
func (h *History) talk(ctx context.Context, addr, me, other string) {
	var mu sync.Mutex
	sent := map[string]string{} // id to message
	s, err := client.Dial(ctx, client.Config{
		HostPort: addr, User: me, Password: Password, Resource: "test", Insecure: true,
		Handle: func(e client.Event) {
			switch e := e.(type) {
			case client.Message:
				h.know("received", e.Body)
			case client.Bounce:
				mu.Lock()
				m := sent[e.ID]
				mu.Unlock()
				h.mu.Lock()
				h.refused[m] = true
				h.mu.Unlock()
			}
		},
	})
	if err != nil {
		return
	}
	defer s.Close(context.WithoutCancel(ctx))
	if err := s.Start(ctx); err != nil {
		return
	}
	for ctx.Err() == nil {
		var burst []string
		for i := range 20 {
			to := other
			if i == 7 {
				to = Absent
			}
			m, id := h.next(me, to), s.NewID()
			mu.Lock()
			sent[id] = m
			mu.Unlock()
			if err := s.Message(jid.MustParse(to+"@localhost"), id, m); err != nil {
				return
			}
			burst = append(burst, m)
		}
		if err := s.Ping(ctx); err != nil {
			return
		}
		h.know("answered", burst...)
		mu.Lock()
		clear(sent)
		mu.Unlock()
	}
}
