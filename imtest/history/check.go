package history

import (
	"fmt"
	"time"
)

// The sentences of the promise that Check knows.
const (
	P1        = "P1"  // what was accepted survives a crash
	P2        = "P2"  // what the server says that it has counted is exact, and never less than before
	P3        = "P3"  // every device of sender and recipient is given every accepted message
	P4        = "P4"  // an archive holds a message once, however often it was sent
	P5        = "P5"  // order within a conversation, in archives and on streams
	P6        = "P6"  // one stanza-id for all copies, which nobody forges
	P7        = "P7"  // reading the archive by pages leaves nothing out
	P9        = "P9"  // nothing is dropped in silence: sent = accepted + refused + not counted
	P13       = "P13" // streams resume, without loss and without repetition
	P14       = "P14" // an orderly stop loses nothing, and keeps clients away for 10 s at most
	Isolation = "isolation"
	Origin    = "origin"
	Broken    = "history" // the history itself makes no sense: a fault of the test
)

// Violation is one counter-example.
type Violation struct {
	Sentence string
	Text     string
}

// String is the sentence and the text.
func (v Violation) String() string { return v.Sentence + ": " + v.Text }

// Check returns everything in a history that refutes the promise. It takes time in proportion to the events and to the
// devices that each message is for.
func Check(events []Event) []Violation { return CheckWithin(events, 10*time.Second) }

// CheckWithin is Check on a machine that is too busy to be held to the 10 seconds of P14.
func CheckWithin(events []Event, absence time.Duration) []Violation {
	w := gather(events)
	w.most = absence
	for _, a := range w.archives {
		w.settle(a)
	}
	for _, rule := range [...]func(){
		w.origin, w.isolation, w.keeping, w.accounting, w.unhandled, w.everyDevice, w.once, w.order, w.ids, w.pages, w.gaps, w.absence,
	} {
		rule()
	}
	return w.found
}

// world is what a history says, sorted by what the rules ask for.
type world struct {
	messages map[Msg]*message
	written  []*message // in the order of their first being sent
	sessions map[int]*session
	list     []*session
	devices  map[string]*device
	names    []string            // of devices, in the order of their coming
	archives map[string]*archive // by account
	walks    map[int]*walk
	seen     []Event // Receive and Entry
	crashes  []time.Duration
	stops    []time.Duration
	starts   []time.Duration
	returns  []Event       // Bound and Resumed
	most     time.Duration // how long a client may be without a server that was stopped
	found    []Violation
}

// message is what became of one message.
type message struct {
	Msg
	first   time.Duration // sent for the first time
	tries   int
	open    int           // tries of which the server has not said that it does not have them
	denied  bool          // the last try is none of those: the client has given it up
	known   time.Duration // when somebody had reason to take it for accepted; < 0: never
	how     string
	counted bool // by the server, to its client
	refused bool
}

// know notes that the message was accepted, and since when.
func (m *message) know(at time.Duration, how string) {
	if m.known < 0 {
		m.known, m.how = at, how
	}
}

// session is one session of a client, over all its connections.
type session struct {
	number  int
	client  string
	slots   []*message // what it sent, by number; nil: not a message
	acked   int64
	ready   time.Duration // < 0: never
	got     []receipt
	resumes []time.Duration
	since   time.Duration // of the connection
	lost    bool          // without a connection at the moment
	over    bool
}

// receipt is one message that came on a session.
type receipt struct {
	msg   Msg
	via   Via
	at    time.Duration
	since time.Duration // when its connection was dialled
}

// device is what one device has, of whatever session.
type device struct {
	has   map[Msg]bool
	quiet bool
	live  *session // the last one
}

func gather(events []Event) *world {
	w := &world{
		messages: map[Msg]*message{}, sessions: map[int]*session{}, devices: map[string]*device{},
		archives: map[string]*archive{}, walks: map[int]*walk{},
	}
	for _, e := range events {
		w.add(e)
	}
	return w
}

func (w *world) add(e Event) {
	switch e.Kind {
	case Crash:
		w.crashes = append(w.crashes, e.At)
	case Stop:
		w.stops = append(w.stops, e.At)
	case Start:
		w.starts = append(w.starts, e.At)
	case Quiet:
		w.device(e.Client).quiet = true
	case Entry, Page:
		w.read(e)
	case Refused:
		if m := w.messages[e.Msg]; m != nil {
			m.refused = true
		}
	case Bound:
		s := &session{number: e.Session, client: e.Client, ready: -1, since: e.Asked}
		w.sessions[e.Session], w.list = s, append(w.list, s)
		w.device(e.Client).live = s
		w.returns = append(w.returns, e)
	default:
		s := w.sessions[e.Session]
		if s == nil {
			w.fail(Broken, "%s of %s without a session", e.Kind, e.Client)
			return
		}
		w.during(s, e)
	}
}

// during takes an event of a session.
func (w *world) during(s *session, e Event) {
	switch e.Kind {
	case Ready:
		s.ready = e.At
	case Send:
		w.send(s, e)
	case Ack:
		w.count(s, e, "<a/>")
	case Resumed:
		s.lost, s.since = false, e.Asked
		s.resumes = append(s.resumes, e.At)
		w.returns = append(w.returns, e)
		w.count(s, e, "<resumed/>")
		w.rest(s, e.H)
	case Failed:
		if !s.over {
			w.fail(P13, "%s asked to resume session %d, and was refused: %s", e.Client, s.number, e.Text)
		}
		s.over = true
		if e.H >= 0 {
			w.count(s, e, "<failed/>")
			w.rest(s, e.H)
		}
	case Receive:
		w.receive(s, e)
	case Presence: // no sentence is about it; tests of their own count it
	case Lost:
		s.lost = true
	case Left:
		s.over = true
	default:
		w.fail(Broken, "an event of kind %q", e.Kind)
	}
}

func (w *world) send(s *session, e Event) {
	if e.N != int64(len(s.slots))+1 {
		w.fail(Broken, "%s sends number %d after number %d", e.Client, e.N, len(s.slots))
		return
	}
	var m *message
	if e.Msg != "" {
		if m = w.messages[e.Msg]; m == nil {
			m = &message{Msg: e.Msg, first: e.At, known: -1}
			w.messages[e.Msg], w.written = m, append(w.written, m)
		}
		m.tries++
		m.open++
		m.denied = false
	}
	s.slots = append(s.slots, m)
}

// count takes the server's word for how much of a session it has: never more than was sent, never less than before.
func (w *world) count(s *session, e Event, where string) {
	switch {
	case e.H > int64(len(s.slots)):
		w.fail(P2, "%s has sent %d stanzas in session %d, and %s counts %d", s.client, len(s.slots), s.number, where, e.H)
		return
	case e.H < s.acked:
		w.fail(P2, "%s was told %d in session %d, and then %d by %s", s.client, s.acked, s.number, e.H, where)
		return
	}
	for _, m := range s.slots[s.acked:e.H] {
		if m != nil {
			m.know(e.At, "counted by "+where)
			m.counted = true
		}
	}
	s.acked = e.H
}

// rest takes the server's word that it does not have what was sent after h.
func (w *world) rest(s *session, h int64) {
	if h > int64(len(s.slots)) || h < s.acked {
		return // it has been said that this cannot be
	}
	for _, m := range s.slots[h:] {
		if m != nil {
			m.open--
			m.denied = true
		}
	}
	s.slots = s.slots[:h]
}

func (w *world) receive(s *session, e Event) {
	w.seen = append(w.seen, e)
	if m := w.messages[e.Msg]; m != nil {
		m.know(e.At, "shown to "+e.Client)
		w.device(e.Client).has[e.Msg] = true
		s.got = append(s.got, receipt{msg: e.Msg, via: e.Via, at: e.At, since: s.since})
	}
}

func (w *world) device(client string) *device {
	d := w.devices[client]
	if d == nil {
		d = &device{has: map[Msg]bool{}}
		w.devices[client], w.names = d, append(w.names, client)
	}
	return d
}

func (w *world) fail(sentence, format string, args ...any) {
	w.found = append(w.found, Violation{Sentence: sentence, Text: fmt.Sprintf(format, args...)})
}

// after tells whether one of these times comes after at.
func after(times []time.Duration, at time.Duration) bool {
	return len(times) > 0 && times[len(times)-1] > at
}

// between tells whether one of these times is within.
func between(times []time.Duration, from, to time.Duration) bool {
	for i := len(times) - 1; i >= 0 && times[i] > from; i-- {
		if times[i] < to {
			return true
		}
	}
	return false
}
