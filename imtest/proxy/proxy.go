// Package proxy stands between clients and a server and does what networks do: it delays, splits, swallows, cuts and
// half-closes, by the dice of a seed. It carries bytes and knows no protocol, so it is the same for TLS. Only tests
// import it.
package proxy

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is what happens to one connection, once as many bytes have passed as the dice say.
type Fault uint8

// The faults.
const (
	None    Fault = iota
	Cut           // both sides get RST
	Half          // the way from the client to the server is closed in order, the other one a moment later
	Swallow       // nothing passes any more, and nobody is told; the connection is cut after Hole
)

// Options say how bad the network is. Chances are between 0 and 1, per connection.
type Options struct {
	Seed  uint64
	Cut   float64
	Half  float64
	Hole  float64       // chance of Swallow
	For   time.Duration // how long it swallows; 0: 50 ms
	After int           // bytes, both ways together, that pass at most before the fault; 0: 64 KiB
	Delay time.Duration // of each piece, at most
	Split bool          // pieces of any length from one byte on
}

// Proxy carries connections to one address.
type Proxy struct {
	o    Options
	to   string
	ln   net.Listener
	stop context.CancelFunc
	work sync.WaitGroup

	mu    sync.Mutex
	rng   *rand.Rand         // guarded by mu
	carry map[*pair]struct{} // guarded by mu

	count [4]atomic.Int64 // by Fault
	calm  atomic.Bool
}

// New listens on loopback and carries what comes to an address, until Close.
func New(to string, o Options) (*Proxy, error) {
	if o.After == 0 {
		o.After = 64 << 10
	}
	if o.For == 0 {
		o.For = 50 * time.Millisecond
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	p := &Proxy{o: o, to: to, ln: ln, stop: stop, rng: rand.New(rand.NewPCG(o.Seed, 1)), carry: map[*pair]struct{}{}}
	p.work.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			p.work.Go(func() { p.serve(ctx, near.(*net.TCPConn)) })
		}
	})
	return p, nil
}

// Addr is where clients connect to.
func (p *Proxy) Addr() string { return p.ln.Addr().String() }

// Count is how often a fault has happened.
func (p *Proxy) Count(f Fault) int { return int(p.count[f].Load()) }

// Calm ends the faults: connections are carried from now on without any, but with their delays.
func (p *Proxy) Calm() { p.calm.Store(true) }

// Close cuts all connections and waits for them.
func (p *Proxy) Close() {
	p.stop()
	_ = p.ln.Close()
	p.mu.Lock()
	for c := range p.carry {
		c.cut()
	}
	p.mu.Unlock()
	p.work.Wait()
}

// dice says what happens to the next connection, and after how many bytes.
func (p *Proxy) dice() (f Fault, after int, rng *rand.Rand) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.rng.Float64()
	for _, c := range [...]struct {
		Fault
		chance float64
	}{{Cut, p.o.Cut}, {Half, p.o.Half}, {Swallow, p.o.Hole}} {
		if x < c.chance {
			f = c.Fault
			break
		}
		x -= c.chance
	}
	return f, p.rng.IntN(p.o.After), rand.New(rand.NewPCG(p.rng.Uint64(), 0))
}

// pair is one connection of a client and the one to the server.
type pair struct {
	near, far *net.TCPConn
	fault     Fault
	left      atomic.Int64 // bytes until the fault
	once      sync.Once    // the fault happens once
	hole      atomic.Bool
}

func (p *Proxy) serve(ctx context.Context, near *net.TCPConn) {
	far, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", p.to)
	if err != nil {
		_ = near.SetLinger(0)
		_ = near.Close()
		return
	}
	c := &pair{near: near, far: far.(*net.TCPConn)}
	fault, after, rng := p.dice()
	c.fault = fault
	c.left.Store(int64(after))
	p.mu.Lock()
	p.carry[c] = struct{}{}
	p.mu.Unlock()
	other := rand.New(rand.NewPCG(rng.Uint64(), 1))
	var ways sync.WaitGroup
	var there, back bool
	ways.Go(func() { there = p.copy(ctx, c, c.far, c.near, rng) })
	ways.Go(func() { back = p.copy(ctx, c, c.near, c.far, other) })
	ways.Wait()
	p.mu.Lock()
	delete(p.carry, c)
	p.mu.Unlock()
	if there && back { // a cut would destroy what has not been read yet
		_, _ = c.near.Close(), c.far.Close()
		return
	}
	c.cut()
}

// copy carries one way, until its end or the fault. It tells whether it ended in order.
func (p *Proxy) copy(ctx context.Context, c *pair, to, from *net.TCPConn, rng *rand.Rand) bool {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			piece := rest
			if p.o.Split {
				piece = rest[:1+rng.IntN(len(rest))]
			}
			rest = rest[len(piece):]
			p.wait(ctx, rng)
			if c.fault != None && !p.calm.Load() && c.left.Add(-int64(len(piece))) < 0 {
				c.once.Do(func() { p.happen(ctx, c) })
			}
			if c.hole.Load() {
				continue
			}
			if _, werr := to.Write(piece); werr != nil {
				c.cut()
				return false
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return to.CloseWrite() == nil
		case err != nil:
			c.cut()
			return false
		}
	}
}

func (p *Proxy) wait(ctx context.Context, rng *rand.Rand) {
	if p.o.Delay > 0 {
		sleep(ctx, time.Duration(rng.Int64N(int64(p.o.Delay))))
	}
}

// happen lets the fault of a connection happen.
func (p *Proxy) happen(ctx context.Context, c *pair) {
	p.count[c.fault].Add(1)
	switch c.fault {
	case Cut:
		c.cut()
	case Half:
		_ = c.far.CloseWrite()
		sleep(ctx, p.o.For)
		c.cut()
	case Swallow:
		c.hole.Store(true)
		sleep(ctx, p.o.For)
		c.cut()
	}
}

// cut destroys both connections.
func (c *pair) cut() {
	for _, nc := range [...]*net.TCPConn{c.near, c.far} {
		_ = nc.SetLinger(0)
		_ = nc.Close()
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
