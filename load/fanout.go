package load

import (
	"context"
	"fmt"
)

// The ways for one to write to all.
const (
	Broadcast = "broadcast" // the command of Parley
	Room      = "room"      // XEP-0045
)

// fanout: the first account writes to all, as long as it counts; a window of its messages is on its way at the same time, and
// the next follows once everybody has one.
func (r *run) fanout(ctx context.Context) error {
	list, err := r.enter(ctx, 0, len(r.users))
	if err != nil {
		return err
	}
	if err := r.arrive(ctx, list); err != nil {
		return err
	}
	from, to := list[0], list[1:]
	room := ""
	if r.cfg.Via == Room {
		room, to = fmt.Sprintf("bench%08x@conference.%s", r.id, from.domain), list
		if err := r.join(ctx, list, room); err != nil {
			return err
		}
	}
	for _, c := range to {
		c.source = from
	}
	left := map[uint32]int{} // how many have not got a message yet
	over := false
	send := func() {
		b := body{run: r.id, seq: from.seq, sent: r.loop.clock()}
		left[b.seq] = len(to)
		from.seq++
		r.loop.send(from, func(dst []byte) []byte { return r.cfg.appendToAll(dst, from.domain, room, b) })
	}
	r.loop.handle = func(c *conn, el []byte) {
		if r.refused(c, el) {
			if c == from && !over { // nobody would get what the next one waits for
				r.loop.fail(&Error{
					Why: "the server has refused to pass a message on to all: " + r.result.FirstError,
					Fix: "switch the server's limits off (Parley: broadcast.every = 0)",
				})
			}
			return
		}
		b, ok := r.read(c, el)
		if !ok {
			return
		}
		if left[b.seq]--; left[b.seq] == 0 {
			if delete(left, b.seq); !over {
				send()
			}
		}
	}
	for range r.cfg.Window {
		send()
	}
	if err := r.warmed(ctx); err != nil {
		return err
	}
	over = true
	return r.drain(ctx)
}

// appendToAll appends what makes a message go to all.
func (c *Config) appendToAll(dst []byte, domain, room string, b body) []byte {
	if room != "" {
		return appendMessage(dst, room, "groupchat", b, c.Body)
	}
	dst = fmt.Appendf(dst, "<iq type='set' id='%d' to='%s'><command xmlns='http://jabber.org/protocol/commands' "+
		"node='urn:parley:0#broadcast' action='execute'><x xmlns='jabber:x:data' type='submit'><field var='body'><value>", b.seq, domain)
	dst = b.append(dst, c.Body)
	return append(dst, "</value></field></x></command></iq>"...)
}

// join brings all of them into a room that the first one opens, one after the other: each has to hear of those who are there.
func (r *run) join(ctx context.Context, list []*conn, room string) error {
	handle := r.loop.handle
	defer func() { r.loop.handle = handle }()
	for i, c := range list {
		in, refused := false, false
		r.loop.handle = func(c *conn, el []byte) {
			if c != list[i] {
				return
			}
			if is(el, "presence") && attr(el, "type") == nil && string(attr(el, "from")) == fmt.Sprintf("%s/%d", room, i) {
				in = true
			}
			refused = refused || r.refused(c, el)
		}
		r.loop.send(c, func(dst []byte) []byte {
			dst = fmt.Appendf(dst, "<presence to='%s/%d'><x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x></presence>", room, i)
			if i == 0 { // an instant room (XEP-0045 §10.1.2)
				dst = fmt.Appendf(dst, "<iq type='set' id='open' to='%s'><query xmlns='http://jabber.org/protocol/muc#owner'>"+
					"<x xmlns='jabber:x:data' type='submit'/></query></iq>", room)
			}
			return dst
		})
		if err := r.loop.run(ctx, r.loop.clock()+r.cfg.patience/4, func() bool { return in || refused }); err != nil {
			return err
		}
		if !in {
			return &Error{Why: fmt.Sprintf("%s could not join the room %s", c.jid, room), Fix: "a server that has rooms (XEP-0045)\n--via broadcast"}
		}
		r.cfg.progress("joining", float64(i), float64(len(list)))
	}
	return r.settle(ctx, list, "")
}
