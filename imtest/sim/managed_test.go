package sim

import (
	"fmt"
	"strconv"

	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// managed is a stream with stream management (XEP-0198), as its client remembers it from one connection to the next.
// The device's mu guards all of it.
type managed struct {
	id    string // "": cannot be resumed
	label string
	on    bool     // <enabled/> has come
	got   uint32   // stanzas that came
	acked uint32   // stanzas that the server has acknowledged
	wait  []queued // those that it has not
	pages pages    // how catching up stood when the connection was lost
}

// queued is a stanza that the server has not acknowledged.
type queued struct {
	text string
	m    *message // nil when it is something else
}

// enable turns stream management on for a new session.
func (s *session) enable() {
	s.managed = &managed{label: "stream of " + s.label}
	s.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
}

// stanza sends a stanza, which the server is to acknowledge. The caller holds mu.
func (s *session) stanza(text string, m *message) {
	if s.managed != nil {
		s.d.mu.Lock()
		s.managed.wait = append(s.managed.wait, queued{text, m})
		s.d.mu.Unlock()
	}
	s.send(text)
}

// acknowledged takes an h of the server's: all up to it is accepted. It returns those that are.
func (d *device) acknowledged(x *managed, h uint32, as state, how string) {
	d.mu.Lock()
	n := h - x.acked
	if n > uint32(len(x.wait)) {
		d.mu.Unlock()
		d.w.refute("%s is told %s, and has heard of %d of %d before", d.name(), how, x.acked, int(x.acked)+len(x.wait))
		return
	}
	var list []*message
	for _, q := range x.wait[:n] {
		if q.m != nil {
			list = append(list, q.m)
		}
	}
	x.acked, x.wait = h, x.wait[n:]
	d.mu.Unlock()
	d.learn(as, how+" on the "+x.label, list...)
}

// resume goes on with the device's stream. false: the server does not have it any more.
func (s *session) resume(x *managed) (bool, error) {
	s.d.mu.Lock()
	got := x.got
	s.d.mu.Unlock()
	err := s.conn.Write(fmt.Appendf(nil, "<resume xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>", x.id, got))
	if err != nil {
		return false, err
	}
	el, err := s.conn.Read()
	switch {
	case err != nil:
		return false, err
	case el.Name.Local == "resumed":
		s.d.acknowledged(x, number(el), handled, el.String())
		s.d.w.trace("%s goes on with the %s at %d", s.d.name(), x.label, got)
		return true, nil
	case el.Name.Local == "failed":
		s.d.w.trace("%s cannot go on with the %s: %s", s.d.name(), x.label, el)
		if el.Attr("h") == "" {
			return false, nil
		}
		s.d.acknowledged(x, number(el), handled, el.String())
		return false, nil
	}
	return false, fmt.Errorf("resume: %s", el)
}

func number(el *xml.Element) uint32 {
	n, _ := strconv.ParseUint(el.Attr("h"), 10, 32)
	return uint32(n)
}

// hearManagement takes an element of stream management.
func (s *session) hearManagement(el *xml.Element) {
	x := s.managed
	switch el.Name.Local {
	case "enabled":
		s.d.mu.Lock()
		x.on, x.id = true, el.Attr("id")
		if x.id != "" {
			s.d.managed = x
		}
		s.d.mu.Unlock()
	case "r":
		s.mu.Lock()
		lazy := s.lazy
		s.mu.Unlock()
		if !lazy {
			s.count()
		}
	case "a":
		s.d.acknowledged(x, number(el), accepted, el.String())
	default:
		s.d.w.refute("%s: %s", s.d.name(), el)
	}
}

// count tells the server how many stanzas came.
func (s *session) count() {
	if x := s.managed; x != nil {
		s.d.mu.Lock()
		on, got := x.on, x.got
		s.d.mu.Unlock()
		if on {
			s.send(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", got))
		}
	}
}

// shutdown tells whether a stream error says that the server stops, which ends no stream that can be resumed.
func shutdown(el *xml.Element) bool {
	e := stream.ReadError(el)
	return e != nil && e.Condition == stream.SystemShutdown
}
