package im

import (
	"context"
	"fmt"

	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
)

// admitted are the account's sessions, with all that were admitted before the call: whoever has just forbidden new
// ones finds the last old one.
func (a *Account) admitted() []*Session {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.Sessions()
}

// EndSessions ends the sessions of an account with a stream error, or only the one with that resource, and returns how
// many they were. It does not wait until they are closed.
func (v *Server) EndSessions(ctx context.Context, localpart, resource string, why *stream.Error) (int, error) {
	a, err := v.account(ctx, localpart)
	if a == nil || err != nil {
		return 0, err
	}
	n := 0
	for _, s := range a.admitted() {
		if resource == "" || s.jid.Resource() == resource {
			s.End(why)
			n++
		}
	}
	return n, nil
}

// Post brings a message of the server's own to an account, which is st.To, with all that follows from that. What also
// writes belongs to the same journey; it may be nil, and is not asked when the message is not taken. Why it is not is
// the error. Post must not be called inside a journey.
func (v *Server) Post(ctx context.Context, st *stanza.Stanza, also func(store.Journey) error) error {
	if _, err := v.account(ctx, st.To.Local()); err != nil { // before the journey: inside one nobody waits for a disk
		return err
	}
	j, err := v.store.Begin(ctx)
	if err != nil {
		return fmt.Errorf("im: begin: %w", err)
	}
	defer j.End()
	if err := v.Route(ctx, j, st); err != nil || also == nil {
		return err
	}
	return also(j)
}
