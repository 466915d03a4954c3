package im

import (
	"context"

	"parley/store"
	"parley/xmpp/stanza"
)

// maxFollow bounds how many stanzas may follow from one.
const maxFollow = 1000

// Route brings a message or an iq to whom it is for, and then all that follows: more, what steps emitted, and the errors
// of those on their way back. What becomes of st itself is returned: its sender is here, and waits for it. It is a loop, so
// that no lock is ever held while something else is routed.
func (v *Server) Route(ctx context.Context, j store.Journey, st *stanza.Stanza, more ...*stanza.Stanza) error {
	return v.route(ctx, nil, j, st, more)
}

// route is Route by the reader of a session, which comes to Flush afterwards; nil: by nobody's.
func (v *Server) route(ctx context.Context, by *Session, j store.Journey, st *stanza.Stanza, more []*stanza.Stanza) error {
	follow, refused := v.step(ctx, by, j, st)
	rest := append(more, follow...)
	for n := 0; len(rest) > 0 && n < maxFollow; n++ {
		st, rest = rest[0], rest[1:]
		follow, err := v.step(ctx, by, j, st)
		rest = append(rest, follow...)
		if err != nil {
			if bounce := v.failure(st, err); bounce != nil {
				rest = append(rest, bounce)
			}
		}
	}
	return refused
}

// step moves a stanza one place further.
func (v *Server) step(ctx context.Context, by *Session, j store.Journey, st *stanza.Stanza) ([]*stanza.Stanza, error) {
	switch {
	case st.To.Domain() != v.domain.Domain():
		return nil, stanza.Bad(stanza.RemoteServerNotFound, "This server does not talk to other servers.")
	case st.To.Local() == "":
		return nil, stanza.Bad(stanza.ServiceUnavailable, "")
	}
	var a *Account
	if by != nil && by.peer.is(st.To.Local()) && by.peer.exists() {
		a = by.peer
	} else if other, err := v.account(ctx, st.To.Local()); err != nil {
		return nil, err
	} else if a = other; a == nil { // RFC 6121 §8.5.1
		return nil, stanza.Bad(stanza.ServiceUnavailable, "There is no such account here.")
	}
	return a.arrive(ctx, by, j, st)
}
