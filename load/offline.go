package load

import "context"

// offline: each of the first half writes so many messages to one of the other half, who are away, and asks the server something
// behind them: then it has them. After that these sign in, all become available at once, and get them.
func (r *run) offline(ctx context.Context) error {
	half := len(r.users) / 2
	senders, err := r.enter(ctx, 0, half)
	if err != nil {
		return err
	}
	if err := r.arrive(ctx, senders); err != nil {
		return err
	}
	total := int64(half * r.cfg.Messages)
	r.begin()
	if err := r.store(ctx, senders); err != nil {
		return err
	}
	r.units = total
	r.end()
	stored := r.phase("stored")

	recipients, err := r.enter(ctx, half, len(r.users))
	if err != nil {
		return err
	}
	for i, c := range recipients {
		c.source = senders[i]
	}
	r.loop.handle = func(c *conn, el []byte) { r.read(c, el) }
	r.begin() // the messages were sent before: how long the generator was away does not count
	for _, c := range recipients {
		r.loop.send(c, func(dst []byte) []byte { return append(dst, "<presence/>"...) })
	}
	err = r.wait(ctx, "delivering", func() int { return int(total - r.units) })
	r.end()
	r.result.Phases = []Phase{stored, r.phase("delivered")}
	if err != nil {
		return err
	}
	return r.drain(ctx) // what came twice has been counted for one that is missing
}

// phase is what was measured last.
func (r *run) phase(name string) Phase {
	return Phase{Name: name, Count: r.result.Count, PerSecond: r.result.PerSecond, Server: r.result.Server}
}

// store has every sender write its messages. They are numbered as if there were one recipient for each, who is away.
func (r *run) store(ctx context.Context, senders []*conn) error {
	left := make([]int, len(senders))
	number := map[*conn]int{}
	answered := 0
	for i, c := range senders {
		left[i], number[c] = r.cfg.Messages, i
	}
	// A server that is given everything at once would be measured with all of it in its buffers.
	const atOnce = 20
	next := func(c *conn) {
		i := number[c]
		n := min(atOnce, left[i])
		if n == 0 {
			answered++
			return
		}
		left[i] -= n
		to := r.users[len(senders)+i].Name + "@" + c.domain
		r.loop.send(c, func(dst []byte) []byte {
			for range n {
				dst = appendMessage(dst, to, "chat", body{run: r.id, seq: c.seq, sent: r.loop.clock()}, r.cfg.Body)
				c.seq++
			}
			return c.ping(dst)
		})
	}
	r.loop.handle = func(c *conn, el []byte) {
		switch {
		case is(el, "iq") && string(attr(el, "id")) == "settle":
			next(c)
		default:
			r.refused(c, el)
		}
	}
	for _, c := range senders {
		next(c)
	}
	if err := r.wait(ctx, "storing", func() int { return len(senders) - answered }); err != nil {
		return err
	}
	return r.answered(len(senders) - answered)
}
