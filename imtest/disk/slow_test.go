package disk

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/imtest"
	"parley/store"
	"parley/store/memory"
	"parley/store/storetest"
)

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestDiskStands lets the database stand still under load: at most 4 MiB, and the message in the hands of each session,
// wait for it; pings of those who wrote nothing, presence and signing in go on; no stream ends; and all that was sent
// arrives afterwards, once.
func TestDiskStands(t *testing.T) {
	const writers, each, text = 3, 4000, 2000 // 24 MB in all, more than the buffers of the connections take
	stall := time.Second
	if long() {
		stall = 30 * time.Second
	}
	e := storetest.NewFaulty(memory.New())
	s := imtest.Start(t, imtest.Options{Engine: e, Transport: imtest.TCP})
	names := []string{"reader", "idle", "late"}
	for i := range writers {
		names = append(names, fmt.Sprint("w", i))
	}
	s.Account(names...)
	reader, idle := s.Online(t, "reader/x"), s.Online(t, "idle/x")
	var senders []*imtest.Client
	for i := range writers {
		c := s.Online(t, fmt.Sprintf("w%d/x", i))
		c.Stream.SetPatience(stall + time.Minute)
		senders = append(senders, c)
	}
	imtest.Settle(append(senders, reader, idle)...)
	before := heap()
	gate := make(chan struct{})
	open := sync.OnceFunc(func() { close(gate) })
	t.Cleanup(open) // before the server is stopped
	var waits atomic.Int64
	e.Before(func([]store.Op) error { <-gate; return nil })
	var sent atomic.Int64
	body := strings.Repeat("x", text)
	done := make(chan error, writers)
	for _, c := range senders {
		go func() {
			var err error
			for i := 0; i < each && err == nil; i++ {
				err = c.Stream.Write(fmt.Appendf(nil, "<message to='reader@localhost' type='chat' id='%d'><body>%d %s</body></message>", i, i, body))
				sent.Add(1)
			}
			done <- err
		}()
	}
	until := time.Now().Add(stall)
	for last := int64(-1); last != sent.Load() || time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		last = sent.Load()
		began := time.Now()
		idle.Fence()
		waits.Store(max(waits.Load(), int64(time.Since(began))))
	}
	grown := heap() - before
	if n := sent.Load(); n == writers*each {
		t.Error("nobody had to wait")
	}
	if grown > 16<<20 { // the batch, what its texts are in the outboxes, and the buffers of the connections
		t.Errorf("%d MiB more than before", grown>>20)
	}
	late := s.Connect(t, "late/x")
	late.Send("<presence><status>late</status></presence>")
	heard(t, idle, "late")
	for range 50 { // more than the reader's outbox has room for, which waits for the disk: he is not to blame
		idle.Send("<presence><status>again</status></presence>")
	}
	idle.Send("<presence><status>waiting</status></presence>")
	heard(t, late, "waiting")
	t.Logf("%d messages were sent, then the writers waited; %d MiB more than before; a ping took %v at most",
		sent.Load(), grown>>20, time.Duration(waits.Load()).Round(time.Millisecond))
	if long() && time.Duration(waits.Load()) > 100*time.Millisecond {
		t.Error("that is long")
	}
	e.Before(nil)
	open()
	next := map[string]int{}
	for n := 0; n < writers*each; {
		el := reader.Read()
		if el.Name.Local != "message" {
			continue
		}
		from, i := el.Attr("from"), next[el.Attr("from")]
		if !strings.HasPrefix(el.First().Text(), fmt.Sprint(i, " ")) {
			t.Fatalf("message %d of %s is %.200s", i, from, el)
		}
		next[from]++
		n++
	}
	for range writers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	for _, c := range senders {
		c.Fence() // the stream lives, and nothing was refused
	}
}

// TestDiskSlow gives each fsync 200 ms: whoever writes nothing has his pings answered at once, and batches carry a
// thousand messages a second all the same.
func TestDiskSlow(t *testing.T) {
	const writers, burst, rounds = 20, 50, 3
	e := storetest.NewFaulty(memory.New())
	s := imtest.Start(t, imtest.Options{Engine: e, Transport: imtest.TCP})
	names := []string{"idle"}
	for i := range writers {
		names = append(names, fmt.Sprint("w", i))
	}
	s.Account(names...)
	idle := s.Online(t, "idle/x")
	var senders []*imtest.Client
	for i := range writers {
		senders = append(senders, s.Online(t, fmt.Sprintf("w%d/x", i)))
	}
	imtest.Settle(append(senders, idle)...)
	e.Before(func([]store.Op) error { time.Sleep(200 * time.Millisecond); return nil })
	began := time.Now()
	done := make(chan time.Duration, writers)
	for i, c := range senders {
		go func() {
			var longest time.Duration
			for range rounds {
				from := time.Now()
				for n := range burst {
					_ = c.Stream.Write(fmt.Appendf(nil, "<message to='w%d@localhost' type='chat' id='%d'><body>x</body></message>", (i+1)%writers, n))
				}
				c.Drain() // a ping that covers them
				longest = max(longest, time.Since(from))
			}
			done <- longest
		}()
	}
	var accepted, ping time.Duration
	for ended := 0; ended < writers; {
		select {
		case d := <-done:
			ended++
			accepted = max(accepted, d)
		default:
			from := time.Now()
			idle.Fence()
			ping = max(ping, time.Since(from))
		}
	}
	took := time.Since(began)
	rate := float64(writers*burst*rounds) / took.Seconds()
	t.Logf("%.0f messages a second, accepted within %v; an idle client's ping within %v", rate, accepted.Round(time.Millisecond), ping.Round(time.Millisecond))
	if long() && (rate < 1000 || accepted > 700*time.Millisecond || ping > 100*time.Millisecond) {
		t.Error("that is slow")
	}
	e.Before(nil)
}
