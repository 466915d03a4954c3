package sim

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

// window is how many bytes a link takes that nobody has read: what two kernels and a network hold.
const window = 64 << 10

var (
	errReset = errors.New("connection reset by peer")
	errPipe  = errors.New("broken pipe")
)

// link is a connection over a bad network. All waiting in it is on channels and timers, so that the time of the bubble
// goes on while something is under way.
type link struct{ up, down *pipe }

// newLink returns a link and its ends. Some links break after so many bytes, wherever in an element that is.
func newLink(r *rand.Rand, faults bool) (l *link, client, server net.Conn) {
	l = &link{up: newPipe(r, faults), down: newPipe(r, faults)}
	if faults && r.IntN(4) == 0 {
		l.up.fuse = 600 + r.IntN(8000)
	}
	if faults && r.IntN(4) == 0 {
		l.down.fuse = 600 + r.IntN(30000)
	}
	l.up.broken = func() { l.up.end(); l.down.reset() }
	l.down.broken = func() { l.down.end(); l.up.reset() }
	return l, &end{in: l.down, out: l.up}, &end{in: l.up, out: l.down}
}

// cut breaks the link: what is under way is lost, and both sides learn it when they look.
func (l *link) cut() {
	l.up.reset()
	l.down.reset()
}

// vanish lets nothing pass any more, and tells nobody: the other side has lost its network.
func (l *link) vanish() {
	l.up.freeze()
	l.down.freeze()
}

// piece is what arrives at once.
type piece struct {
	at   time.Time
	data []byte
}

// pipe is one direction.
type pipe struct {
	// fixed
	fine   int           // pieces have at most so many bytes; 0: what is written together arrives together
	delay  time.Duration // at most
	broken func()        // called, with no lock held, when the fuse has burnt: what is under way still arrives, and no more

	mu      sync.Mutex
	r       *rand.Rand // this and all below is guarded by mu
	queue   []piece
	size    int
	last    time.Time // when the last piece arrives
	fuse    int       // bytes until it breaks; 0: never
	frozen  bool
	ended   bool // the writer has closed
	gone    bool // the reader has closed
	dead    bool // reset
	rdl     time.Time
	wdl     time.Time
	changed chan struct{} // closed and replaced when something changes
}

func newPipe(r *rand.Rand, faults bool) *pipe {
	p := &pipe{r: rand.New(rand.NewPCG(r.Uint64(), 1)), changed: make(chan struct{})}
	if !faults {
		return p
	}
	p.delay = []time.Duration{0, time.Millisecond, 20 * time.Millisecond, 300 * time.Millisecond}[r.IntN(4)]
	if r.IntN(6) == 0 {
		p.fine = 1 + r.IntN(100)
	}
	return p
}

// change does f and wakes whoever waits.
func (p *pipe) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *pipe) reset()  { p.change(func() { p.dead, p.queue = true, nil }) }
func (p *pipe) freeze() { p.change(func() { p.frozen = true }) }
func (p *pipe) end()    { p.change(func() { p.ended = true }) }
func (p *pipe) leave()  { p.change(func() { p.gone, p.queue, p.size = true, nil, 0 }) }

// wait returns when something has changed or one of the times has come; the zero time never does. The caller holds mu.
func (p *pipe) wait(times ...time.Time) {
	changed := p.changed
	p.mu.Unlock()
	defer p.mu.Lock()
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	var timer <-chan time.Time
	if !first.IsZero() {
		t := time.NewTimer(time.Until(first))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-changed:
	case <-timer:
	}
}

func over(deadline time.Time) bool { return !deadline.IsZero() && !time.Now().Before(deadline) }

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		var next time.Time
		if len(p.queue) > 0 && !p.frozen {
			next = p.queue[0].at
		}
		switch {
		case p.gone:
			return 0, net.ErrClosed
		case p.dead:
			return 0, errReset
		case over(p.rdl):
			return 0, os.ErrDeadlineExceeded
		case !next.IsZero() && !time.Now().Before(next):
			return p.take(b), nil
		case p.ended && len(p.queue) == 0 && !p.frozen:
			return 0, io.EOF
		}
		p.wait(next, p.rdl)
	}
}

// take moves what has arrived into b. The caller holds mu.
func (p *pipe) take(b []byte) int {
	n := copy(b, p.queue[0].data)
	if p.queue[0].data = p.queue[0].data[n:]; len(p.queue[0].data) == 0 {
		p.queue = p.queue[1:]
	}
	if p.size -= n; p.size+n >= window {
		close(p.changed)
		p.changed = make(chan struct{})
	}
	return n
}

func (p *pipe) write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer func() {
		burnt := p.fuse < 0
		p.mu.Unlock()
		if burnt {
			p.broken()
		}
	}()
	for {
		switch {
		case p.ended:
			return n, net.ErrClosed
		case p.dead || p.gone:
			return n, errPipe
		case over(p.wdl):
			return n, os.ErrDeadlineExceeded
		case len(b) == 0:
			return n, nil
		}
		if k := min(len(b), window-p.size); k > 0 {
			if p.fuse > 0 && k >= p.fuse {
				k, p.fuse = p.fuse, -1
			} else if p.fuse > 0 {
				p.fuse -= k
			}
			p.send(b[:k])
			b, n = b[k:], n+k
			if p.fuse < 0 {
				return n, errPipe
			}
			continue
		}
		p.wait(p.wdl)
	}
}

// send puts bytes on their way. The caller holds mu.
func (p *pipe) send(b []byte) {
	for len(b) > 0 {
		k := len(b)
		if p.fine > 0 {
			k = min(k, 1+p.r.IntN(p.fine))
		}
		at := time.Now()
		if p.delay > 0 {
			at = at.Add(time.Duration(p.r.Int64N(int64(p.delay))))
		}
		if at.Before(p.last) {
			at = p.last
		}
		p.last = at
		p.queue = append(p.queue, piece{at, append([]byte(nil), b[:k]...)})
		p.size += k
		b = b[k:]
	}
	close(p.changed)
	p.changed = make(chan struct{})
}

// end is one side of a link.
type end struct{ in, out *pipe }

type nowhere struct{}

func (nowhere) Network() string { return "sim" }
func (nowhere) String() string  { return "sim" }

func (e *end) Read(b []byte) (int, error)  { return e.in.read(b) }
func (e *end) Write(b []byte) (int, error) { return e.out.write(b) }
func (e *end) LocalAddr() net.Addr         { return nowhere{} }
func (e *end) RemoteAddr() net.Addr        { return nowhere{} }

func (e *end) Close() error {
	e.in.leave()
	e.out.end()
	return nil
}

func (e *end) SetReadDeadline(t time.Time) error {
	e.in.change(func() { e.in.rdl = t })
	return nil
}

func (e *end) SetWriteDeadline(t time.Time) error {
	e.out.change(func() { e.out.wdl = t })
	return nil
}

func (e *end) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}
