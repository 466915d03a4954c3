// Package crash kills whole servers under load and looks at what is left.
package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/auth"
	"parley/imtest/proc"
	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

func TestMain(m *testing.M) { proc.Main(m) }

// kill runs servers under load on one data directory and kills each of them with SIGKILL at a random time.
func kill(t *testing.T, dir string, rounds int, unheld bool, check func(*proc.History) []string) []string {
	h := proc.NewHistory()
	for range rounds {
		c := proc.Start(t, dir, proc.Options{Unheld: unheld})
		wait := h.Load(t.Context(), c.Addr)
		time.Sleep(time.Duration(150+rand.IntN(500)) * time.Millisecond)
		c.End(syscall.SIGKILL)
		wait()
		if lost := check(h); len(lost) > 0 {
			return lost
		}
	}
	n := len(h.Certain())
	if n < rounds*20 {
		t.Errorf("only %d messages in %d rounds: that is no load", n, rounds)
	}
	t.Logf("%d kills, %d messages known for certain", rounds, n)
	return nil
}

// audit compares the archives with what clients know. It returns what refutes the promise.
func audit(t *testing.T, dir string, h *proc.History) (wrong []string) {
	proc.Within(t, dir, func(ctx context.Context, st *store.Store) {
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
		for m, how := range h.Certain() {
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

func prepared(t *testing.T) string {
	dir := t.TempDir()
	proc.Prepare(t, dir)
	return dir
}

// TestKill: what anybody was shown, or what an iq result answered for, survives kill -9; in both archives, once, in order.
func TestKill(t *testing.T) {
	dir := prepared(t)
	for _, w := range kill(t, dir, rounds(), false, func(h *proc.History) []string { return audit(t, dir, h) }) {
		t.Error(w)
	}
}

// TestKillSeesLoss proves that TestKill can fail: a server whose writers ignore the durable mark loses what it showed.
func TestKillSeesLoss(t *testing.T) {
	dir := prepared(t)
	lost := kill(t, dir, 20, true, func(h *proc.History) []string { return audit(t, dir, h) })
	if len(lost) == 0 {
		t.Fatal("20 kills of a server that does not wait for the disk, and nothing was lost")
	}
	t.Logf("%d violations, for example: %s", len(lost), lost[0])
}
