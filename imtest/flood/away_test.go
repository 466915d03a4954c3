package flood

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestFloodOfAbsent: somebody is away and is sent very many messages; then three of his devices sign in at once. The one
// that says that it is there is sent what it missed, the others page through the archive. All of them get everything, once,
// in the same order.
func TestFloodOfAbsent(t *testing.T) {
	total := 5000
	if long() {
		total = 200_000
	}
	names := []string{"away"}
	for i := range writers {
		names = append(names, fmt.Sprint("writer", i))
	}
	c := start(t, names...)
	resident, most := c.resident(t), c.watch(t)
	began := time.Now()
	each(writers, func(w int) {
		cl := c.bound(t, fmt.Sprint("writer", w))
		var b strings.Builder
		for n := range total / writers {
			fmt.Fprintf(&b, "<message type='chat' to='away@localhost'><body>%d %d and some words to fill the line, as people write them</body></message>", w, n)
			if n%100 == 99 {
				cl.Send(b.String())
				b.Reset()
			}
			if n%1000 == 999 {
				cl.Fence()
			}
		}
		cl.Send(b.String())
		cl.Fence()
	})
	took := time.Since(began)
	flooded := most()
	t.Logf("%d messages kept in %v, %.0f a second; resident: %d MiB, then at most %+d MiB",
		total, took.Round(time.Millisecond), float64(total)/took.Seconds(), resident>>10, (flooded-resident)>>10)

	resident, most = c.resident(t), c.watch(t)
	var devices [3][]message
	var work sync.WaitGroup
	for i := range devices {
		work.Go(func() { devices[i] = c.device(t, i == 0, total) })
	}
	work.Wait()
	grown := most() - resident
	t.Logf("resident while the devices read: %d MiB, then at most %+d MiB", resident>>10, grown>>10)
	if flooded > 160<<10 || grown > 64<<10 {
		t.Errorf("the server grew too much: %d MiB, and %+d MiB while the devices read", flooded>>10, grown>>10)
	}
	next := map[int]int{}
	for _, m := range devices[0] {
		var w, n int
		if _, err := fmt.Sscan(m.body, &w, &n); err != nil || n != next[w] {
			t.Fatalf("message %d of writer %d instead of %d (%v)", n, w, next[w], err)
		}
		next[w]++
	}
	for i, d := range devices {
		if len(d) != total || !slices.Equal(d, devices[0]) {
			t.Errorf("device %d has %d messages, or others than device 0", i, len(d))
		}
	}
}

// device signs in and gets all messages: as missed ones, or from the archive.
func (c *child) device(t *testing.T, missed bool, total int) (all []message) {
	began := time.Now()
	cl, _ := c.signIn(t, "away", 0)
	cl.Bind(fmt.Sprint("device-missed-", missed, began.UnixNano()))
	if missed {
		cl.Send("<presence/>")
		if el := cl.Read(); el.Name.Local != "presence" {
			t.Errorf("%s instead of the device's own presence", el)
		}
	}
	signedIn := time.Since(began)
	began = time.Now()
	how := "from the archive"
	if missed {
		how = "as missed"
		for counted := uint32(0); len(all) < total; {
			all = append(all, live(cl, &counted))
		}
	} else {
		all = archived(cl)
	}
	took := time.Since(began)
	if extra := cl.Drain(); slices.ContainsFunc(extra, isMessage) {
		t.Errorf("a device was sent more than there is: %s", extra[0])
	}
	rate := float64(len(all)) / took.Seconds()
	t.Logf("a device signed in in %v and read %d messages %s in %v: %.0f a second",
		signedIn.Round(time.Millisecond), len(all), how, took.Round(time.Millisecond), rate)
	if long() && (signedIn > time.Second || rate < 5000) {
		t.Errorf("a device signed in in %v and read %.0f messages a second", signedIn, rate)
	}
	return all
}
