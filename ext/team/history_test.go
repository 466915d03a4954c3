package team_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/ext/exttest"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
)

// serve runs what a server runs; stop ends it as SIGTERM does when sessions are closed, as kill -9 when not.
func serve(t *testing.T, e store.Engine, p *exttest.People) (h *exttest.Hall, stop func()) {
	t.Helper()
	h, x := start(t, e, p, options())
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { x.Run(ctx) })
	synctest.Wait()
	return h, func() {
		cancel()
		running.Wait()
		_ = h.Store().Close(context.Background())
	}
}

// TestRestart: an orderly restart loses nothing, and the time in between counts.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, p := memory.New(), exttest.Everybody("alice", "bob", "carol")
		h, stop := serve(t, e, p)
		h.Join("bob", "tui").Leave()
		bobLeft := stamp()
		time.Sleep(time.Hour)
		carol := h.Join("carol", "tui")
		time.Sleep(time.Hour)
		carol.Leave()
		carolLeft := stamp()
		stop()
		time.Sleep(30 * time.Minute)
		h, stop = serve(t, e, p)
		defer stop()
		alice := h.Join("alice", "tui")
		want(t, "20m", people(t, alice, "20m")[1:])
		want(t, "31m", people(t, alice, "31m")[1:], "carol offline "+carolLeft)
		want(t, "3h, longer than the server runs", people(t, alice, "3h")[1:], "bob offline "+bobLeft, "carol offline "+carolLeft)
	})
}

func stamp() string { return stanza.DateTime(time.Now()) }

// TestCrash: after a crash, who was online counts as seen until the last heartbeat, also after further restarts and
// crashes.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, p := memory.New(), exttest.Everybody("alice", "bob", "carol", "dave")
		h, kill := serve(t, e, p)
		h.Join("dave", "tui").Leave()
		daveLeft := stamp()
		h.Join("bob", "tui")
		time.Sleep(10*time.Minute + 30*time.Second)
		alive := stanza.DateTime(time.Now().Add(-30 * time.Second)) // the last full minute
		h.Join("carol", "tui")
		carolCame := stamp()
		time.Sleep(10 * time.Second)
		kill()
		time.Sleep(time.Hour)
		for round := range 3 {
			h, kill = serve(t, e, p)
			alice := h.Join("alice", "tui")
			want(t, "2d", people(t, alice, "2d")[1:], "bob offline "+alive, "carol offline "+carolCame, "dave offline "+daveLeft)
			want(t, "50m", people(t, alice, "50m")[1:])
			time.Sleep(time.Duration(round+1) * 10 * time.Minute) // heartbeats, because alice is here
			kill()
		}
		h, kill = serve(t, e, p)
		defer kill()
		bob := h.Join("bob", "tui")
		got := people(t, bob, "2d")[1:]
		want(t, "bob is back, alice was killed", got[1:], "carol offline "+carolCame, "dave offline "+daveLeft)
	})
}

// TestUnrepaired: a server that dies before it has done anything changes nothing.
func TestUnrepaired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, p := memory.New(), exttest.Everybody("alice", "bob")
		h, kill := serve(t, e, p)
		h.Join("bob", "tui")
		came := stamp()
		time.Sleep(20 * time.Second)
		kill()
		time.Sleep(time.Hour)
		again, _ := start(t, e, p, options()) // no Run
		_ = again.Store().Close(context.Background())
		time.Sleep(time.Hour)
		h, kill = serve(t, e, p)
		defer kill()
		alice := h.Join("alice", "tui")
		want(t, "1d", people(t, alice, "1d")[1:], "bob offline "+came)
	})
}

// TestPoison: values that nobody can read hide nothing else (C28).
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, p := memory.New(), exttest.Everybody("alice", "bob")
		h, stop := serve(t, e, p)
		h.Join("bob", "tui").Leave()
		left := stamp()
		err := h.Within(t.Context(), nil, func(j store.Journey) error {
			for i, bad := range []string{"", "x", "online", "online 5", "offline x bob", "asleep 1 bob", "offline 99999999999999999999 bob", "\xff\x00 1 b"} {
				if err := h.Store().KV.Set(j, store.Owner(100+i), "team/seen", []byte(bad)); err != nil {
					return err
				}
			}
			return h.Store().KV.Set(j, 0, "team/alive", []byte("yesterday"))
		})
		if err != nil {
			t.Fatal(err)
		}
		stop()
		h, stop = serve(t, e, p)
		defer stop()
		alice := h.Join("alice", "tui")
		want(t, "poisoned", people(t, alice, "1h")[1:], "bob offline "+left)
	})
}

// TestIdle: a server without anybody online writes nothing.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, p := memory.New(), exttest.Everybody("alice")
		h, stop := serve(t, e, p)
		defer stop()
		time.Sleep(10 * time.Minute)
		if v, err := h.Store().KV.Get(t.Context(), 0, "team/alive"); err == nil {
			t.Errorf("a heartbeat for nobody: %q", v)
		}
		h.Join("alice", "tui")
		time.Sleep(time.Minute + time.Second)
		if _, err := h.Store().KV.Get(t.Context(), 0, "team/alive"); err != nil {
			t.Errorf("no heartbeat: %v", err)
		}
	})
}
