package client

import (
	"errors"
	"strconv"

	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

const nsSM = "urn:xmpp:sm:3"

// sm is the arithmetic of stream management (XEP-0198): what was sent and is not yet counted by the server, and how much
// of the server's is counted here. It has no lock, no clock and no connection.
//
//	fresh ── enabled ──> on ── resumed(h) ──> on       the same session on another connection
//	  └── push, ack …       └─ failed(h) ───> fresh    its messages above h are handed back, to be sent again
//
// Where the server does not manage streams, the numbers are our own: only messages are pushed, and the answer to a
// ping acknowledges what was pushed before it.
type sm struct {
	on bool   // the server counts
	id string // under which the session can be resumed, "" when it cannot

	in     uint32 // stanzas of the server that were handled, modulo 2^32
	base   uint32 // stanzas of ours that the server has counted, modulo 2^32
	out    []sent // those behind them, in order
	bytes  int    // of out
	asked  bool   // the server owes an answer
	target uint32 // without management: what its answer will acknowledge
}

// sent is one stanza on its way.
type sent struct {
	kind stanza.Kind
	id   string
	text bool // somebody waits to hear that it was accepted
	data []byte
}

// maxUnacknowledged bounds what is kept for a server that acknowledges nothing, in bytes.
const maxUnacknowledged = 16 << 20

var (
	errAck  = errors.New("client: the server acknowledges more than was sent")
	errDeaf = errors.New("client: the server acknowledges nothing")
)

// enabled begins the counting on both sides. What was pushed before is not counted by the server.
func (m *sm) enabled(id string) { *m = sm{on: true, id: id} }

// push keeps a stanza until it is acknowledged. It fails when too much is kept already.
func (m *sm) push(st sent) error {
	if !m.on && st.kind != stanza.Message {
		return nil
	}
	if m.bytes += len(st.data); m.bytes > maxUnacknowledged {
		return errDeaf
	}
	m.out = append(m.out, st)
	return nil
}

// count notes one more stanza of the server as handled.
func (m *sm) count() { m.in++ }

// ask tells whether the server is to be asked now: there is something to ask for, and no question is open.
func (m *sm) ask() bool {
	if m.asked || len(m.out) == 0 {
		return false
	}
	m.asked, m.target = true, m.base+uint32(len(m.out))
	return true
}

// ack takes the server's count and returns what it covers, in order.
func (m *sm) ack(h uint32) ([]sent, error) {
	n := h - m.base // modulo 2^32, as the server counts
	if uint64(n) > uint64(len(m.out)) {
		return nil, errAck
	}
	covered := m.out[:n:n]
	for _, st := range covered {
		m.bytes -= len(st.data)
	}
	m.out, m.base, m.asked = m.out[n:], h, false
	return covered, nil
}

// resumed goes on with the session on another connection. What remains in out is to be sent again as it stands.
func (m *sm) resumed(h uint32) ([]sent, error) {
	m.asked = false
	covered, err := m.ack(h)
	if err != nil {
		m.id = "" // one of us has forgotten something: the next attempt begins anew
	}
	return covered, err
}

// failed gives the session up. The server's last count is h, if it still knew that. Its messages that are not covered are
// handed back; iqs and presence belong to the session that is gone.
func (m *sm) failed(h uint32, known bool) (covered, again []sent) {
	if known {
		covered, _ = m.ack(h) // a count that makes no sense is none
	}
	for _, st := range m.out {
		if st.kind == stanza.Message {
			again = append(again, st)
		}
	}
	*m = sm{}
	return covered, again
}

// hOf reads a count; ok is false when there is none.
func hOf(el *xml.Element) (h uint32, ok bool) {
	n, err := strconv.ParseUint(el.Attr("h"), 10, 32)
	return uint32(n), err == nil
}

// withH is an element of stream management with a count.
func withH(name string, h uint32) *xml.Element {
	return xml.New(nsSM, name, xml.A("h", strconv.FormatUint(uint64(h), 10)))
}
