package sim

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"parley/xmpp/stanza"
	"parley/xmpp/stanza/forward"
	"parley/xmpp/stanza/rsm"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// session is one connection of a device. Its goroutines are a reader and a writer, for which drop waits.
type session struct {
	d       *device
	link    *link
	conn    *stream.Conn
	label   string
	crashes int           // before it: after one more, things may come again that were there before
	done    chan struct{} // closed when nothing more is read
	out     chan string   // to the writer
	work    sync.WaitGroup

	// fixed when reading begins
	managed *managed // nil: without stream management
	resumed bool     // this connection goes on with what an earlier one began

	mu    sync.Mutex
	hold  time.Time // nothing is read until then; this and all below is guarded by mu
	lazy  bool      // it does not answer <r/>
	sent  []*message
	asked map[string]int // pings that wait for their answer: how many of sent it covers
	heard int            // messages that came, of whatever kind
	pages pages
}

// pages is how catching up stands.
type pages struct {
	query string          // id of the query under way, "" when there is none
	done  bool            // there is no gap any more
	last  string          // the last id of the last page
	given map[string]bool // ids that came in pages
	live  []string        // ids that came live meanwhile
}

// connect signs in and binds. faults: the network is bad.
func (d *device) connect(faults bool) (*session, error) {
	l, nc, crashes, err := d.w.dial(d.r, faults)
	if err != nil {
		return nil, err
	}
	s := &session{
		d: d, link: l, crashes: crashes, conn: stream.New(nc, xml.Limits{}), label: "session " + strings.TrimSpace(stamp()),
		done: make(chan struct{}), out: make(chan string, 1<<11), asked: map[string]int{}, pages: pages{given: map[string]bool{}},
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(time.Minute))
	if err := s.signIn(); err != nil {
		_ = s.conn.Close()
		return nil, err
	}
	_ = s.conn.SetReadDeadline(time.Time{})
	d.w.trace("%s has %s", d.name(), s.label)
	s.work.Go(s.writes)
	if s.resumed {
		s.goOn()
	} else {
		s.start()
	}
	s.work.Go(s.reads)
	return s, nil
}

// start is how a new session begins: with what may not have arrived, once more.
func (s *session) start() {
	if s.d.managing {
		s.enable()
	}
	s.mu.Lock()
	if s.d.carbons {
		s.stanza("<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>", nil)
	}
	s.mu.Unlock()
	for _, m := range s.d.unsure() {
		s.message(m)
	}
	s.arrive()
}

// goOn is how a resumed session begins: with what the server has not handled.
func (s *session) goOn() {
	s.d.mu.Lock()
	s.managed.wait = slices.DeleteFunc(s.managed.wait, func(q queued) bool { return q.m != nil && q.m.state == refused })
	wait, known := s.managed.wait, s.d.known
	s.d.mu.Unlock()
	for _, q := range wait {
		s.send(q.text)
	}
	s.mu.Lock()
	s.pages = s.managed.pages
	s.pages.query = ""
	done := s.pages.done
	s.mu.Unlock()
	if s.d.archive && !done { // answers may be lost
		s.query(known)
	}
}

// arrive is available from now on, and catches up from the archive.
func (s *session) arrive() {
	s.presence("<presence/>")
	if s.d.archive {
		s.d.mu.Lock()
		known := s.d.known
		s.d.mu.Unlock()
		s.query(known)
	}
}

// writes is the writer.
func (s *session) writes() {
	for {
		select {
		case <-s.done:
			return
		case text := <-s.out:
			if err := s.conn.Write([]byte(text)); err != nil {
				_ = s.conn.Close()
				return
			}
		}
	}
}

func (s *session) presence(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stanza(text, nil)
}

// send queues what is to be written.
func (s *session) send(text string) {
	select {
	case s.out <- text:
	default:
		_ = s.conn.Close() // the network takes nothing
	}
}

// message sends m.
func (s *session) message(m *message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, m)
	s.d.w.trace("%s writes %s", s.d.name(), m.id)
	s.stanza(fmt.Sprintf("<message to='%s@localhost' type='chat' id='%s'><body>%[2]s</body><origin-id xmlns='urn:xmpp:sid:0' id='%[2]s'/></message>", m.to, m.id), m)
}

// ask pings the server: without stream management the result covers what was sent before.
func (s *session) ask() (id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id = fmt.Sprintf("ping-%d", s.d.number())
	s.asked[id] = len(s.sent)
	s.stanza("<iq type='get' to='localhost' id='"+id+"'><ping xmlns='urn:xmpp:ping'/></iq>", nil)
	if s.managed != nil {
		s.send("<r xmlns='urn:xmpp:sm:3'/>")
	}
	return id
}

// query asks for what came after an id.
func (s *session) query(after string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pages.query = fmt.Sprintf("page-%d", s.d.number())
	if after != "" {
		after = "<after>" + after + "</after>"
	}
	s.stanza("<iq type='set' id='"+s.pages.query+"'><query xmlns='urn:xmpp:mam:2' queryid='"+s.pages.query+
		"'><set xmlns='"+rsm.NS+"'><max>7</max>"+after+"</set></query></iq>", nil)
}

// reads is the reader.
func (s *session) reads() {
	defer close(s.done)
	for {
		s.mu.Lock()
		hold := time.Until(s.hold)
		s.mu.Unlock()
		time.Sleep(hold)
		el, err := s.conn.Read()
		if err != nil {
			_ = s.conn.Close()
			return
		}
		s.hear(el)
	}
}

func (s *session) hear(el *xml.Element) {
	if el.Name.Space == stream.NSManagement {
		s.hearManagement(el)
		return
	}
	st, err := stanza.Parse(el)
	if err == nil && s.managed != nil {
		s.d.mu.Lock()
		if s.managed.on {
			s.managed.got++
		}
		s.d.mu.Unlock()
	}
	switch {
	case err != nil: // a stream error: the end follows
		if shutdown(el) {
			s.send("</stream:stream>")
		}
	case st.Kind == stanza.IQ:
		s.hearIQ(st)
	case st.Kind == stanza.Message:
		s.hearMessage(st)
	}
}

func (s *session) hearIQ(st *stanza.Stanza) {
	switch {
	case strings.HasPrefix(st.ID, "ping-"):
		if st.Type != stanza.Result {
			s.d.w.refute("%s: a ping is answered with %s", s.d.name(), st)
			return
		}
		s.mu.Lock()
		covered := s.sent[:s.asked[st.ID]]
		delete(s.asked, st.ID)
		s.mu.Unlock()
		if s.managed != nil {
			return
		}
		s.d.learn(accepted, "the answer to "+st.ID+" in "+s.label, covered...)
	case strings.HasPrefix(st.ID, "page-"):
		s.hearPage(st)
	}
}

// hearPage takes the end of a page of the archive, and asks for the next one.
func (s *session) hearPage(st *stanza.Stanza) {
	if st.Type != stanza.Result {
		if strings.Contains(st.String(), "item-not-found") {
			s.d.w.refute("%s: the archive does not know its own id: %s", s.d.name(), st)
			s.d.mu.Lock()
			s.d.known = ""
			s.d.mu.Unlock()
		}
		s.d.w.note("%s: no page: %s", s.d.name(), st)
		_ = s.conn.Close() // and anew
		return
	}
	fin := st.First()
	page, _ := rsm.ParsePage(fin)
	s.mu.Lock()
	if s.pages.query != st.ID {
		s.mu.Unlock()
		return
	}
	s.pages.query = ""
	if page.Last != "" {
		s.pages.last = page.Last
	}
	complete := fin.Attr("complete") == "true"
	known := s.pages.last
	if complete {
		s.pages.done = true
		if n := len(s.pages.live); n > 0 && !s.pages.given[s.pages.live[n-1]] {
			known = s.pages.live[n-1]
		}
	}
	s.mu.Unlock()
	if known != "" {
		s.d.mu.Lock()
		s.d.known = known
		s.d.mu.Unlock()
	}
	if !complete {
		s.query(known)
	}
}

func (s *session) hearMessage(st *stanza.Stanza) {
	s.mu.Lock()
	s.heard++
	s.mu.Unlock()
	if st.Type == stanza.ErrorType {
		s.d.w.mu.Lock()
		m := s.d.w.messages[st.ID]
		s.d.w.mu.Unlock()
		if m != nil && m.from == s.d {
			s.d.learn(refused, st.String(), m)
		}
		return
	}
	if el := st.First(); el != nil && el.Name.Local == "result" && el.Name.Space == "urn:xmpp:mam:2" {
		if in, _, err := forward.Parse(el); err == nil {
			s.mu.Lock()
			s.pages.given[el.Attr("id")] = true
			s.mu.Unlock()
			s.d.got(in.Body(), el.Attr("id"), "", "archive")
		}
		return
	}
	if el := st.First(); el != nil && el.Name.Space == "urn:xmpp:carbons:2" {
		in, _, err := forward.Parse(el)
		if err != nil || in.Type == stanza.ErrorType {
			return
		}
		s.liveCopy(in, el.Name.Local)
		return
	}
	s.liveCopy(st, "live")
}

// liveCopy takes a message that came by itself.
func (s *session) liveCopy(st *stanza.Stanza, how string) {
	id := ""
	for el := range st.Children() {
		if el.Name.Space == stanza.NSID && el.Name.Local == "stanza-id" && el.Attr("by") == s.d.account+"@localhost" {
			id = el.Attr("id")
		}
	}
	label := s.label
	if s.managed != nil {
		label = s.managed.label
	}
	s.d.got(st.Body(), id, fmt.Sprintf("%s, after %d crashes", label, s.crashes), how)
	s.mu.Lock()
	done := s.pages.done
	if !done {
		s.pages.live = append(s.pages.live, id)
	}
	s.mu.Unlock()
	if done {
		s.d.mu.Lock()
		s.d.known = id
		s.d.mu.Unlock()
	}
}

// use does this and that until the session breaks, or its person has had enough.
func (s *session) use(until time.Time) {
	r := s.d.r
	until = time.Now().Add(min(time.Until(until), time.Duration(r.IntN(40000))*time.Millisecond))
	defer s.drop()
	for time.Now().Before(until) {
		pause := time.Duration(r.IntN(100)) * time.Millisecond
		if r.IntN(4) == 0 {
			pause = time.Duration(r.IntN(8000)) * time.Millisecond
		}
		select {
		case <-s.done:
			return
		case <-time.After(pause):
		}
		switch n := r.IntN(100); {
		case n < 60:
			s.message(s.d.write())
		case n < 80:
			s.ask()
		case n < 83:
			s.mu.Lock()
			s.hold = time.Now().Add(time.Duration(r.IntN(20000)) * time.Millisecond)
			s.mu.Unlock()
		case n < 85:
			s.d.w.trace("%s vanishes", s.d.name())
			s.link.vanish()
			s.d.idle(40000)
			return
		case n < 87:
			return // the connection is lost
		case n < 89:
			s.leave()
			return
		case n < 94:
			s.mu.Lock()
			s.lazy = !s.lazy
			s.mu.Unlock()
			s.count()
		case n < 97:
			s.d.w.trace("%s goes offline", s.d.name())
			s.away()
		}
	}
}

// away is unavailable for a while. What comes meanwhile may go to another device alone: who knows the archive looks there.
func (s *session) away() {
	s.mu.Lock()
	s.pages.done = false
	s.mu.Unlock()
	s.d.mu.Lock()
	s.d.away++
	s.d.mu.Unlock()
	s.presence("<presence type='unavailable'/>")
	s.d.idle(3000)
	s.arrive()
}

// drop ends the connection as it stands.
func (s *session) drop() {
	s.link.cut()
	_ = s.conn.Close()
	s.work.Wait()
	if s.managed != nil {
		s.managed.pages = s.pages
	}
}

// leave closes the stream in order and waits for the server's end.
func (s *session) leave() {
	s.d.mu.Lock()
	s.d.managed = nil
	s.d.mu.Unlock()
	s.send("</stream:stream>")
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
	}
	s.drop()
}

// settle returns true once there is nothing more to read, false when the session has broken.
func (s *session) settle(until time.Time) bool {
	quiet, heard := 0, -1
	s.mu.Lock()
	s.lazy = false
	s.mu.Unlock()
	s.count()
	for quiet < 3 && time.Now().Before(until) {
		id := s.ask()
		select {
		case <-s.done:
			return false
		case <-time.After(2 * time.Second):
		}
		s.mu.Lock()
		_, waiting := s.asked[id]
		if quiet++; waiting || heard != s.heard || s.pages.query != "" {
			quiet = 0
		}
		heard = s.heard
		s.mu.Unlock()
	}
	return quiet == 3
}
