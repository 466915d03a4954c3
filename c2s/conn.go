package c2s

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"parley/im"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// conn is one connection of a client.
type conn struct {
	// fixed
	srv     *Server
	stream  *stream.Conn
	mode    Mode
	set     *current
	addr    netip.Addr
	id      [shortID]byte   // tells it from others in the log
	reading context.Context // ends before the reader leaves: what it waits for besides the connection, and the feeds of the writer
	halt    context.CancelFunc

	signed bool // guarded by srv.mu

	// owned by the reader
	name    string      // localpart of whoever has signed in, "" before
	session *im.Session // set once, before the first Wake
	budgets budgets
	unwatch func() // ends watch; nil without a timeout

	// the writer of the moment; begun by Wake or Write, waited for by leave
	writers sync.WaitGroup

	mu      sync.Mutex
	leaving bool          // guarded by mu: no writer is started any more
	ended   bool          // guarded by mu: End was called, or the reader is leaving
	why     *stream.Error // guarded by mu: what the stream is closed with
}

func newConn(v *Server, nc net.Conn, mode Mode) *conn {
	c := &conn{srv: v, mode: mode, set: v.settings.Load()}
	copy(c.id[:], newID())
	if ap, err := netip.ParseAddrPort(nc.RemoteAddr().String()); err == nil {
		c.addr = ap.Addr().Unmap()
	} else {
		c.addr = netip.IPv6Loopback() // memory
	}
	c.stream = stream.New(nc, xml.Limits{
		Bytes: preAuthStanza, Depth: 64, Elements: 32, Attrs: 64, Declarations: 32, Name: 256, Value: 32 << 10,
	})
	c.stream.SetTotal(preAuthTotal)
	c.reading, c.halt = context.WithCancel(context.Background())
	return c
}

// say logs something about the connection.
func (c *conn) say(level slog.Level, what string, attrs ...slog.Attr) {
	if c.srv.Log.Enabled(context.Background(), level) {
		c.srv.Log.LogAttrs(context.Background(), level, what, append([]slog.Attr{slog.String("conn", string(c.id[:]))}, attrs...)...)
	}
}

// run is the connection's life, in one goroutine after another. A stack that has grown never becomes as small again as it
// was. So who has negotiated, or has served stanzas and then had nothing to do for idleTime, ends, and a new goroutine waits.
func (c *conn) run(ctx context.Context) {
	c.say(slog.LevelDebug, "connected", slog.String("addr", c.addr.String()))
	if err := c.negotiate(ctx); err != nil {
		c.gone(ctx, err)
		return
	}
	go c.attend(ctx, true)
}

// attend serves what comes until the connection is idle or ends. It waits here, where the stack is low; first is before
// anything was served.
func (c *conn) attend(ctx context.Context, first bool) {
	var err error
	if !first {
		err = c.await()
	}
	if err == nil {
		err = c.serve(ctx, first)
	}
	if err == errIdle {
		go c.attend(ctx, false)
		return
	}
	c.gone(ctx, err)
}

// gone is the end of the connection's last goroutine.
func (c *conn) gone(ctx context.Context, err error) {
	c.leave(ctx, err)
	c.srv.forget(c)
}

func (c *conn) await() (err error) {
	defer c.caught(&err)
	return c.stream.Await()
}

// caught turns a panic into the end of this stream, and of no other. It is deferred.
func (c *conn) caught(err *error) {
	p := recover()
	if p == nil {
		return
	}
	who := c.addr.String()
	if c.session != nil {
		who = c.session.JID().String()
	}
	c.say(slog.LevelError, "panic while a connection was served", slog.String("who", who),
		slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	*err = &stream.Error{Condition: stream.InternalServerError}
}

// idleTime is how long a goroutine that has served stanzas waits for more.
const idleTime = 2 * time.Second

// errIdle is returned by serve when nothing came for idleTime.
var errIdle = errors.New("c2s: idle")

// serve moves elements from the connection to the session until one of them ends, or until nothing comes.
func (c *conn) serve(ctx context.Context, first bool) (err error) {
	defer c.caught(&err)
	defer c.session.Flush()
	if first {
		if c.set.Timeout > 0 {
			c.unwatch = c.watch()
		}
		if err := c.session.Welcome(ctx); err != nil {
			return err
		}
	}
	if !c.rearm(time.Now().Add(idleTime)) {
		return nil
	}
	for busy := false; ; busy = true {
		if err := c.session.WaitRoom(); err != nil {
			return err
		}
		el, err := c.next(busy)
		if el == nil {
			return err
		}
		if err := c.take(ctx, el); err != nil {
			return err
		}
	}
}

// next is the next element, which is good until it is called again. Before it waits for more, what was read is on its way.
// The error is errIdle when nothing came for idleTime; none and no element: the connection has been told to end.
func (c *conn) next(busy bool) (*xml.Element, error) {
	for {
		el, err := c.stream.Next()
		if !errors.Is(err, xml.ErrMore) {
			return el, err
		}
		c.session.Flush()
		err = c.stream.Await()
		for err != nil && errors.Is(err, os.ErrDeadlineExceeded) {
			next := time.Time{}
			if busy {
				next = time.Now().Add(idleTime)
			}
			switch {
			case !c.rearm(next):
				return nil, nil
			case !busy:
				return nil, errIdle
			}
			busy = false
			err = c.stream.Await()
		}
		if err != nil {
			return nil, err
		}
	}
}

// rearm sets the deadline of what is read next. It reports false when the connection has been told to end, perhaps
// before the deadline that this is done by was overwritten.
func (c *conn) rearm(t time.Time) bool {
	_ = c.stream.SetReadDeadline(t)
	return !c.over()
}

// take handles one element.
func (c *conn) take(ctx context.Context, el *xml.Element) error {
	if el.Name.Space == stream.NSManagement {
		return c.manage(ctx, el)
	}
	if c.set.Rates {
		if d := c.budgets.take(el.Name.Local, time.Now()); d > 0 {
			c.session.Flush()
			if err := pause(c.reading, d); err != nil {
				return err
			}
		}
	}
	if err := c.session.Receive(ctx, el); err != nil {
		return err
	}
	if c.session.Managed() {
		return c.session.Handled(ctx)
	}
	return nil
}

// leave ends the session, flushes what it was still owed, and closes the stream in order as far as that is possible.
func (c *conn) leave(ctx context.Context, err error) {
	defer c.stream.Close()
	if c.unwatch != nil {
		c.unwatch()
	}
	c.mu.Lock()
	c.ended = true
	why := c.why
	c.mu.Unlock()
	var se *stream.Error
	if why == nil && errors.As(err, &se) {
		why = se
	}
	alive := err == nil || why != nil || errors.Is(err, io.EOF) // else the connection is lost
	rests := c.session != nil && c.session.Resumable() && !c.session.Ended() &&
		(!alive || c.session.Wanted() || why != nil && why.Condition == stream.SystemShutdown)
	if !rests {
		c.close(ctx, status(why))
	}
	if !alive {
		_ = c.stream.Close() // frees a writer that waits for a dead peer
	}
	c.halt()
	c.stream.SetPatience(closeTime)
	if rests && c.session.Wanted() {
		c.stream.SetPatience(handoverTime)
	}
	c.mu.Lock()
	c.leaving = true
	c.mu.Unlock()
	c.writers.Wait()
	if rests {
		c.rest(ctx, alive)
	}
	if !alive {
		c.say(slog.LevelDebug, "connection lost", slog.String("addr", c.addr.String()), slog.Any("err", err))
		return
	}
	if c.session != nil && !rests {
		c.flush()
	}
	if why != nil {
		c.say(slog.LevelDebug, "stream ended", slog.String("addr", c.addr.String()), slog.String("why", why.Error()))
		_ = c.stream.Fail(why, stream.Header{From: c.srv.Domain, ID: newID()})
	} else {
		_ = c.stream.End()
	}
	c.stream.Linger(time.Second)
}

// close ends the session, if there is one.
func (c *conn) close(ctx context.Context, why string) {
	var err error // is in the log
	defer c.caught(&err)
	if c.session != nil {
		c.srv.Hall.Close(ctx, c.session, why)
	}
}

// flush writes what is left in the outbox, once it is durable. The feeds have ended with c.reading: who goes does not wait for
// what he has missed.
func (c *conn) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	if m := c.srv.Hall.Store().Mark(); m != 0 {
		_ = c.srv.Hall.Store().Wait(ctx, m)
	}
	c.write(nil)
}

// status is what contacts read about why somebody has gone.
func status(why *stream.Error) string {
	switch {
	case why == nil:
		return ""
	case why.App != nil && why.App.Name.Local == "inactive":
		return "Logged out: inactive"
	case why.Condition == stream.SystemShutdown:
		return "The server is stopping"
	}
	return ""
}

// End closes the stream with err; see im.Carrier.
func (c *conn) End(err *stream.Error) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.ended, c.why = true, err
	c.mu.Unlock()
	c.halt()
	_ = c.stream.SetReadDeadline(time.Unix(1, 0)) // the reader wakes, and leaves
}

func (c *conn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// watch ends the session once its person has done nothing for the whole timeout. The function that it returns stops it.
func (c *conn) watch() (stop func()) {
	var mu sync.Mutex
	var t *time.Timer
	check := func() {
		mu.Lock()
		defer mu.Unlock()
		left := c.set.Timeout - time.Since(c.session.Seen())
		if left > 0 {
			t.Reset(left)
			return
		}
		seconds := int(c.set.Timeout / time.Second)
		c.End(&stream.Error{
			Condition: stream.PolicyViolation,
			Text:      fmt.Sprintf("Logged out after %d seconds without activity.", seconds),
			App:       xml.New(stanza.NSParley, "inactive", xml.A("seconds", fmt.Sprint(seconds))),
		})
	}
	mu.Lock()
	defer mu.Unlock()
	t = time.AfterFunc(max(0, c.set.Timeout-time.Since(c.session.Seen())), check)
	return func() { t.Stop() }
}
