package im

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// maxBody is how many bytes the text of a message may have.
const maxBody = 64 << 10

// Receive takes one first-level element from the session's connection. Only its reader calls it. An error is a
// stream error (RFC 6120 §4.9) that ends the stream, or the store's end.
func (s *Session) Receive(ctx context.Context, el *xml.Element) error {
	st, err := stanza.Parse(el)
	if errors.Is(err, stanza.ErrNotAStanza) {
		return &stream.Error{Condition: stream.UnsupportedStanzaType, Text: "Only message, presence and iq are stanzas."}
	}
	if !st.From.IsZero() && st.From != s.jid && st.From != s.account.jid {
		return &stream.Error{Condition: "invalid-from", Text: "The 'from' is not yours."} // RFC 6120 §8.1.2.1
	}
	st.From = s.jid // the only edit, before anybody else has seen the stanza
	if st.Kind != stanza.Message {
		s.Flush() // what the others lead to may take long
	}
	if err != nil {
		s.refuse(st, err)
		return nil
	}
	if active(st) {
		s.seen.Store(time.Now().UnixNano())
	}
	if st.Kind == stanza.Message || st.Kind == stanza.IQ && st.Type == stanza.Set || isSubscription(st) {
		defer s.writes()
	}
	if st.Kind == stanza.IQ && s.srv.atServer(s, st) {
		if st.IsRequest() {
			s.srv.answer(ctx, s, st)
		}
		return nil // a result or an error that nobody waits for is dropped (RFC 6120 §8.2.3)
	}
	if st.Kind == stanza.Message && st.To == s.srv.domain {
		s.Flush()
		s.srv.contact(ctx, s, st)
		return nil
	}
	if st.Kind == stanza.Message && len(st.Raw()) > maxBody && len(st.Body()) > maxBody {
		s.refuse(st, stanza.Bad(stanza.PolicyViolation, "The text of a message may have at most 64 KiB."))
		return nil
	}
	refused, err := s.Submit(ctx, st)
	if refused == nil {
		return err
	}
	if answer := s.refusal(st, refused); answer != nil && st.Kind == stanza.Message {
		s.account.bounce(ctx, s, answer)
	} else if answer != nil {
		s.Reply(answer)
	}
	return err
}

// writes notes on which batch rests what the session has had written so far. Only its reader calls it.
func (s *Session) writes() { s.wrote = max(s.wrote, s.srv.store.Mark()) }

// Submit sends a stanza as the session: one journey from its sender's turn to its recipients' outboxes. st.From is
// the session's address. refused is why it was not taken, on whichever side; nobody else is told of that. err is the
// store's end, or the session's.
func (s *Session) Submit(ctx context.Context, st *stanza.Stanza) (refused, err error) {
	if isSubscription(st) {
		return s.srv.agree(ctx, s.account, st)
	}
	if err := s.prepare(ctx, st); err != nil {
		return err, nil
	}
	todo, err := s.srv.before(ctx, s, st)
	if err != nil {
		return err, nil
	}
	begin := s.srv.store.Begin
	if st.Kind == stanza.Presence {
		begin = s.srv.store.BeginSmall
	}
	if s.srv.store.Slow() {
		s.Flush()
	}
	j, err := begin(ctx)
	if err != nil {
		return nil, err
	}
	refused = s.srv.carry(ctx, s, j, st, todo)
	if st.Kind == stanza.Presence {
		s.account.drain(ctx)
		return refused, s.Welcome(ctx)
	}
	return refused, nil
}

// prepare reads the recipient from the store, if need be, before the journey: inside one nobody waits for a disk.
func (s *Session) prepare(ctx context.Context, st *stanza.Stanza) error {
	if st.Kind == stanza.Presence || st.To.Domain() != s.srv.domain.Domain() || s.peer.is(st.To.Local()) {
		return nil
	}
	s.Flush()
	a, err := s.srv.account(ctx, st.To.Local())
	if err != nil {
		return err
	}
	s.peer = a
	return nil
}

// carry is the part of a stanza's way that is inside the journey, which it ends.
func (v *Server) carry(ctx context.Context, s *Session, j store.Journey, st *stanza.Stanza, todo []After) error {
	defer j.End()
	if st.Kind == stanza.Presence {
		if st.To.IsZero() {
			err := s.setPresence(j, st)
			s.announced(j)
			return err
		}
		return s.sendPresence(st)
	}
	if st.To.IsZero() { // RFC 6120 §10.3.1: to the sender's own account
		st = st.Addressed(st.From, s.account.jid)
	}
	if s.number != 0 && s.stale.Load() { // the disk was full: an entry that counts must not be newer than that
		s.account.turnDo(func() { _ = s.refresh(j) }) // an error is one for the entry as well
	}
	kept := v.store.Log.Appends()
	first, more, left, err := s.account.send(ctx, s, j, st)
	if err != nil {
		return err
	}
	refused := v.route(ctx, s, j, first, more)
	if s.number != 0 && kept != v.store.Log.Appends() {
		s.countIn(j)
	}
	if refused != nil && !errors.Is(refused, ErrDrop) {
		s.account.takeBack(j, left)
		return refused
	}
	return cmp.Or(after(todo, j, refused == nil), refused)
}

// send is the sender's turn: what goes on, what follows from it, and what is to be undone if it is refused. A message
// that was sent before ends here, in silence: whoever repeats it has not heard that it was taken.
func (a *Account) send(ctx context.Context, s *Session, j store.Journey, st *stanza.Stanza) (*stanza.Stanza, []*stanza.Stanza, trace, error) {
	if a.Blocks(st.To) {
		return nil, nil, trace{}, errBlockedByYou()
	}
	left := a.srv.traceOf(st)
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.closed || a.repeated(left) { // a session that has ended in the meantime has told its client how far it got
		return nil, nil, trace{}, ErrDrop
	}
	d := a.begin(Delivery{Stanza: st, Account: a, Session: s, Journey: j, by: s})
	defer a.end()
	for _, step := range a.srv.sending {
		if err := step(ctx, d); err != nil {
			return nil, nil, trace{}, err
		}
	}
	left.id = d.ID
	a.remember(left)
	st = d.Stanza
	if len(d.Copies) > 0 && d.ID != 0 {
		st = st.With(a.StanzaID(d.ID))
	}
	return d.Stanza, d.emitted, left, a.copy(ctx, d, st)
}

func errBlockedByYou() error { // XEP-0191 §3.6
	e := stanza.Bad(stanza.NotAcceptable, "You have blocked this user.")
	e.Class = stanza.ClassCancel
	e.App = xml.New(stanza.NSBlocking+":errors", "blocked")
	return e
}

// refuse answers the session's own stanza with an error, as far as that is allowed.
func (s *Session) refuse(st *stanza.Stanza, err error) {
	if answer := s.refusal(st, err); answer != nil {
		s.replyError(answer)
	}
}

// replyError is Reply with an error that answers a message, which must not be lost.
func (s *Session) replyError(st *stanza.Stanza) {
	s.erred = true
	s.send(st, s.jid, s.srv.store.Mark(), what{message: st.Kind == stanza.Message, refusal: st.Kind == stanza.Message}, true)
}

// refusal is the error that answers the session's own stanza, nil when there must be none.
func (s *Session) refusal(st *stanza.Stanza, err error) *stanza.Stanza {
	answer := s.srv.failure(st, err)
	if answer != nil && answer.From.IsZero() {
		answer = answer.Addressed(s.account.jid, answer.To)
	}
	return answer
}

// failure turns an error on the way of st into the stanza that its sender gets: the one place where errors become
// protocol. nil: he gets none.
func (v *Server) failure(st *stanza.Stanza, err error) *stanza.Stanza {
	if errors.Is(err, ErrDrop) || !st.MayFail() {
		return nil
	}
	var e *stanza.Error
	switch {
	case errors.As(err, &e):
	case errors.Is(err, store.ErrFull):
		e = stanza.Bad(stanza.ResourceConstraint, "The server's disk is full. Try again later.")
	default:
		v.log.Error("stanza not handled", slog.String("from", st.From.String()), slog.String("to", st.To.String()), slog.Any("err", err))
		e = stanza.Bad(stanza.InternalServerError, "Something went wrong in the server; its log has the reason.")
	}
	if st.Kind == stanza.Presence {
		switch st.Type {
		case stanza.Unavailable, stanza.Subscribed, stanza.Unsubscribe, stanza.Unsubscribed:
			return nil // what cannot be told to somebody is not his fault
		}
	}
	return st.Fail(e)
}

// active tells whether a stanza is something that a person does, in contrast to what programs send by themselves
// (docs/protocol.md, "Timeout").
func active(st *stanza.Stanza) bool {
	switch st.Kind {
	case stanza.Message:
		if st.Type == stanza.ErrorType || st.Has(stanza.NSReceipt, "received") && st.Len() <= 3 && !st.Has(stanza.NSClient, "body") {
			return false
		}
		for i := range st.Len() {
			switch n := st.NameOf(i); {
			case n.Space == stanza.NSClient && n.Local == "body",
				n.Space == stanza.NSStates && n.Local == "composing",
				n.Space == "urn:xmpp:chat-markers:0" && n.Local == "displayed",
				n.Space == "urn:xmpp:reactions:0", n.Local == "retract", n.Local == "replace", n.Local == "encrypted":
				return true
			}
		}
		return false
	case stanza.Presence:
		return st.Type != stanza.Probe && !st.Has(stanza.NSIdle, "idle")
	}
	if st.Type != stanza.Set || st.Len() == 0 {
		return false
	}
	switch st.NameOf(0).Space {
	case stanza.NSRoster, stanza.NSBlocking, "http://jabber.org/protocol/commands", "jabber:iq:register",
		"vcard-temp", "http://jabber.org/protocol/pubsub":
		return true
	}
	return false
}
