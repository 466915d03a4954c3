package sim

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// state is what a sender knows of a message.
type state uint8

const (
	unknown  state = iota // unacknowledged
	accepted              // an answer covered it
	handled               // so was it, on a new connection: the error that says otherwise may still come
	refused               // it came back with an error
)

// message is one that somebody wrote. It is known by its id, which is its origin-id and its text, too.
type message struct {
	id   string
	from *device
	to   string // account
	n    int    // grows with every message of this device to this account
	born time.Time

	state state     // guarded by from.mu
	how   string    // how its sender knows; guarded by from.mu
	known time.Time // since when; likewise
}

// copied is one copy of a message that a device was given.
type copied struct {
	m   *message
	id  string // stanza-id
	how string
}

// device is a client of somebody, with what it remembers while it is not connected.
type device struct {
	w        *world
	account  string
	resource string
	archive  bool // catches up from the archive
	carbons  bool
	managing bool // uses stream management

	r *rand.Rand // owned by live, then by rest

	mu      sync.Mutex
	count   map[string]int    // messages written, by recipient; this and all below is guarded by mu
	sent    []*message        // in order
	seen    map[string]string // messages to or from this account that came, and how first
	fresh   map[string]string // messages that came live: in which session
	last    map[string]int    // highest number that came live, by sender and recipient
	copies  []copied          // all that came with an id
	managed *managed          // the stream that can be resumed, nil when there is none
	known   string            // stanza-id up to which there is no gap; "": from the beginning
	ids     int
	away    int                 // how often it was unavailable within a session
	notes   map[string]struct{} // what was refuted already
}

func (d *device) name() string { return d.account + "/" + d.resource }

// devices are what people have: an account with two that know the archive, one with one, and two with a plain client.
func devices(w *world, seed uint64) []*device {
	var all []*device
	for i, x := range []struct {
		name                      string
		archive, carbons, managed bool
	}{
		{"alice/a", true, true, true}, {"alice/b", true, false, false}, {"bob/a", true, true, true}, {"carol/a", false, false, true},
		{"dave/a", true, false, false}, {"dave/b", false, true, false},
	} {
		account, resource, _ := strings.Cut(x.name, "/")
		all = append(all, &device{
			w: w, account: account, resource: resource, archive: x.archive, carbons: x.carbons, managing: x.managed,
			r:     rand.New(rand.NewPCG(seed, uint64(10+i))),
			count: map[string]int{}, seen: map[string]string{}, fresh: map[string]string{}, last: map[string]int{}, notes: map[string]struct{}{},
		})
	}
	return all
}

// live is a device's life: it connects, does this and that, and is offline for a while.
func (d *device) live(until time.Time) {
	for time.Now().Before(until) {
		s, err := d.connect(true)
		if err != nil {
			d.idle(3000)
			continue
		}
		s.use(until)
		if d.r.IntN(4) == 0 {
			d.idle(20000)
		} else {
			d.idle(500)
		}
	}
}

// idle lets at most so many milliseconds pass.
func (d *device) idle(most int) { time.Sleep(time.Duration(d.r.IntN(most)) * time.Millisecond) }

// patience is how long everything together may take when all is well.
const patience = 5 * time.Minute

// rest connects over a good network and reads until there is nothing more.
func (d *device) rest() {
	until := time.Now().Add(patience)
	for time.Now().Before(until) {
		s, err := d.connect(false)
		if err != nil {
			d.w.note("%s does not get in: %v", d.name(), err)
			d.idle(1000)
			continue
		}
		if s.settle(until) {
			s.leave()
			return
		}
		s.drop()
		d.idle(1000)
	}
	d.w.refute("%s has not come to rest within %v", d.name(), patience)
}

// write makes a new message to somebody.
func (d *device) write() *message {
	to := people[d.r.IntN(len(people))]
	for to == d.account {
		to = people[d.r.IntN(len(people))]
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count[to]++
	m := &message{id: fmt.Sprintf("%s-%s-%d", d.name(), to, d.count[to]), from: d, to: to, n: d.count[to], born: time.Now()}
	d.sent = append(d.sent, m)
	d.w.mu.Lock()
	d.w.messages[m.id] = m
	d.w.mu.Unlock()
	return m
}

// got takes note of a copy of a message. session is where it came live, "" when it came from the archive.
func (d *device) got(text, id, session, how string) {
	d.w.mu.Lock()
	m := d.w.messages[text]
	d.w.mu.Unlock()
	switch {
	case m == nil:
		d.w.refute("%s was given what nobody wrote: %q", d.name(), text)
		return
	case m.to != d.account && m.from.account != d.account:
		d.w.refute("%s was given what is not for it: %s", d.name(), m.id)
		return
	case how == "live" && m.from.account == d.account:
		d.w.refute("%s was given its own account's %s as if it were for it", d.name(), m.id)
	case id == "":
		d.w.refute("%s was given %s (%s) without a stanza-id", d.name(), m.id, how)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	first := d.seen[m.id] == ""
	if first {
		d.seen[m.id] = stamp() + how
	}
	d.w.trace("%s is given %s, %s", d.name(), m.id, how)
	d.copies = append(d.copies, copied{m, id, how})
	if session == "" {
		return
	}
	if !d.managing { // what was being written when it went away comes again
		session += fmt.Sprintf(", away %d times", d.away)
	}
	before := d.fresh[how+" "+m.id]
	d.fresh[how+" "+m.id] = session
	copied := d.carbons && d.away > 0 // while it was away it had copies, which are sent again as they are in the Log
	if before == session && !copied {
		d.w.refute("%s was given %s twice in %s", d.name(), m.id, session)
	}
	way := how + " " + m.from.name() + " " + m.to
	if first && m.n < d.last[way] && !copied && !d.w.disk.wasFull(m.born, time.Now()) { // see readArchive
		d.w.refute("%s was given %s after number %d", d.name(), m.id, d.last[way])
	}
	d.last[way] = max(d.last[way], m.n)
}

// learn notes what has become of messages that the device wrote.
func (d *device) learn(s state, how string, list ...*message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.w.trace("%s learns of %d messages: %d, %s", d.name(), len(list), s, how)
	for _, m := range list {
		switch {
		case m.state == unknown:
			m.state, m.how, m.known = s, stamp()+how, time.Now()
		case m.state == handled && s == refused: // the error was still on its way when the connection broke
			m.state, m.how, m.known = s, stamp()+how, time.Now()
		case m.state == handled && s == accepted:
			m.state, m.how, m.known = s, stamp()+how, time.Now()
		case m.state == accepted && s == refused:
			d.w.refute("%s was accepted (%s) and then refused (%s)", m.id, m.how, how)
		}
	}
}

// unsure are the messages of which the device does not know what has become of them.
func (d *device) unsure() (list []*message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.sent {
		if m.state == unknown {
			list = append(list, m)
		}
	}
	return list
}

// number is one that no other request of the device has.
func (d *device) number() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ids++
	return d.ids
}
