package client

import (
	"errors"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/forward"
	"parley/xmpp/stanza/rsm"
	"parley/xmpp/xml"
)

const nsArchive = "urn:xmpp:mam:2"

// Bounds of catching up.
const (
	pageSize     = 100     // messages
	maxPages     = 5       // after that, what is still in between stays in the archive
	maxHeld      = 1000    // live messages that wait
	maxHeldBytes = 1 << 20 // of their content
)

// catchUp is how a session stands that reads the archive behind the last message that was shown (XEP-0313). The texts that
// are delivered meanwhile wait, so that all come in order; those that were in the archive already are known by then.
type catchUp struct {
	query   string // id of the query in flight, "" when there is none
	pages   int
	shown   int
	holding bool
	held    []*stanza.Stanza
	bytes   int
}

// SetPlace says behind which id in the archive Start is to catch up. Without it, a session that goes on with none before is
// told only what the server holds ready for it.
func (s *Session) SetPlace(id string) {
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	s.mem.place = id
}

// Place is the id in the archive up to which everything was told, "" when that is not known; for SetPlace.
func (s *Session) Place() string {
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	return s.mem.place
}

// mark asks where the archive ends, when nothing is known to catch up from: another time, what comes from now on can be
// caught up with. What the server has ready for us was sent before its answer.
func (s *Session) mark() (*stanza.Stanza, error) {
	req := stanza.New(stanza.IQ, stanza.Set, jid.JID{}, jid.JID{}, xml.New(nsArchive, "query").With(rsm.Request{Max: 1, Last: true}.Element()))
	req.ID = s.NewID()
	return req, s.expect(req, func(st *stanza.Stanza, err error) {
		if page, ok := pageOf(st); err == nil && ok {
			s.mem.mu.Lock()
			if s.mem.place == "" { // a message that came since has one, too
				s.mem.place = page.Last
			}
			s.mem.mu.Unlock()
		}
	})
}

// pageOf is what the answer to a query says of its page.
func pageOf(st *stanza.Stanza) (rsm.Page, bool) {
	if st == nil {
		return rsm.Page{}, false
	}
	fin := st.Child(nsArchive, "fin")
	if fin == nil {
		return rsm.Page{}, false
	}
	return rsm.ParsePage(fin)
}

// hold lets the texts that are delivered from now on wait, if there is something to catch up.
func (s *Session) hold() bool {
	s.mem.mu.Lock()
	defer s.mem.mu.Unlock()
	s.mem.behind = s.mem.place != ""
	s.catch.holding = s.mem.behind
	return s.mem.behind
}

// wait keeps a text until its turn. Who sends more than there is room for meanwhile is shown out of turn.
func (s *Session) wait(st *stanza.Stanza) bool {
	s.mem.mu.Lock()
	c := &s.catch
	full := len(c.held) >= maxHeld || c.bytes+len(st.Raw()) > maxHeldBytes
	holding := c.holding
	if holding && !full {
		c.held, c.bytes = append(c.held, st), c.bytes+len(st.Raw())
	}
	s.mem.mu.Unlock()
	if holding && full {
		s.release(false)
		return false
	}
	return holding
}

// release tells what waited. complete: everything before it was told.
func (s *Session) release(complete bool) {
	s.mem.mu.Lock()
	held := s.catch.held
	s.catch.held, s.catch.bytes, s.catch.holding = nil, 0, false
	if complete {
		s.mem.behind, s.catch.query = false, ""
	}
	s.mem.mu.Unlock()
	for _, st := range held {
		s.message(st, origin{archive: s.archiveID(st)})
	}
}

// catchUp asks for the next page behind the last message that was told, if there may be one.
func (s *Session) catchUp() error {
	id := s.NewID()
	s.mem.mu.Lock()
	after, behind := s.mem.place, s.mem.behind
	if behind {
		s.catch.query = id
		s.catch.holding = s.catch.holding || s.catch.pages == 0
	}
	s.mem.mu.Unlock()
	if !behind {
		return nil
	}
	q := xml.New(nsArchive, "query", xml.A("queryid", id)).With(rsm.Request{Max: pageSize, After: after}.Element())
	_, err := s.ask(stanza.Set, jid.JID{}, q, s.gotPage)
	return err
}

// gotPage takes the end of a page. The reader calls it.
func (s *Session) gotPage(st *stanza.Stanza, err error) {
	var end *End
	if errors.As(err, &end) {
		return // who goes on with this session goes on here
	}
	page, ok := pageOf(st)
	complete := err != nil || !ok || page.Last == "" || st.Child(nsArchive, "fin").Attr("complete") == "true"
	s.mem.mu.Lock()
	s.catch.pages++
	more := !complete && s.catch.pages >= maxPages
	switch {
	case err != nil || more: // the archive has not, or no longer, what we know; or there is too much
		s.mem.place = ""
	case ok && page.Last != "":
		s.mem.place = page.Last
	}
	s.mem.mu.Unlock()
	if !complete && !more {
		_ = s.catchUp() // without a connection, the next session does
		return
	}
	s.release(true)
	if s.Place() == "" {
		if mark, err := s.mark(); err == nil {
			_ = s.send(mark)
		}
	}
	if s.catch.shown > 0 || more {
		s.handle(CaughtUp{Messages: s.catch.shown, More: more})
	}
}

// result takes a message out of the archive, if it was asked for. The caller has made sure that it is the own account's.
func (s *Session) result(st *stanza.Stanza) {
	res := st.Child(nsArchive, "result")
	s.mem.mu.Lock()
	asked := s.catch.query != "" && res.Attr("queryid") == s.catch.query
	s.mem.mu.Unlock()
	id := res.Attr("id")
	if !asked || id == "" {
		return
	}
	inner, at, err := forward.Parse(res)
	if err != nil || at.IsZero() || inner.Kind != stanza.Message || inner.Type == stanza.ErrorType || inner.Type == stanza.Groupchat {
		return
	}
	if s.message(inner, origin{archive: id, at: at}) {
		s.catch.shown++
	}
}
