package crash

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"parley/client"
	"parley/imtest/proc"
	"parley/xmpp/jid"
)

// TestAcceptedRate measures, and asserts nothing of it, how fast messages are accepted: on the disk in both archives, and
// acknowledged. The clients are Parley's own, in this process, on the same processors.
func TestAcceptedRate(t *testing.T) {
	if os.Getenv("PARLEY_LONG") == "" {
		t.Skip("figures are for PARLEY_LONG=1")
	}
	const writers, length = 20, 10 * time.Second
	var names []string
	for i := range 2 * writers {
		names = append(names, fmt.Sprintf("rate%d", i))
	}
	dir := t.TempDir()
	proc.Prepare(t, dir, names...)
	server := proc.Start(t, dir, proc.Options{})
	defer server.End(syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	sessions := make([]*client.Session, len(names))
	for i, name := range names {
		s, err := client.Dial(ctx, client.Config{HostPort: server.Addr, User: name, Password: proc.Password, Resource: "test", Insecure: true})
		if err == nil {
			err = s.Start(ctx)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close(ctx)
		sessions[i] = s
	}
	body := strings.Repeat("x", 64)
	for _, window := range []int{1, 8, 64} {
		var n atomic.Int64
		var work sync.WaitGroup
		var mu sync.Mutex
		var waits []time.Duration
		end := time.Now().Add(length)
		for i := range writers {
			work.Go(func() {
				s, to := sessions[2*i], jid.MustParse(names[2*i+1]+"@localhost")
				var own []time.Duration
				for time.Now().Before(end) {
					began := time.Now()
					for range window {
						if err := s.Message(to, s.NewID(), body); err != nil {
							t.Error(err)
							return
						}
					}
					if err := s.Settle(ctx); err != nil {
						t.Error(err)
						return
					}
					own = append(own, time.Since(began))
					n.Add(int64(window))
				}
				mu.Lock()
				waits = append(waits, own...)
				mu.Unlock()
			})
		}
		work.Wait()
		slices.Sort(waits)
		if len(waits) == 0 {
			t.Fatal("nothing was accepted")
		}
		at := func(q float64) time.Duration {
			return waits[min(len(waits)-1, int(q*float64(len(waits))))].Round(10 * time.Microsecond)
		}
		t.Logf("%d writers, %d messages at a time: %.0f accepted a second, a time takes %v (median), %v (99 of 100)",
			writers, window, float64(n.Load())/length.Seconds(), at(.5), at(.99))
	}
}
