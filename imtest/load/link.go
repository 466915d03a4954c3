package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"parley/imtest/history"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// link is one connection: a goroutine reads, another writes what gathers, so that neither the script nor the reader
// ever waits for the server to read.
type link struct {
	asked  time.Duration // when it was dialled
	nc     net.Conn
	stream *stream.Conn
	done   chan struct{} // closed when nothing more is read
	work   sync.WaitGroup

	mu    sync.Mutex
	queue []byte // guarded by mu
	kick  chan struct{}
}

// write puts text behind what is to be written.
func (l *link) write(text string) {
	l.mu.Lock()
	l.queue = append(l.queue, text...)
	l.mu.Unlock()
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// run starts the two goroutines; close ends them.
func (l *link) run(d *device) {
	l.work.Go(func() {
		defer close(l.done)
		defer d.hangUp()
		for {
			el, err := l.stream.Read()
			if err != nil {
				return
			}
			if el.Name.Space == stanza.NSClient {
				d.mu.Lock()
				d.seen++ // what came, whatever is made of it: a server with a fault counts right
				d.mu.Unlock()
			}
			list := []*xml.Element{el}
			if d.o.Between != nil {
				list = d.o.Between(d.name, el)
			}
			for _, el := range list {
				if stream.ReadError(el) != nil {
					l.write("</stream:stream>") // as RFC 6120 §4.4 has it; after system-shutdown, the session goes on
					continue
				}
				d.take(l, el)
			}
		}
	})
	l.work.Go(func() {
		for over := false; !over; {
			select {
			case <-l.kick:
			case <-l.done:
				over = true
			}
			l.mu.Lock()
			p := l.queue
			l.queue = nil
			l.mu.Unlock()
			if l.stream.Write(p) != nil {
				_ = l.nc.Close()
				return
			}
		}
	})
}

// hangUp tells who waits for an answer that none comes.
func (d *device) hangUp() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, c := range d.waiting {
		close(c)
		delete(d.waiting, id)
	}
	d.change()
}

// stop makes the reader end without a word to the server.
func (l *link) stop() {
	_ = l.nc.SetReadDeadline(time.Now())
	<-l.done
}

// close destroys the connection, as far as the transport can: TCP sends RST.
func (l *link) close() {
	nc := l.nc
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = nc.Close()
	l.work.Wait()
}

// half says that nothing more will be written, and reads to the end, or for a second.
func (l *link) half() {
	if t, ok := l.nc.(*net.TCPConn); ok && !l.stream.Protected() {
		_ = t.CloseWrite()
		_ = l.nc.SetReadDeadline(time.Now().Add(time.Second))
		<-l.done
	}
	l.close()
}

// drop destroys the connection, if there is one.
func (d *device) drop() {
	if d.line == nil {
		return
	}
	d.line.close()
	d.line = nil
	d.mu.Lock()
	if d.session != 0 {
		d.note(history.Event{Kind: history.Lost})
	}
	d.mu.Unlock()
}

// alive tells whether there is a connection that still reads.
func (d *device) alive() bool {
	if d.line == nil {
		return false
	}
	select {
	case <-d.line.done:
		d.drop()
		return false
	default:
		return true
	}
}

// errGone says that the connection ended before the answer came.
var errGone = errors.New("the connection is gone")

// errSilence says that an answer did not come in time.
var errSilence = errors.New("no answer")

// ask sends an iq and waits for its answer.
func (d *device) ask(ctx context.Context, typ, to, payload string) (*xml.Element, error) {
	if !d.alive() {
		return nil, errGone
	}
	l := d.line
	c := make(chan *xml.Element, 1)
	d.mu.Lock()
	d.ids++
	id := fmt.Sprintf("q%d", d.ids)
	d.waiting[id] = c
	if to != "" {
		to = " to='" + to + "'"
	}
	d.push(l, written{id: id, text: fmt.Sprintf("<iq id='%s' type='%s'%s>%s</iq>", id, typ, to, payload)})
	d.mu.Unlock()
	timer := time.NewTimer(d.o.Patience)
	defer timer.Stop()
	select {
	case el, ok := <-c:
		if !ok {
			return nil, errGone
		}
		return el, nil
	case <-l.done:
		return nil, errGone
	case <-timer.C:
		return nil, errSilence
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ping waits until the server has answered what was sent before.
func (d *device) ping(ctx context.Context) error {
	_, err := d.ask(ctx, "get", "localhost", "<ping xmlns='"+nsPing+"'/>")
	return err
}

// until waits until ok is true, which is called with d.mu held; patience is as for an answer.
func (d *device) until(ctx context.Context, ok func() bool) error {
	timer := time.NewTimer(d.o.Patience)
	defer timer.Stop()
	for {
		if !d.alive() {
			return errGone
		}
		d.mu.Lock()
		done, changed := ok(), d.changed
		d.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-d.line.done:
		case <-timer.C:
			return errSilence
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
