// Package load has clients that write to each other, lose their connections, resume, send again and catch up, and note
// all of it in a history (imtest/history). Only tests import it.
//
//	Run        everybody talks; then all is sent again until it is counted; then everybody reads what there is for him;
//	           then the archives are read from end to end
//	device     one client: its script, what it has sent and what it has seen (device.go, script.go)
//	link       one connection of it (link.go, signin.go)
//	walk       reading the archive by pages (walk.go)
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"parley/imtest/history"
	"parley/xmpp/xml"
)

// Options say who talks, how much, and what happens to their connections. Chances are between 0 and 1, per round.
type Options struct {
	Recorder *history.Recorder
	Dial     func(context.Context) (nc net.Conn, direct bool, err error) // direct: TLS from the first byte
	Password string                                                      // of every account
	Seed     uint64

	Pairs   int           // of accounts, which write to each other
	Devices int           // of each account
	Rounds  int           // of each device
	Burst   int           // messages in a round, at most
	Pause   time.Duration // behind the messages of a round, at most; 0: 3 ms

	Cut      float64 // the connection is destroyed
	Half     float64 // the client says that it will write no more, and reads on
	Takeover float64 // resumed elsewhere while the connection still lives
	Leave    float64 // the session is ended in order
	Anew     float64 // what was lost is not resumed: a new session
	Again    float64 // what is not counted yet is sent again on the same stream
	GiveUp   float64 // what the server says that it does not have is not sent again
	Read     float64 // the archive is read to its end
	Forge    float64 // a message bears stanza-ids that only the server may give

	Patience time.Duration // how long an answer may take before the history says that there was none; 0: 30 s (P9)
	// Between sees everything that the server sends to a client, as somebody on the way could; what it returns is read in its place.
	Between func(client string, el *xml.Element) []*xml.Element
}

// Accounts are the names of the accounts that n pairs need.
func Accounts(pairs int) []string {
	var names []string
	for i := range 2 * pairs {
		names = append(names, fmt.Sprintf("u%d", i))
	}
	return names
}

// Run lets everybody talk and returns when the archives were read. An error is one of the test, not of the server:
// what the server does wrong is in the history.
func Run(ctx context.Context, o Options) error {
	g := New(o)
	defer g.Close()
	if err := g.Talk(ctx, nil); err != nil {
		return err
	}
	return g.Finish(ctx)
}

// Group are the devices of one Run, for tests that do something in between.
type Group struct {
	o       Options
	devices []*device
}

// New makes the devices; none has a connection.
func New(o Options) *Group {
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	if o.Pause == 0 {
		o.Pause = 3 * time.Millisecond
	}
	g := &Group{o: o}
	for i, name := range Accounts(o.Pairs) {
		for k := range o.Devices {
			g.devices = append(g.devices, &device{
				o: &g.o, account: name, name: fmt.Sprintf("%s/d%d", name, k), first: k == 0, partner: fmt.Sprintf("u%d", i^1),
				rng: rand.New(rand.NewPCG(o.Seed, uint64(i)<<8|uint64(k))), waiting: map[string]chan *xml.Element{}, changed: make(chan struct{}),
			})
		}
	}
	return g
}

// each runs one step of all devices and waits for them.
func (g *Group) each(step func(*device) error) error {
	var work sync.WaitGroup
	errs := make([]error, len(g.devices))
	for i, d := range g.devices {
		work.Go(func() {
			if err := step(d); err != nil {
				errs[i] = fmt.Errorf("load: %s: %w", d.name, err)
			}
		})
	}
	work.Wait()
	return errors.Join(errs...)
}

// Connect brings every device online.
func (g *Group) Connect(ctx context.Context) error {
	return g.each(func(d *device) error { return d.online(ctx) })
}

// Settle waits until everybody has received what there is for him.
func (g *Group) Settle(ctx context.Context) error {
	return g.each(func(d *device) error { return d.received(ctx) })
}

// Talk is what everybody does for Rounds, or until done is closed.
func (g *Group) Talk(ctx context.Context, done <-chan struct{}) error {
	return g.each(func(d *device) error { return d.talk(ctx, done) })
}

// Finish comes to the end: all is counted, all is received, the archives are read; whoever fails at one does not fail at
// the next for that.
func (g *Group) Finish(ctx context.Context) error {
	var errs []error
	for _, step := range [...]func(*device, context.Context) error{(*device).settle, (*device).rest, (*device).audit} {
		errs = append(errs, g.each(func(d *device) error { return step(d, ctx) }))
	}
	return errors.Join(errs...)
}

// Shift moves the counts of resumable sessions on the wire forward, by their ids: of what the client sends, and of what
// it gets. The server's are moved by whoever calls it, while nobody has a connection.
func (g *Group) Shift(by func(id string) (out, in uint32)) {
	for _, d := range g.devices {
		d.mu.Lock()
		out, in := by(d.id)
		d.aheadOut += out
		d.aheadIn += in
		d.mu.Unlock()
	}
}

// Lose cuts all connections.
func (g *Group) Lose() {
	for _, d := range g.devices {
		d.drop()
	}
}

// Close lets everything go.
func (g *Group) Close() { g.Lose() }
