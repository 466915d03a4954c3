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
	known := make([][]bool, len(list)) // who has heard of whom
	number := map[string]int{}
	for i, c := range list {
		known[i] = make([]bool, len(list))
		number[c.jid] = i
	}
	r.begin()
	began := r.loop.clock()
	r.loop.handle = func(c *conn, el []byte) {
		if !is(el, "presence") || attr(el, "type") != nil {
			return
		}
		me := number[c.jid]
		other, ours := number[string(attr(el, "from"))]
		if !ours || other == me || known[me][other] {
			return
		}
		known[me][other] = true
		heard++
		r.note(began)
	}
	for _, c := range list {
		r.loop.send(c, func(dst []byte) []byte { return append(dst, "<presence/>"...) })
	}
	err = r.wait(ctx, "presence", func() int { return want - heard })
	r.end()
	if err == nil && heard < want {
		err = &Error{
			Why: fmt.Sprintf("of %d presences %d came", want, heard),
			Fix: "let the server make the accounts each other's contacts (Parley: --contacts everyone)",
		}
	}
	return err
}
