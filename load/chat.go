package load

import (
	"context"
	"time"
)

// pair signs the first n accounts in, in pairs.
func (r *run) pair(ctx context.Context, n int) (*talk, error) {
	list, err := r.enter(ctx, 0, n)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(list); i += 2 {
		a, b := list[i], list[i+1]
		a.peer, b.peer, a.source, b.source = b, a, b, a
	}
	return &talk{run: r, conns: list}, r.arrive(ctx, list)
}

// write has c send one message to its peer, which counts as sent at the time at.
func (r *run) write(c *conn, at time.Duration) {
	to := c.peer.jid
	if !r.cfg.Full {
		to = c.peer.bare()
	}
	b := body{run: r.id, seq: c.seq, sent: at}
	c.seq++
	r.loop.send(c, func(dst []byte) []byte {
		dst = appendMessage(dst, to, "chat", b, r.cfg.Body)
		if c.managed {
			dst = append(dst, "<r xmlns='urn:xmpp:sm:3'/>"...)
		}
		return dst
	})
}

// read notes a message of this run; false: el is something else.
func (r *run) read(c *conn, el []byte) (b body, ok bool) {
	if !is(el, "message") {
		return b, false
	}
	if r.refused(c, el) {
		return b, false
	}
	if b, ok = parseBody(inside(el, "body")); !ok || b.run != r.id {
		return b, false
	}
	c.order.came(b.seq)
	r.note(b.sent)
	return b, true
}

// refused notes a stanza of type error; false: el is none.
func (r *run) refused(c *conn, el []byte) bool {
	if string(attr(el, "type")) != "error" {
		return false
	}
	if r.result.Errors++; r.result.FirstError == "" {
		r.result.FirstError = c.jid + " got " + string(el[:min(len(el), 1000)])
	}
	return true
}

// talk is what pairs do: whoever gets a message answers it.
type talk struct {
	run   *run
	conns []*conn
	over  bool
}

// begin puts so many messages on their way in each pair.
func (t *talk) begin(window int) {
	r := t.run
	r.loop.handle = func(c *conn, el []byte) {
		if _, ok := r.read(c, el); ok && !t.over {
			r.write(c, r.loop.at)
		}
	}
	now := r.loop.clock()
	for i := 0; i < len(t.conns); i += 2 {
		for range window {
			r.write(t.conns[i], now)
		}
	}
}

// chat: in each pair a window of messages is on its way all the time.
func (r *run) chat(ctx context.Context) error {
	t, err := r.pair(ctx, len(r.users))
	if err != nil {
		return err
	}
	t.begin(r.cfg.Window)
	if err := r.warmed(ctx); err != nil {
		return err
	}
	t.over = true
	return r.drain(ctx)
}

// rate: messages are offered at a fixed rate, whether the server keeps up or not. A message that had to wait for its turn
// counts from the moment when it was due, so that a server that stops for a while does not look fast afterwards.
func (r *run) rate(ctx context.Context) error {
	t, err := r.pair(ctx, len(r.users))
	if err != nil {
		return err
	}
	r.loop.handle = func(c *conn, el []byte) { r.read(c, el) }
	start, sent := r.loop.clock(), 0
	due := func() time.Duration { return start + time.Duration(float64(sent)/r.cfg.Rate*float64(time.Second)) }
	r.loop.tick = func(now time.Duration) (next time.Duration) {
		for ; due() <= now; sent++ {
			r.write(t.conns[sent*7919%len(t.conns)], due()) // neighbours in time are none in the list
		}
		return due()
	}
	err = r.warmed(ctx)
	r.loop.tick = nil
	if err != nil {
		return err
	}
	return r.drain(ctx)
}
