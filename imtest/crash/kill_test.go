package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/auth"
	"parley/client"
	"parley/config"
	"parley/server"
	"parley/store"
	"parley/store/sqlite"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

const password = "correct horse battery"

// pairs talk to each other; what they write to the absent one is kept.
var pairs = [][2]string{{"anna", "bert"}, {"carl", "dora"}, {"emil", "faye"}, {"gina", "hugo"}}

const absent = "zoe"

// history is what clients know for certain: what somebody was shown, and what a later iq result answered for.
type history struct {
	mu      sync.Mutex
	certain map[string]string // message to how we know; guarded by mu
	seq     map[string]int    // last number of each sender; guarded by mu
}

func (h *history) know(how string, messages ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range messages {
		h.certain[m] = how
	}
}

// next is a message that nobody has written before: sender, recipient and number.
func (h *history) next(from, to string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq[from]++
	return fmt.Sprintf("%s %s %d", from, to, h.seq[from])
}

// talk lets one account write until the server dies: bursts, each followed by a ping whose answer covers it.
func (h *history) talk(addr, me, other string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := client.Dial(ctx, client.Config{
		HostPort: addr, User: me, Password: password, Resource: "test", Insecure: true,
		Handle: func(e client.Event) {
			if m, ok := e.(client.Message); ok {
				h.know("received", m.Body)
			}
		},
	})
	if err != nil {
		return err
	}
	defer s.Close(ctx)
	if err := s.Start(ctx); err != nil {
		return nil
	}
	for {
		var burst []string
		for i := range 20 {
			to := other
			if i == 7 {
				to = absent
			}
			m := h.next(me, to)
			if err := s.Message(jid.MustParse(to+"@localhost"), s.NewID(), m); err != nil {
				return nil
			}
			burst = append(burst, m)
		}
		if err := s.Ping(ctx); err != nil {
			return nil
		}
		h.know("answered", burst...)
	}
}

// kill runs servers under load on one data directory and kills each of them with SIGKILL at a random time.
func kill(t *testing.T, dir string, rounds int, unheld bool, check func(*history) []string) []string {
	h := &history{certain: map[string]string{}, seq: map[string]int{}}
	for round := range rounds {
		c := start(t, dir, unheld)
		var work sync.WaitGroup
		for _, p := range pairs {
			for i := range p {
				work.Go(func() {
					if err := h.talk(c.addr, p[i], p[1-i]); err != nil && round == 0 {
						t.Logf("%s: %v", p[i], err)
					}
				})
			}
		}
		time.Sleep(time.Duration(150+rand.IntN(500)) * time.Millisecond)
		c.end(syscall.SIGKILL)
		work.Wait()
		if lost := check(h); len(lost) > 0 {
			return lost
		}
	}
	if len(h.certain) < rounds*20 {
		t.Errorf("only %d messages in %d rounds: that is no load", len(h.certain), rounds)
	}
	t.Logf("%d kills, %d messages known for certain", rounds, len(h.certain))
	return nil
}

// prepare makes a data directory with the accounts.
func prepare(t *testing.T) string {
	dir := t.TempDir()
	within(t, dir, func(ctx context.Context, st *store.Store) {
		if _, err := server.RecordDomain(ctx, st, config.Default()); err != nil {
			t.Fatal(err)
		}
		a, err := auth.Open(ctx, st, auth.Options{Domain: "localhost", Iterations: 4096})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range append(pairs, [2]string{absent, "yves"}) {
			for _, name := range p {
				if _, err := a.Add(ctx, name, password); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
	return dir
}

// within opens the store of a data directory that no server uses.
func within(t *testing.T, dir string, f func(context.Context, *store.Store)) {
	t.Helper()
	engine, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st := store.New(engine, store.Options{})
	var run sync.WaitGroup
	run.Go(func() { _ = st.Run(context.Background()) })
	defer run.Wait()
	defer st.Close(context.Background())
	f(context.Background(), st)
}

// audit compares the archives with what clients know. It returns what refutes the promise.
func audit(t *testing.T, dir string, h *history) (wrong []string) {
	within(t, dir, func(ctx context.Context, st *store.Store) {
		a, err := auth.Open(ctx, st, auth.Options{Domain: "localhost", Iterations: 4096})
		if err != nil {
			t.Fatal(err)
		}
		kept := map[string]int{} // "owner: message" to how often
		for _, acct := range a.All() {
			var want store.ID = 1
			last := map[string]int{}
			for e, err := range st.Log.Range(ctx, acct.Owner, store.Query{}) {
				if err != nil {
					t.Fatal(err)
				}
				if e.ID != want {
					wrong = append(wrong, fmt.Sprintf("%s: entry %d follows %d", acct.Name, e.ID, want-1))
				}
				want = e.ID + 1
				m := body(t, e)
				if m == "" { // a receipt
					continue
				}
				kept[acct.Name+": "+m]++
				words := strings.Fields(m)
				way := words[0] + " " + words[1]
				n, _ := strconv.Atoi(words[2])
				if n <= last[way] {
					wrong = append(wrong, fmt.Sprintf("%s: %s comes after number %d", acct.Name, m, last[way]))
				}
				last[way] = n
			}
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		for m, how := range h.certain {
			words := strings.Fields(m)
			for _, owner := range words[:2] {
				if n := kept[owner+": "+m]; n != 1 {
					wrong = append(wrong, fmt.Sprintf("%q was %s, and is %d times in the archive of %s", m, how, n, owner))
				}
			}
		}
	})
	return wrong
}

func body(t *testing.T, e store.Entry) string {
	t.Helper()
	el, err := xml.Parse(string(e.Body), stanza.NSClient, xml.Limits{})
	if err != nil {
		t.Fatalf("entry %d: %v", e.ID, err)
	}
	st, err := stanza.Parse(el)
	if err != nil {
		t.Fatalf("entry %d: %v", e.ID, err)
	}
	return st.Body()
}

// rounds is how often a server is killed.
func rounds() int {
	switch {
	case os.Getenv("PARLEY_LONG") != "":
		return 200
	case testing.Short():
		return 3
	}
	return 20
}

// TestKill: what anybody was shown, or what an iq result answered for, survives kill -9; in both archives, once, in order.
func TestKill(t *testing.T) {
	dir := prepare(t)
	for _, w := range kill(t, dir, rounds(), false, func(h *history) []string { return audit(t, dir, h) }) {
		t.Error(w)
	}
}

// TestKillSeesLoss proves that TestKill can fail: a server whose writers ignore the durable mark loses what it showed.
func TestKillSeesLoss(t *testing.T) {
	dir := prepare(t)
	lost := kill(t, dir, 20, true, func(h *history) []string { return audit(t, dir, h) })
	if len(lost) == 0 {
		t.Fatal("20 kills of a server that does not wait for the disk, and nothing was lost")
	}
	t.Logf("%d violations, for example: %s", len(lost), lost[0])
}
