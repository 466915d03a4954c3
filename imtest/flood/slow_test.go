package flood

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"parley/imtest"
	"parley/imtest/proc"
)

// slow is a client that hardly reads what it is sent.
type slow struct {
	name    string
	silent  bool // it reads nothing at all; else a byte each second
	managed bool // it has stream management, and its session can be resumed
	session string
	nc      net.Conn
}

const (
	writers  = 4
	bodySize = 4 << 10
)

// TestSlowReaders: many clients read next to nothing, each is sent messages of 4 KiB. The server's memory stays bounded,
// others do not wait longer for them than for somebody who is away, and they find everything when they come back: who resumes is sent all of it, once, in
// order; who does not is sent the end of it and finds the rest in the archive.
func TestSlowReaders(t *testing.T) {
	readers, messages, rate := 40, 400, 200 // rate: for each reader and second
	if long() {
		readers, messages, rate = 1000, 170, 1
	}
	var names []string
	for i := range writers {
		names = append(names, fmt.Sprint("writer", i))
	}
	list := make([]*slow, readers)
	for i := range list {
		list[i] = &slow{name: fmt.Sprint("slow", i), silent: i%2 == 0, managed: i%4 < 2}
		names = append(names, list[i].name)
	}
	c := start(t, names...)
	each(readers, func(i int) { list[i].come(t, c) })
	others := c.talk(t)
	write(t, c, slices.Repeat([]*slow{{name: proc.Absent}}, readers), messages/5, rate)
	n, p50, before := others.took()
	t.Logf("while as much is written to somebody who is away: %d messages between others, median %v, p99 %v", n, p50, before)

	resident, most := c.resident(t), c.watch(t)
	began := time.Now()
	stop := trickle(list)
	write(t, c, list, messages, rate)
	took, bytes := time.Since(began), stop()
	grown := most() - resident
	n, p50, p99 := others.took()
	others.stop()
	t.Logf("%d messages of %d KiB to each of %d clients in %v, of which they read %d bytes",
		messages, bodySize>>10, readers, took.Round(time.Second), bytes)
	t.Logf("meanwhile: %d messages between others, median %v, p99 %v", n, p50, p99)
	t.Logf("resident: %d MiB, then at most %+d MiB, %d KiB for each slow client", resident>>10, grown>>10, grown/readers)
	limit := readers * 614 // KiB
	if !long() {
		limit += 96 << 10 // what so many messages a second cost, whoever they are for
	}
	if raced() {
		limit *= 2
	}
	if grown > limit {
		t.Errorf("the server grew by %d MiB, %d are allowed", grown>>10, limit>>10)
	}
	if long() {
		first, last, given := c.gaveUp(t, began)
		t.Logf("%d connections given up, the first after %v, the last after %v", given, first, last)
		if given != readers || last > time.Minute {
			t.Errorf("%d of %d connections given up, the last after %v", given, readers, last)
		}
		if p99 > 2*before {
			t.Errorf("others waited %v, and %v before", p99, before)
		}
	}
	var unsent atomic.Int64 // the most that anybody found in the archive alone
	each(readers, func(i int) {
		if i%8 < 4 {
			_ = list[i].nc.Close() // else a resumption takes the session from its old connection
		}
		lost := list[i].back(t, c, messages)
		for old := unsent.Load(); int64(lost) > old && !unsent.CompareAndSwap(old, int64(lost)); old = unsent.Load() {
			continue
		}
	})
	t.Logf("without resumption up to %d messages were on their way and are in the archive alone", unsent.Load())
}

// come signs in, available, with a receive buffer of 4 KiB.
func (s *slow) come(t *testing.T, c *child) {
	var cl *imtest.Client
	cl, s.nc = c.signIn(t, s.name, 4<<10)
	cl.Bind("r")
	cl.Send("<presence/>")
	cl.Settle()
	if s.managed {
		cl.Send("<enable xmlns='" + nsSM + "' resume='true'/>")
		if s.session = cl.Read().Attr("id"); s.session == "" {
			t.Errorf("%s cannot be resumed", s.name)
		}
	}
	_ = s.nc.SetReadDeadline(time.Time{})
}

// trickle reads a byte each second from those that are not silent; stop ends that and says how many bytes it were.
func trickle(list []*slow) (stop func() (bytes int)) {
	done := make(chan struct{})
	var work sync.WaitGroup
	bytes := 0
	work.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		p := make([]byte, 1)
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			for _, s := range list {
				if s.silent {
					continue
				}
				_ = s.nc.SetReadDeadline(time.Now().Add(time.Millisecond))
				n, _ := s.nc.Read(p)
				bytes += n
			}
		}
	})
	return func() int {
		close(done)
		work.Wait()
		return bytes
	}
}

// write sends so many messages to each, at so many a second, and returns when the server has taken all of them. The
// writers keep no copies, so that the disk has each message once.
func write(t *testing.T, c *child, list []*slow, messages, rate int) {
	fill := strings.Repeat("x", bodySize)
	var work sync.WaitGroup
	for w := range writers {
		cl := c.bound(t, fmt.Sprint("writer", w))
		cl.Send("<iq type='set' id='prefs'><prefs xmlns='" + nsMAM + "' default='never'><always/><never/></prefs></iq>")
		cl.Fence()
		work.Go(func() {
			mine := slices.Collect(func(yield func(*slow) bool) {
				for i := w; i < len(list); i += writers {
					if !yield(list[i]) {
						return
					}
				}
			})
			tick := time.NewTicker(time.Second / time.Duration(rate*len(mine)))
			defer tick.Stop()
			for n := range messages {
				for _, s := range mine {
					<-tick.C
					cl.Send(fmt.Sprintf("<message type='chat' to='%s@localhost'><body>%s %d</body></message>", s.name, fill[:bodySize-1-len(strconv.Itoa(n))], n))
				}
			}
			cl.Fence()
		})
	}
	work.Wait()
}

// gaveUp is how long after began the server gave up the first and the last connection that took nothing.
func (c *child) gaveUp(t *testing.T, began time.Time) (first, last time.Duration, n int) {
	for line := range strings.Lines(c.Log()) {
		stamp, after, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		if !strings.Contains(after, `msg="not written"`) {
			continue
		}
		at, err := time.Parse(time.RFC3339, stamp)
		if err != nil {
			t.Fatal(err)
		}
		last = at.Sub(began).Round(time.Second)
		if n++; n == 1 {
			first = last
		}
	}
	return first, last, n
}

// back comes again with all the time in the world, and looks at what it gets. lost is how many of the messages came neither
// before nor now, but for the archive.
func (s *slow) back(t *testing.T, c *child, messages int) (lost int) {
	cl, _ := c.signIn(t, s.name, 0)
	next := 0
	if s.managed {
		cl.Begin()
		cl.Send(fmt.Sprintf("<resume xmlns='%s' previd='%s' h='0'/>", nsSM, s.session))
		if el := cl.Read(); el.Name.Local != "resumed" {
			t.Errorf("%s: %s", s.name, el)
			return 0
		}
	} else {
		cl.Bind("again")
		cl.Send("<presence/>")
		next = -1
	}
	for counted := uint32(0); next < messages; next++ {
		n := number(t, live(cl, &counted))
		if next < 0 {
			next, lost = n, n
		}
		if n != next {
			t.Errorf("%s was sent message %d instead of %d", s.name, n, next)
			return 0
		}
	}
	if extra := cl.Drain(); slices.ContainsFunc(extra, isMessage) {
		t.Errorf("%s was sent more than there is: %s", s.name, extra[0])
	}
	all := archived(cl)
	if len(all) != messages {
		t.Errorf("%s finds %d messages in the archive", s.name, len(all))
		return 0
	}
	for i, m := range all {
		if n := number(t, m); n != i {
			t.Errorf("%s finds message %d at place %d of the archive", s.name, n, i)
			return 0
		}
	}
	cl.Leave()
	return lost
}

// number is that of a message, which must be whole.
func number(t *testing.T, m message) int {
	_, after, _ := strings.Cut(m.body, " ")
	n, err := strconv.Atoi(after)
	if err != nil || len(m.body) != bodySize {
		t.Errorf("a message of %d bytes: %v", len(m.body), err)
	}
	return n
}
