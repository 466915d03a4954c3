package load

import (
	"context"
	"time"
)

// pair makes pairs of the accounts and signs all of them in.
func (r *run) pair(ctx context.Context) error {
	list, err := r.enter(ctx, 0, len(r.users))
	if err != nil {
		return err
	}
	for i := 0; i < len(list); i += 2 {
		list[i].peer, list[i+1].peer = list[i+1], list[i]
	}
	return r.arrive(ctx, list)
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
func (r *run) read(c *conn, el []byte) bool {
	if !is(el, "message") {
		return false
	}
	if string(attr(el, "type")) == "error" {
		c.errors++
		return false
	}
	b, ok := parseBody(inside(el, "body"))
	if !ok || b.run != r.id {
		return false
	}
	c.order.came(b.seq)
	r.note(b.sent)
	return true
}

// chat: in each pair so many messages are on their way all the time: whoever gets one answers it.
func (r *run) chat(ctx context.Context) error {
	if err := r.pair(ctx); err != nil {
		return err
	}
	over := false
	r.loop.handle = func(c *conn, el []byte) {
		if r.read(c, el) && !over {
			r.write(c, r.loop.at)
		}
	}
	now := r.loop.clock()
	for i := 0; i < len(r.conns); i += 2 {
		for range r.cfg.Window {
			r.write(r.conns[i], now)
		}
	}
	if err := r.measureLoop(ctx); err != nil {
		return err
	}
	over = true
	return r.drain(ctx)
}

// rate: messages are offered at a fixed rate, whether the server keeps up or not. A message that had to wait for its turn
// counts from the moment when it was due, so that a server that stops for a while does not look fast afterwards.
func (r *run) rate(ctx context.Context) error {
	if err := r.pair(ctx); err != nil {
		return err
	}
	r.loop.handle = func(c *conn, el []byte) { r.read(c, el) }
	start, sent := r.loop.clock(), 0
	due := func() time.Duration { return start + time.Duration(float64(sent)/r.cfg.Rate*float64(time.Second)) }
	r.loop.tick = func(now time.Duration) (next time.Duration) {
		for ; due() <= now; sent++ {
			r.write(r.conns[sent*7919%len(r.conns)], due())
		}
		return due()
	}
	err := r.measureLoop(ctx)
	r.loop.tick = nil
	if err != nil {
		return err
	}
	return r.drain(ctx)
}
