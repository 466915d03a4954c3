package client

import (
	"context"
	"errors"
	"fmt"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

const (
	nsPing = "urn:xmpp:ping"
	nsInfo = "http://jabber.org/protocol/disco#info"
)

// question is a request that waits for its answer.
type question struct {
	to     jid.JID
	answer func(*stanza.Stanza, error) // called once, by the reader
}

// IQ sends a request (stanza.Get or stanza.Set) and waits for the result, whose sender, id and kind must fit. A zero
// to is the own account.
func (s *Session) IQ(ctx context.Context, typ string, to jid.JID, payload *xml.Element) (*stanza.Stanza, error) {
	type reply struct {
		st  *stanza.Stanza
		err error
	}
	got := make(chan reply, 1)
	id, err := s.ask(typ, to, payload, func(st *stanza.Stanza, err error) { got <- reply{st, err} })
	if err != nil {
		return nil, err
	}
	select {
	case r := <-got:
		return r.st, r.err
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.asked, id)
		s.mu.Unlock()
		return nil, fmt.Errorf("client: wait for an answer: %w", ctx.Err())
	}
}

// ask sends a request; answer is called by the reader, in the order of what arrives.
func (s *Session) ask(typ string, to jid.JID, payload *xml.Element, answer func(*stanza.Stanza, error)) (string, error) {
	req := stanza.New(stanza.IQ, typ, jid.JID{}, to, payload)
	req.ID = s.NewID()
	if err := s.expect(req, answer); err != nil {
		return "", err
	}
	if err := s.send(req); err != nil {
		s.mu.Lock()
		delete(s.asked, req.ID)
		s.mu.Unlock()
		return "", err
	}
	return req.ID, nil
}

// expect notes a request before it is sent.
func (s *Session) expect(req *stanza.Stanza, answer func(*stanza.Stanza, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil {
		return s.end
	}
	s.asked[req.ID] = question{to: req.To, answer: answer}
	return nil
}

// answered gives a result or an error to the one who asked. An answer that fits nothing is dropped: others may send
// us results too.
func (s *Session) answered(st *stanza.Stanza) {
	s.mu.Lock()
	q, ok := s.asked[st.ID]
	ok = ok && (st.From == q.to || q.to.IsZero() && s.own(st) || q.to == s.jid.Bare() && st.From.IsZero())
	if ok {
		delete(s.asked, st.ID)
	}
	s.mu.Unlock()
	switch {
	case !ok:
	case st.Type == stanza.ErrorType:
		q.answer(nil, stanza.ErrorOf(st))
	default:
		q.answer(st, nil)
	}
}

// serve answers a request that somebody else makes of us.
func (s *Session) serve(st *stanza.Stanza) {
	payload := st.First()
	name := payload.Name
	switch {
	case name == xml.Name{Space: stanza.NSRoster, Local: "query"} && st.Type == stanza.Set && s.own(st):
		s.rosterChanged(payload)
		_ = s.send(st.Result(nil))
	case name.Space == stanza.NSBlocking && st.Type == stanza.Set && s.own(st):
		s.blocksChanged(payload)
		_ = s.send(st.Result(nil))
	case name == xml.Name{Space: nsPing, Local: "ping"} && st.Type == stanza.Get:
		_ = s.send(st.Result(nil))
	case name == xml.Name{Space: nsInfo, Local: "query"} && st.Type == stanza.Get && payload.Attr("node") == "":
		_ = s.send(st.Result(s.about()))
	default:
		_ = s.send(st.Fail(stanza.Bad(stanza.ServiceUnavailable, "")))
	}
}

// about is what others may know of this client (XEP-0030).
func (s *Session) about() *xml.Element {
	info := xml.New(nsInfo, "query").With(xml.New(nsInfo, "identity", xml.A("category", "client"), xml.A("type", "console"), xml.A("name", "Parley")))
	for _, feature := range []string{nsInfo, nsPing, stanza.NSReceipt, nsMarkers} {
		info = info.With(xml.New(nsInfo, "feature", xml.A("var", feature)))
	}
	return info
}

// Ping asks the server for a sign of life (XEP-0199). What it has accepted, Settle tells.
func (s *Session) Ping(ctx context.Context) error {
	_, err := s.IQ(ctx, stanza.Get, s.server, xml.New(nsPing, "ping"))
	var refused *stanza.Error
	if errors.As(err, &refused) {
		return nil // a server that knows no ping has answered all the same
	}
	return err
}
