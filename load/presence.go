package load

import (
	"context"
	"fmt"
)

// presence: everybody signs in; then all become available at once, and it takes until each has heard of all others. Their
// server has to make them each other's contacts (a team, a shared roster).
func (r *run) presence(ctx context.Context) error {
	list, err := r.enter(ctx, 0, len(r.users))
	if err != nil {
		return err
	}
	// Who has asked for the roster is told of contacts (RFC 6121 §2.2).
	if err := r.settle(ctx, list, "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>"); err != nil {
		return err
	}
	want, heard := len(list)*(len(list)-1), 0
	known := make([]map[string]struct{}, len(list))
	number := map[string]int{}
	for i, c := range list {
		known[i] = make(map[string]struct{}, len(list))
		number[c.jid] = i
	}
	r.begin()
	began := r.loop.clock()
	r.loop.handle = func(c *conn, el []byte) {
		if !is(el, "presence") || attr(el, "type") != nil {
			return
		}
		me, who := number[c.jid], string(attr(el, "from"))
		other, ours := number[who]
		if _, again := known[me][who]; again || !ours || other == me {
			return
		}
		known[me][who] = struct{}{}
		heard++
		r.note(began)
	}
	for _, c := range list {
		r.loop.send(c, func(dst []byte) []byte { return append(dst, "<presence/>"...) })
	}
	err = r.wait(ctx, func() int { return want - heard })
	r.end()
	if err == nil && heard < want {
		err = fmt.Errorf("load: of %d presences %d came: are the accounts each other's contacts?", want, heard)
	}
	return err
}
