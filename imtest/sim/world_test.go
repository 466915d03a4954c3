package sim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/c2s"
	"parley/config"
	"parley/server"
	"parley/store"
	"parley/store/memory"
)

const password = "correct horse battery"

// people are the accounts. Each has the devices that devices makes.
var people = []string{"alice", "bob", "carol", "dave"}

// plan says what is not as it should be; the zero value is a world whose promises have to hold.
type plan struct {
	unheld bool // the server shows what is not yet on the disk
	log    *slog.Logger
	trace  bool // the story has every message
}

// world is one seed: a disk, the servers that ran on it one after the other, the devices of people, and what happens.
type world struct {
	plan    plan
	disk    *disk
	keys    map[string]keys
	resume  int       // seconds that a session outlives its connection
	end     time.Time // when nothing more happens to anybody
	devices []*device
	runs    sync.WaitGroup // of servers

	mu       sync.Mutex
	now      *run                // the server that takes connections, nil while there is none; this and all below is guarded by mu
	crashes  int                 // how many of them did not end in order
	messages map[string]*message // by id
	wrong    []string
	story    []string // what happened, for whoever has to understand a failure
}

// note writes into the story.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, stamp()+fmt.Sprintf(format, args...))
}

// trace is note for what happens too often to be told always.
func (w *world) trace(format string, args ...any) {
	if w.plan.trace {
		w.note(format, args...)
	}
}

// refute says that a promise was broken.
func (w *world) refute(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, stamp()+fmt.Sprintf(format, args...))
}

// stamp is the time of the bubble, whose clock begins at midnight.
func stamp() string { return time.Now().UTC().Format("04:05.000 ") }

// settings are those of every server: no rates, since time is not real here.
func settings(resume int) (config.Config, error) {
	args := map[string]config.Arg{}
	for key, value := range map[string]string{
		"auth.iterations": "4096", "limits.rates": "false", "data": "/nowhere", "resume_time": strconv.Itoa(resume),
	} {
		args[key] = config.Arg{Text: value, Name: key}
	}
	c, err := config.Load(config.Sources{Args: args})
	if err == nil {
		err = c.Validate()
	}
	return c, err
}

// base is what all seeds begin with.
type base struct {
	batches [][]store.Op // on the disk
	keys    map[string]keys
}

// prepare makes the accounts, once for all seeds.
func prepare(t *testing.T) base {
	t.Helper()
	e := &recorder{Engine: memory.New()}
	c, err := settings(600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	srv, err := server.NewWith(ctx, c, slog.New(slog.DiscardHandler), server.Parts{Engine: e, Version: "0-test", Carried: true})
	if err != nil {
		t.Fatal(err)
	}
	b := base{keys: map[string]keys{}}
	for _, name := range people {
		if _, err := srv.Accounts().Add(ctx, name, password); err != nil {
			t.Fatal(err)
		}
		b.keys[name] = makeKeys(t, srv.Accounts().Credentials(name))
	}
	stop()
	if err := srv.Serve(ctx); err != nil {
		t.Fatal(err)
	}
	b.batches = e.batches
	return b
}

// run is one server, from its start to its end.
type run struct {
	srv   *server.Server
	mount *mount
	stop  context.CancelFunc // in order
	base  context.Context    // of the connections; ends after the server
	ended chan struct{}

	crashes int // of servers before this one; fixed once it takes connections

	err error     // of Serve; read after ended, like at
	at  time.Time // when it returned

	mu    sync.Mutex
	links []*link // guarded by mu
	dead  bool    // guarded by mu
}

// boot starts a server on what the disk holds, and tries again as long as the disk lets it not.
func (w *world) boot(r *rand.Rand) {
	for {
		n, err := w.start(r)
		if err == nil {
			w.mu.Lock()
			w.now = n
			n.crashes = w.crashes
			w.mu.Unlock()
			w.note("the server is up")
			return
		}
		w.note("the server does not start: %v", err)
		time.Sleep(time.Second)
	}
}

func (w *world) start(r *rand.Rand) (*run, error) {
	c, err := settings(w.resume)
	if err != nil {
		return nil, err
	}
	n := &run{mount: w.disk.mount(rand.New(rand.NewPCG(r.Uint64(), 2))), ended: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	n.srv, err = server.NewWith(ctx, c, w.plan.log, server.Parts{
		Engine: n.mount, Store: store.Options{Unheld: w.plan.unheld}, Version: "0-test", Carried: true,
	})
	if err != nil {
		stop()
		return nil, err
	}
	base, cut := context.WithCancel(context.Background())
	n.stop, n.base = stop, base
	w.runs.Go(func() {
		defer cut()
		defer close(n.ended)
		n.err = n.srv.Serve(ctx)
		n.at = time.Now()
	})
	for _, name := range people { // what an account's lock is held for must not take time: nobody in a bubble waits for a mutex
		if _, err := n.srv.Clients().Hall.Account(ctx, name); err != nil {
			stop()
			<-n.ended
			return nil, err
		}
	}
	return n, nil
}

// crash is a power cut: the disk stops where it is, and so does the network. What is left of the server does not matter
// any more, but has to come to an end.
func (w *world) crash(n *run) {
	w.mu.Lock()
	w.now = nil
	w.crashes++
	w.mu.Unlock()
	n.mount.crash()
	n.mu.Lock()
	n.dead = true
	links := n.links
	n.mu.Unlock()
	for _, l := range links {
		l.cut()
	}
	n.stop()
}

var errRefused = errors.New("connection refused")

// dial connects to the server that runs, if one does.
func (w *world) dial(r *rand.Rand, faults bool) (l *link, near net.Conn, crashes int, err error) {
	n := w.server()
	l, near, far := newLink(r, faults)
	if n == nil {
		return nil, nil, 0, errRefused
	}
	n.mu.Lock()
	if n.dead {
		n.mu.Unlock()
		return nil, nil, 0, errRefused
	}
	n.links = append(n.links, l)
	n.mu.Unlock()
	n.srv.Clients().Carry(n.base, far, c2s.Insecure)
	return l, near, n.crashes, nil
}

// orderly is how long a server may take to stop when the disk works.
const orderly = 20 * time.Second

// stopServer stops a server in order and waits for it.
func (w *world) stopServer(n *run, calm bool) {
	w.mu.Lock()
	w.now = nil
	w.mu.Unlock()
	n.stop()
	began := time.Now()
	<-n.ended
	_, broke := n.mount.broke()
	if calm && (n.err != nil && !broke || time.Since(began) > orderly) {
		w.refute("the server needed %v to stop in order: %v", time.Since(began), n.err)
	}
	if n.err != nil || w.disk.wasFull(began, time.Now()) { // how far everybody was could not be written down
		w.mu.Lock()
		w.crashes++
		w.mu.Unlock()
	}
	w.note("the server has stopped: %v", n.err)
}

// happen lets things happen to the server and its disk until the end. It is the only one who starts and ends servers.
func (w *world) happen(r *rand.Rand) {
	w.boot(r)
	for {
		wait := min(time.Duration(r.IntN(12000))*time.Millisecond, time.Until(w.end))
		if wait <= 0 {
			return
		}
		select {
		case <-time.After(wait):
			w.event(r)
		case <-w.server().ended:
			w.fell(r)
		}
	}
}

func (w *world) server() *run {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// fell is what follows when a server has ended by itself.
func (w *world) fell(r *rand.Rand) {
	n := w.server()
	at, broke := n.mount.broke()
	if !broke {
		w.refute("the server has stopped, and nobody knows why: %v", n.err)
	} else if n.err == nil || n.at.Sub(at) > orderly {
		w.refute("the server stopped %v after the disk failed, with %v", n.at.Sub(at), n.err)
	}
	w.note("the server has stopped: %v", n.err)
	w.mu.Lock()
	w.now = nil
	w.crashes++
	w.mu.Unlock()
	w.pause(r)
	w.boot(r)
}

// pause is how long nobody serves.
func (w *world) pause(r *rand.Rand) {
	time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
}

// event is one thing that happens to the server.
func (w *world) event(r *rand.Rand) {
	n, d := w.server(), w.disk
	long := time.Duration(1+r.IntN(25)) * time.Second
	switch r.IntN(10) {
	case 0, 1, 2:
		w.note("power cut")
		w.crash(n)
		w.pause(r)
		w.boot(r)
	case 3, 4:
		w.note("the server is restarted")
		w.stopServer(n, false)
		w.pause(r)
		w.boot(r)
	case 5:
		w.note("the disk is full for %v", long)
		d.fill(long)
	case 6:
		w.note("the disk stalls")
		d.set(func() { d.hang = 30 * time.Second })
	case 7:
		w.note("the disk fails")
		d.set(func() { d.fail = true })
	case 8:
		w.note("reads are slow for %v", long)
		d.set(func() { d.slow = time.Now().Add(long) })
	case 9: // everybody loses the network, and nobody notices
		w.note("the network vanishes")
		n.mu.Lock()
		links := n.links
		n.mu.Unlock()
		for _, l := range links {
			l.vanish()
		}
	}
}

// live is a whole seed.
func (w *world) live(seed uint64) {
	w.end = time.Now().Add(40 * time.Second)
	w.messages = map[string]*message{}
	w.resume = []int{5, 20, 600, 600}[seed%4]
	w.devices = devices(w, seed)
	var all sync.WaitGroup
	for _, d := range w.devices {
		all.Go(func() { d.live(w.end) })
	}
	w.happen(rand.New(rand.NewPCG(seed, 1)))
	w.note("from now on all is well")
	w.disk.set(func() { w.disk.full, w.disk.slow, w.disk.hang, w.disk.fail = time.Time{}, time.Time{}, 0, false })
	all.Wait()
	w.reunite(seed)
	w.check()
	w.stopServer(w.server(), true)
	w.runs.Wait()
}

// reunite lets everybody connect once more over a good network, until nobody has anything to read.
func (w *world) reunite(seed uint64) {
	time.Sleep(time.Minute) // a commit that hangs is over, and a failure has come to its end
	if n := w.server(); isClosed(n.ended) {
		w.fell(rand.New(rand.NewPCG(seed, 3)))
	}
	var all sync.WaitGroup
	for _, d := range w.devices {
		all.Go(func() { d.rest() })
	}
	all.Wait()
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// report is what a failure says.
func (w *world) report() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	wrong, story := w.wrong, w.story
	more := ""
	if len(wrong) > 20 {
		wrong, more = wrong[:20], fmt.Sprintf("\n… and %d more", len(wrong)-20)
	}
	return strings.Join(wrong, "\n") + more + "\nwhat happened:\n" + strings.Join(story, "\n")
}
