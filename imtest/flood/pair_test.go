package flood

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"parley/imtest/proc"
	"parley/xmpp/stream"
)

// chat is people who talk to each other and read what they get.
type chat struct {
	writing sync.WaitGroup
	reading sync.WaitGroup
	end     chan struct{}

	mu    sync.Mutex
	times []time.Duration // from writing to reading; guarded by mu
}

// talk has the pairs of package proc begin: 50 messages a second each.
func (c *child) talk(t *testing.T) *chat {
	t.Helper()
	ch := &chat{end: make(chan struct{})}
	for _, p := range proc.Pairs() {
		from, to := c.bound(t, p[0]), c.bound(t, p[1])
		to.Send("<presence/>")
		to.Settle()
		_ = to.Stream.SetReadDeadline(time.Time{})
		ch.writing.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-ch.end:
					from.Send("<message type='chat' to='" + p[1] + "@localhost'><body>0</body></message>")
					return
				case <-tick.C:
					from.Send(fmt.Sprintf("<message type='chat' to='%s@localhost'><body>%d</body></message>", p[1], time.Now().UnixNano()))
				}
			}
		})
		ch.reading.Go(func() { ch.read(t, to.Stream) })
	}
	return ch
}

func (ch *chat) read(t *testing.T, s *stream.Conn) {
	for {
		el, err := s.Read()
		if err != nil {
			t.Errorf("somebody who reads and writes lost the connection: %v", err)
			return
		}
		at, err := strconv.ParseInt(text(el), 10, 64)
		if err != nil {
			t.Errorf("%s: %v", el, err)
			return
		}
		if at == 0 {
			return
		}
		ch.mu.Lock()
		ch.times = append(ch.times, time.Since(time.Unix(0, at)))
		ch.mu.Unlock()
	}
}

// took returns the times of the messages since it was called last: how many, the median, and what 99 of 100 stay below.
func (ch *chat) took() (n int, p50, p99 time.Duration) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	n = len(ch.times)
	if n > 0 {
		slices.Sort(ch.times)
		p50, p99 = ch.times[n/2], ch.times[n*99/100]
	}
	ch.times = nil
	return n, p50.Round(10 * time.Microsecond), p99.Round(10 * time.Microsecond)
}

// stop waits until everything that was written has been read.
func (ch *chat) stop() {
	close(ch.end)
	ch.writing.Wait()
	ch.reading.Wait()
}
