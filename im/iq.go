package im

import (
	"context"
	"fmt"
	"runtime/debug"

	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

type answerKey struct {
	at   Target
	name xml.Name
}

// atServer tells whether the server itself answers this iq of one of our sessions: it is for the server's address or
// for the bare address of an account (RFC 6120 §10.3.3, RFC 6121 §8.5.2.1.3).
func (v *Server) atServer(s *Session, st *stanza.Stanza) bool {
	return st.To.IsZero() || st.To == v.domain || st.To.Domain() == v.domain.Domain() && st.To.IsBare()
}

// answer looks up who answers an iq of one of our sessions, and sends the reply.
func (v *Server) answer(ctx context.Context, s *Session, st *stanza.Stanza) {
	q := &Query{Stanza: st, Payload: st.First(), Session: s}
	x, err := v.lookUp(ctx, q)
	var result *xml.Element
	if err == nil {
		if x.InTurn && st.Type == stanza.Get {
			q.Account.mu.Lock()
			defer q.Account.mu.Unlock()
		}
		result, err = v.ask(ctx, x, q)
	}
	if err != nil {
		s.refuse(st, err)
		return
	}
	if x.Plain && st.Type == stanza.Get {
		s.ReplyPlain(st.Result(result))
		return
	}
	s.Reply(st.Result(result))
}

func (v *Server) ask(ctx context.Context, x *Answer, q *Query) (*xml.Element, error) {
	switch {
	case q.Stanza.Type == stanza.Get && x.Get != nil:
		return guard(ctx, x.Get, q)
	case q.Stanza.Type == stanza.Set && x.Set != nil && x.Outside:
		return guard(ctx, x.Set, q)
	case q.Stanza.Type == stanza.Set && x.Set != nil:
		return v.set(ctx, x.Set, q)
	}
	return nil, stanza.Bad(stanza.FeatureNotImplemented, "")
}

// lookUp finds the answer for a query's payload and fills in whose account is asked.
func (v *Server) lookUp(ctx context.Context, q *Query) (*Answer, error) {
	none := stanza.Bad(stanza.ServiceUnavailable, "") // RFC 6120 §8.4
	to, name := q.Stanza.To, q.Payload.Name
	if to == v.domain {
		if x := v.answers[answerKey{AtServer, name}]; x != nil {
			return x, nil
		}
		return nil, none
	}
	if to.IsZero() || to == q.Session.account.jid {
		q.Account = q.Session.account
		if x := v.answers[answerKey{AtSelf, name}]; x != nil {
			return x, nil
		}
	} else {
		a, err := v.account(ctx, to.Local())
		if err != nil {
			return nil, err
		}
		if q.Session.account.Blocks(to) {
			return nil, errBlockedByYou()
		}
		if a == nil || a.Blocks(q.Stanza.From) {
			return nil, none
		}
		q.Account = a
	}
	if x := v.answers[answerKey{AtAccount, name}]; x != nil {
		return x, nil
	}
	return nil, none
}

// set runs a Reply inside a journey of its own.
func (v *Server) set(ctx context.Context, r Reply, q *Query) (el *xml.Element, err error) {
	err = v.Within(ctx, q.Account, func(j store.Journey) error {
		q.Journey = j
		el, err = guard(ctx, r, q)
		return err
	})
	return el, err
}

// Within runs f inside a journey and then routes what it queued for account a, which may be nil.
func (v *Server) Within(ctx context.Context, a *Account, f func(store.Journey) error) error {
	j, err := v.store.Begin(ctx)
	if err != nil {
		return fmt.Errorf("im: begin: %w", err)
	}
	err = f(j)
	j.End()
	if a != nil {
		a.drain(ctx)
	}
	return err
}

// guard runs a Reply; a panic in it becomes an error of this one query.
func guard(ctx context.Context, r Reply, q *Query) (el *xml.Element, err error) {
	defer func() {
		if p := recover(); p != nil {
			el, err = nil, fmt.Errorf("im: panic in the answer to {%s}%s: %v\n%s", q.Payload.Name.Space, q.Payload.Name.Local, p, debug.Stack())
		}
	}()
	return r(ctx, q)
}
