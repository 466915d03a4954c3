package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// loop has all connections that have signed in; everything in it runs on the goroutine that calls run.
type loop struct {
	poll   *poller
	start  time.Time // the beginning of its clock
	buf    []byte    // what is read at once; TLS wants room for a whole record
	conns  []*conn   // by their place in epoll; nil once closed
	dirty  []*conn   // have something to write
	handle func(c *conn, el []byte)
	tick   func(now time.Duration) (next time.Duration) // called once next has come; may be nil

	at     time.Duration // when what is handled now was read
	busy   time.Duration // was not spent on waiting
	failed error
}

func newLoop() (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	return &loop{poll: p, start: time.Now(), buf: make([]byte, 64<<10), handle: func(*conn, []byte) {}}, nil
}

// clock is the time since the loop was made.
func (l *loop) clock() time.Duration { return time.Since(l.start) }

// add takes a connection that has signed in.
func (l *loop) add(c *conn) error {
	if err := c.wire.release(); err != nil {
		_ = c.wire.Close()
		return err
	}
	c.slot = len(l.conns)
	l.conns = append(l.conns, c)
	if err := l.poll.add(c.wire, c.slot); err != nil {
		return err
	}
	if err := c.take(nil, l.handle); err != nil {
		l.drop(c, err)
		return l.failed
	}
	l.mark(c)
	l.read(c) // TLS may have read ahead
	return l.failed
}

// send puts bytes into a connection's out; they leave at the end of the turn.
func (l *loop) send(c *conn, write func([]byte) []byte) {
	c.out = write(c.out)
	l.mark(c)
}

// mark notes that a connection may have something to write.
func (l *loop) mark(c *conn) {
	if !c.marked && len(c.out) > 0 {
		c.marked = true
		l.dirty = append(l.dirty, c)
	}
}

// glance is how long it may take until the loop sees that its context has ended, when nothing comes.
const glance = 100 * time.Millisecond

// run handles what comes until the time until, or until done says so; done may be nil.
func (l *loop) run(ctx context.Context, until time.Duration, done func() bool) error {
	woke := l.clock()
	look := woke + glance
	for {
		next := min(until, look)
		if l.tick != nil {
			next = min(next, l.tick(l.clock()))
		}
		l.flush()
		now := l.clock()
		l.busy += now - woke
		if l.failed != nil {
			return l.failed
		}
		if now >= until || done != nil && done() {
			return nil
		}
		if now >= look {
			look = now + glance
		}
		n, err := l.poll.wait(now, next)
		if err != nil {
			return fmt.Errorf("load: wait: %w", err)
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		woke = l.clock()
		for i := range n {
			l.ready(l.poll.event(i))
		}
	}
}

// ready handles what has happened to a connection.
func (l *loop) ready(n int, room bool) {
	if n < 0 || l.conns[n] == nil {
		return
	}
	c := l.conns[n]
	if room {
		empty, err := c.wire.push()
		if err == nil && empty {
			c.wants = false
			err = l.poll.want(c.wire, c.slot, false)
		}
		if err != nil {
			l.broken(c, err)
			return
		}
	}
	l.read(c)
}

// broken drops a connection that cannot be written to. If the server has said why it closed it, that is what counts.
func (l *loop) broken(c *conn, err error) {
	if l.read(c); l.conns[c.slot] != nil {
		l.drop(c, err)
	}
}

// read reads what there is, but not without end: the others have their turn as well. Epoll reports again what remains, but
// not what TLS has taken out of the connection already.
func (l *loop) read(c *conn) {
	for i := 0; i < 4 || c.wire.secure != nil; i++ {
		k, err := c.wire.upper().Read(l.buf)
		if errors.As(err, new(again)) {
			return
		}
		l.at = l.clock()
		if err == nil {
			err = c.take(l.buf[:k], l.handle)
		}
		l.mark(c)
		if err != nil {
			l.drop(c, err)
			return
		}
		if c.wire.secure == nil && k < len(l.buf) {
			return
		}
	}
}

// drop forgets a connection that has ended, which is the end of the run.
func (l *loop) drop(c *conn, err error) {
	l.conns[c.slot] = nil
	_ = c.wire.Close()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errEnded
	}
	l.check(c, err)
}

func (l *loop) check(c *conn, err error) {
	if err != nil {
		l.fail(fmt.Errorf("load: %s: %w", c.jid, err))
	}
}

// fail ends the run, unless something else has.
func (l *loop) fail(err error) {
	if l.failed == nil {
		l.failed = err
	}
}

// flush writes what this turn has brought about.
func (l *loop) flush() {
	for _, c := range l.dirty {
		c.marked = false
		if l.conns[c.slot] == nil {
			continue
		}
		err := c.flush()
		if len(c.wire.rest) > 0 && !c.wants && err == nil {
			c.wants = true
			err = l.poll.want(c.wire, c.slot, true)
		}
		if err != nil {
			l.broken(c, err)
		}
	}
	l.dirty = l.dirty[:0]
}

// close closes all connections.
func (l *loop) close() {
	for _, c := range l.conns {
		if c != nil {
			_ = c.wire.Close()
		}
	}
	l.poll.close()
}
