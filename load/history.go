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
		case is(el, "message") && inside(el, "body") != nil:
			if r.counting {
				r.units++
			}
		case is(el, "iq") && string(attr(el, "id")) == "page":
			if r.refused(c, el) {
				return
			}
			if r.counting {
				_ = r.latency.RecordValue(max(1, int64((r.loop.at-asked[c.slot])/time.Microsecond)))
			}
			if !over {
				query(c, string(inside(el, "last")))
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

// appendQuery asks for the entries behind after; at the end of the archive, where there is no last one, it begins anew.
func appendQuery(dst []byte, to, after string) []byte {
	dst = fmt.Appendf(dst, "<iq type='set' id='page' to='%s'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>", to)
	dst = append(strconv.AppendInt(dst, 50, 10), "</max>"...)
	if after != "" {
		dst = fmt.Appendf(dst, "<after>%s</after>", after)
	}
	return append(dst, "</set></query></iq>"...)
}
