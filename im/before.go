package im

import (
	"context"

	"parley/store"
	"parley/xmpp/stanza"
)

// Before is asked about a message that a local session sends, before its journey begins. The session's reader asks, with
// no lock held: it may read the store. What it returns, if anything, is done within the journey once the message has
// gone its way, again with no lock held; arrived is false when somebody dropped it in silence on its recipient's side.
type Before func(ctx context.Context, s *Session, st *stanza.Stanza) (after After, err error)

// After is what Before has left to do.
type After func(j store.Journey, arrived bool) error

// before asks all extensions; nil when none has anything to do.
func (v *Server) before(ctx context.Context, s *Session, st *stanza.Stanza) ([]After, error) {
	if st.Kind != stanza.Message {
		return nil, nil
	}
	var todo []After
	for _, f := range v.befores {
		after, err := f(ctx, s, st)
		if err != nil {
			return nil, err
		}
		if after != nil {
			todo = append(todo, after)
		}
	}
	return todo, nil
}

func after(todo []After, j store.Journey, arrived bool) error {
	for _, f := range todo {
		if err := f(j, arrived); err != nil {
			return err
		}
	}
	return nil
}
