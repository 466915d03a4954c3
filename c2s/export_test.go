package c2s

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"
)

// What the tests outside of the package need to know of its inside.
const (
	PreAuthTime    = preAuthTime
	PreAuthTotal   = preAuthTotal
	PreAuthStanza  = preAuthStanza
	HandshakeTime  = handshakeTime
	CloseTime      = closeTime
	IdleTime       = idleTime
	MaxUnsigned    = maxUnsigned
	MaxUnsignedPer = maxUnsignedPer
	BurstMessages  = burstMessages
	PerSecond      = perSecond

	BurstPresences     = burstPresences
	PresencesPerSecond = presencesPerSecond
	BurstIQs           = burstIQs
	IQsPerSecond       = iqsPerSecond

	BurstArrivals     = burstArrivals
	ArrivalsPerSecond = arrivalsPerSecond
	MaxNetworks       = maxNetworks
)

// Counts are the connections that have not signed in, and all.
func (v *Server) Counts() (unsigned, all int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.waiting, len(v.conns)
}

// Networks is how many networks have connections that have not signed in.
func (v *Server) Networks() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.unsigned)
}

// Held is a connection that was counted in and is not served.
type Held struct {
	v *Server
	c *conn
}

// Admit counts a connection from an address in, or tells that it was refused.
func (v *Server) Admit(addr netip.Addr) (*Held, bool) {
	near, far := net.Pipe()
	_ = near.Close()
	c := newConn(v, far, Insecure)
	c.addr = addr
	if !v.admit(c) {
		return nil, false
	}
	v.wg.Done() // Shutdown does not wait for it
	return &Held{v, c}, true
}

// SignedIn takes it out of those that have not.
func (h *Held) SignedIn() { h.v.signed(h.c) }

// Gone ends it.
func (h *Held) Gone() {
	h.v.wg.Add(1)
	h.v.forget(h.c)
}

// Run serves one connection and returns when it has ended; false: it was refused.
func (v *Server) Run(ctx context.Context, nc net.Conn, mode Mode) bool {
	ending := &closer{Conn: nc, closed: make(chan struct{})}
	c := newConn(v, ending, mode)
	if !v.admit(c) {
		return false
	}
	c.run(ctx)
	<-ending.closed // nearly the last thing that it does
	for v.has(c) {
		time.Sleep(time.Millisecond) // which costs nothing in a bubble
	}
	return true
}

// closer tells when it was closed.
type closer struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *closer) Close() error {
	defer c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func (v *Server) has(c *conn) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, there := v.conns[c]
	return there
}

// Bucket is a budget as serve has it; Take returns how long it made its taker wait.
type Bucket struct {
	b bucket
	p pace
}

// NewBucket is a full one.
func NewBucket(burst, rate int) *Bucket { return &Bucket{p: pace{burst, rate}} }

// Take takes one.
func (b *Bucket) Take(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	d := b.b.take(b.p, began)
	if d <= 0 {
		return 0, nil
	}
	err := pause(ctx, d)
	return time.Since(began), err
}

// Arrived is how many networks are remembered for the rate of their connections.
func (v *Server) Arrived() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.arrivals)
}
