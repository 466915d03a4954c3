package load

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// history: the first half write so many messages each to the other half, who are there; then everybody reads his archive from the
// beginning to the end, again and again, fifty entries at a time (XEP-0313, XEP-0059).
func (r *run) history(ctx context.Context) error {
	t, err := r.pair(ctx, len(r.users))
	if err != nil {
		return err
	}
	r.loop.handle = func(c *conn, el []byte) { r.read(c, el) }
	for _, c := range t.conns {
		if c.slot%2 == 0 {
			for range r.cfg.Messages {
				r.write(c, r.loop.clock())
			}
		}
	}
	if err := r.drain(ctx); err != nil {
		return err
	}
	if err := r.settle(ctx, t.conns, ""); err != nil {
		return err
	}
	over := false
	asked := make([]time.Duration, len(r.loop.conns))
	query := func(c *conn, after string) {
		asked[c.slot] = r.loop.clock()
		r.loop.send(c, func(dst []byte) []byte { return appendQuery(dst, c.bare(), after) })
	}
	r.loop.handle = func(c *conn, el []byte) {
		switch {
		case is(el, "message"):
			r.entry(c, el)
		case is(el, "iq") && string(attr(el, "id")) == "page":
			if r.refused(c, el) {
				return
			}
			r.took(asked[c.slot])
			last := string(inside(el, "last"))
			if last == "" || string(attr(find(el, "fin"), "complete")) == "true" {
				last = ""
				r.readAll(c)
			}
			if !over {
				query(c, last)
			}
		}
	}
	for _, c := range t.conns {
		query(c, "")
	}
	if err := r.warmed(ctx); err != nil {
		return err
	}
	over = true
	return nil
}

// entry notes one entry of an archive. What is in it of this run came in order, each message once.
func (r *run) entry(c *conn, el []byte) {
	text := inside(el, "body")
	if text == nil {
		return
	}
	if r.counting {
		r.units++
	}
	if b, ok := parseBody(text); ok && b.run == r.id {
		c.pages.came(b.seq)
	}
}

// readAll notes that c has read its archive to the end, and begins anew.
func (r *run) readAll(c *conn) {
	r.result.Lost += c.pages.lost(uint32(r.cfg.Messages))
	r.result.Doubled += c.pages.doubled
	r.result.Reordered += c.pages.reordered
	c.pages = order{}
}

// appendQuery asks for the entries behind after; "": from the beginning.
func appendQuery(dst []byte, to, after string) []byte {
	dst = fmt.Appendf(dst, "<iq type='set' id='page' to='%s'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>", to)
	dst = append(strconv.AppendInt(dst, 50, 10), "</max>"...)
	if after != "" {
		dst = fmt.Appendf(dst, "<after>%s</after>", after)
	}
	return append(dst, "</set></query></iq>"...)
}
