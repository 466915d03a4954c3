package client

import (
	"errors"
	"fmt"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// memory is that of the session before, once nobody uses it any more, or a new one.
func (c *Config) memory() *memory {
	if c.Before == nil {
		return newMemory()
	}
	<-c.Before.done
	c.Before.writing.Lock() // who was writing when it ended has noted what he wrote
	defer c.Before.writing.Unlock()
	return c.Before.mem
}

// begin opens the stream anew after signing in and makes a session on it: the one before is resumed, or a resource is
// bound and stream management enabled. What comes of the session before is noted in mem, for newSession.
func (l *link) begin(cfg *Config, mem *memory) (me jid.JID, resumed bool, err error) {
	l.conn.Restart()
	if err := l.open(l.domain); err != nil {
		return me, false, err
	}
	mem.mu.Lock()
	id, h := mem.sm.id, mem.sm.in
	mem.mu.Unlock()
	var count uint32
	known := false
	if id != "" && l.features.Has(nsSM, "sm") {
		resumed, count, known, err = l.resume(id, h)
		if err != nil {
			return me, false, err
		}
	}
	if resumed {
		if err := mem.resumed(count); err != nil {
			return me, false, lost(err)
		}
		return cfg.Before.jid, true, nil
	}
	mem.failed(count, known)
	if me, err = l.bind(cfg.Resource); err != nil || !l.features.Has(nsSM, "sm") {
		return me, false, err
	}
	id, on, err := l.enable()
	if on {
		mem.enabled(id)
	}
	return me, false, err
}

// resume asks for the session before (XEP-0198 §5). count is how much of ours the server had, when known.
func (l *link) resume(id string, h uint32) (resumed bool, count uint32, known bool, err error) {
	if err := l.conn.Send(withH("resume", h).WithAttr("previd", id)); err != nil {
		return false, 0, false, lost(err)
	}
	el, err := l.managed()
	if err != nil {
		return false, 0, false, err
	}
	count, known = hOf(el)
	switch {
	case el.Name.Local == "failed":
		return false, count, known, nil
	case el.Name.Local != "resumed" || !known || el.Attr("previd") != id:
		return false, 0, false, fmt.Errorf("client: resume the session: the server sent <%s>", el.Name.Local)
	}
	return true, count, true, nil
}

// enable asks for stream management (XEP-0198 §3); a server that refuses it goes on without. id is "" when the session
// cannot be resumed.
func (l *link) enable() (id string, on bool, err error) {
	if err := l.conn.Send(xml.New(nsSM, "enable", xml.A("resume", "true"))); err != nil {
		return "", false, lost(err)
	}
	el, err := l.managed()
	if err != nil {
		return "", false, err
	}
	switch el.Name.Local {
	case "enabled":
		if r := el.Attr("resume"); r == "true" || r == "1" {
			id = el.Attr("id")
		}
		return id, true, nil
	case "failed":
		return "", false, nil
	}
	return "", false, fmt.Errorf("client: enable stream management: the server sent <%s>", el.Name.Local)
}

// managed is the next element of stream management. Stanzas that come before it were sent to nobody who could answer.
func (l *link) managed() (*xml.Element, error) {
	for range 100 {
		el, err := l.read()
		if err != nil || el.Name.Space == nsSM {
			return el, err
		}
	}
	return nil, errors.New("client: the server does not answer for stream management")
}

func (m *memory) resumed(h uint32) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	covered, err := m.sm.resumed(h)
	m.untold = append(m.untold, covered...)
	return err
}

func (m *memory) failed(h uint32, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	covered, again := m.sm.failed(h, known)
	m.untold, m.again = append(m.untold, covered...), append(m.again, again...)
	m.people = newContacts()
}

func (m *memory) enabled(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sm.enabled(id)
}

// takeUp is what a session begins with: what is to be written again, as it goes on the wire, whether to ask for an
// acknowledgement then, and what was accepted meanwhile.
func (m *memory) takeUp() (p []byte, ask bool, untold []sent, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, st := range m.again {
		if err := m.sm.push(st); err != nil {
			return nil, false, nil, err
		}
	}
	for _, st := range m.sm.out {
		p = append(p, st.data...)
	}
	untold = m.untold
	m.again, m.untold = nil, nil
	return p, m.sm.ask(), untold, nil
}

// askOn is the question for an acknowledgement: <r/>, or a ping where the server does not manage streams.
func (s *Session) askOn(p []byte) []byte {
	if s.counted {
		return append(p, "<r xmlns='"+nsSM+"'/>"...)
	}
	ping := stanza.New(stanza.IQ, stanza.Get, jid.JID{}, s.server, xml.New(nsPing, "ping"))
	ping.ID = s.NewID()
	err := s.expect(ping, func(_ *stanza.Stanza, err error) {
		var end *End
		if !errors.As(err, &end) { // a server that knows no ping has answered all the same
			s.acknowledged(s.mem.target())
		}
	})
	if err != nil {
		return p
	}
	return ping.Append(p)
}

func (m *memory) target() uint32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sm.target
}

// manage takes an element of stream management. The reader calls it.
func (s *Session) manage(el *xml.Element) *End {
	switch el.Name.Local {
	case "r":
		s.mem.mu.Lock()
		h := s.mem.sm.in
		s.mem.mu.Unlock()
		s.write(stream.Append(nil, withH("a", h)))
	case "a":
		if h, ok := hOf(el); ok {
			return s.acknowledged(h)
		}
	}
	return nil
}

// acknowledged takes the server's count: it tells what that covers, then lets go who waited for it. The reader calls it.
func (s *Session) acknowledged(h uint32) *End {
	covered, waited, ask, err := s.mem.ack(h)
	if err != nil {
		return &End{Reason: Lost, Err: err}
	}
	s.tell(covered)
	for _, w := range waited {
		close(w.done)
	}
	if ask {
		s.write(s.askOn(nil))
	}
	return nil
}

// tell tells of messages that were accepted.
func (s *Session) tell(covered []sent) {
	for _, st := range covered {
		if st.text {
			s.handle(Accepted{ID: st.id})
		}
	}
}
