package load

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"parley/imtest/history"
	"parley/xmpp/sasl"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/forward"
	"parley/xmpp/xml"
)

// Namespaces.
const (
	nsSM      = "urn:xmpp:sm:3"
	nsMAM     = "urn:xmpp:mam:2"
	nsCarbons = "urn:xmpp:carbons:2"
	nsPing    = "urn:xmpp:ping"
)

// device is one client of one account. Its script is one goroutine; each connection has two more.
type device struct {
	// fixed
	o       *Options
	account string
	name    string // account/resource
	partner string
	first   bool // of its account

	// owned by the script
	rng  *rand.Rand
	line *link // the connection, nil: none
	said int   // messages written so far
	sasl *sasl.Client

	mu sync.Mutex
	// guarded by mu: the session
	session int
	managed bool   // acknowledgements are XEP-0198's; else an iq result covers what was sent before it
	id      string // to resume by; "": not possible
	sent    int64  // stanzas
	counted int64  // by the server
	seen    int64  // stanzas received
	out     []written
	// guarded by mu: what the wire's counts are ahead of these, see Group.Shift
	aheadOut uint32
	aheadIn  uint32
	// guarded by mu: beyond the session
	backlog []written // to be sent in the next session
	ids     int
	waiting map[string]chan *xml.Element // answers to iqs, by id; closed with the connection
	changed chan struct{}                // closed and made anew when counted or seen changes
	synced  string                       // it has what the archive holds up to this id
	behind  bool                         // it is yet to read what came before this session
	got     int                          // messages received, whatever they are
	query   int                          // the walk that is going on
	audits  bool                         // it is one of the test's
	last    string                       // id of the last entry of this page
}

// written is a stanza that was sent and is not yet counted.
type written struct {
	n    int64
	msg  history.Msg // "" for others
	id   string      // of an iq
	text string
}

// note writes an event of this device's session. The caller holds d.mu.
func (d *device) note(e history.Event) {
	e.Client = d.name
	if e.Session == 0 {
		e.Session = d.session
	}
	d.o.Recorder.Add(e)
}

// change wakes who waits for it. The caller holds d.mu.
func (d *device) change() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// push sends a stanza as the session's next. The caller holds d.mu.
func (d *device) push(l *link, w written) {
	d.sent++
	w.n = d.sent
	d.note(history.Event{Kind: history.Send, N: w.n, Msg: w.msg})
	d.out = append(d.out, w)
	l.write(w.text)
}

// count takes the server's count, as 32 bits, and returns it as 64. The caller holds d.mu.
func (d *device) count(h uint32) int64 {
	return d.counted + int64(int32(h-d.aheadOut-uint32(d.counted)))
}

// covered forgets what the server has. The caller holds d.mu.
func (d *device) covered(h int64) {
	if h <= d.counted {
		return
	}
	d.counted = h
	i := slices.IndexFunc(d.out, func(w written) bool { return w.n > h })
	if i < 0 {
		i = len(d.out)
	}
	d.out = d.out[i:]
	d.change()
}

// take takes one element from the server.
func (d *device) take(l *link, el *xml.Element) {
	if el.Name.Space == nsSM {
		d.manage(l, el)
		return
	}
	st, err := stanza.Parse(el)
	if err != nil {
		return // a stream error: the end comes next
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case st.Kind == stanza.IQ && !st.IsRequest():
		d.answered(el)
	case st.Kind == stanza.IQ:
		d.push(l, written{text: st.Fail(stanza.Bad(stanza.ServiceUnavailable, "")).String()})
	case st.Kind == stanza.Message:
		d.message(st)
	default:
		d.note(history.Event{Kind: history.Presence, Text: st.From.String() + " " + st.Type})
	}
}

// manage takes an element of stream management.
func (d *device) manage(l *link, el *xml.Element) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch el.Name.Local {
	case "r":
		l.write(fmt.Sprintf("<a xmlns='%s' h='%d'/>", nsSM, uint32(d.seen)+d.aheadIn))
	case "a":
		h, err := strconv.ParseUint(el.Attr("h"), 10, 32)
		if err != nil {
			d.note(history.Event{Kind: history.Ack, H: -1, Text: el.String()})
			return
		}
		n := d.count(uint32(h))
		d.note(history.Event{Kind: history.Ack, H: n})
		d.covered(n)
	}
}

// answered takes the answer to an iq. The caller holds d.mu.
func (d *device) answered(el *xml.Element) {
	id := el.Attr("id")
	if !d.managed {
		for _, w := range d.out {
			if w.id == id {
				d.note(history.Event{Kind: history.Ack, H: w.n})
				d.covered(w.n)
				break
			}
		}
	}
	if c := d.waiting[id]; c != nil {
		delete(d.waiting, id)
		c <- el
	}
}

// message takes a message, of whatever form. The caller holds d.mu.
func (d *device) message(st *stanza.Stanza) {
	own := d.account + "@localhost"
	from := st.From.Bare().String()
	if r := st.Child(nsMAM, "result"); r != nil {
		d.entry(r)
		return
	}
	if st.Type == stanza.ErrorType {
		d.note(history.Event{Kind: history.Refused, Msg: history.Msg(st.ID), Text: st.String()})
		return
	}
	for _, via := range [...]history.Via{history.Sent, history.Copied} {
		if c := st.Child(nsCarbons, string(via)); c != nil {
			inner, _, err := forward.Parse(c)
			if err != nil || from != own {
				d.note(history.Event{Kind: history.Receive, Text: st.String()})
				return
			}
			d.shown(inner, via)
			return
		}
	}
	d.shown(st, history.Direct)
}

// shown takes a message of the test, itself or from a copy. The caller holds d.mu.
func (d *device) shown(st *stanza.Stanza, via history.Via) {
	e := history.Event{Kind: history.Receive, Via: via, Msg: read(st), IDs: d.idsOf(st)}
	if e.Msg == "" || via == history.Direct && st.To.Local() != d.account {
		e.Text = st.String()
	}
	d.note(e)
	d.got++
	if len(e.IDs) > 0 && !d.behind {
		d.synced = e.IDs[0]
	}
	d.change()
}

// read says which message of the test this is, "" for none: altered, or in somebody else's name.
func read(st *stanza.Stanza) history.Msg {
	m := history.ReadBody(st.Body())
	if m == "" || st.From.Local() != m.From() {
		return ""
	}
	return m
}

// idsOf are the stanza-ids in the name of the device's account.
func (d *device) idsOf(st *stanza.Stanza) []string {
	var ids []string
	for c := range st.Children() {
		if c.Name == (xml.Name{Space: stanza.NSID, Local: "stanza-id"}) && c.Attr("by") == d.account+"@localhost" {
			ids = append(ids, c.Attr("id"))
		}
	}
	return ids
}
