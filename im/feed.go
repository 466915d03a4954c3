package im

import (
	"context"
	"slices"
	"sync"
	"time"

	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// lowWater is how little must be left in an outbox, in bytes, before its feeds add to it.
const lowWater = 32 << 10

// due is what a session has coming after its presence; its reader gives it before it reads on, so that the answer to a
// ping which the client sent after its presence comes behind the presence of its contacts.
type due struct {
	said     chan struct{} // closed once the session's own presence has been said
	contacts bool
	requests []*stanza.Stanza // for subscription, that wait for an answer (§3.1.3)
	missed   bool
}

// welcomeTime is how long a session's reader gives missed messages before it reads on.
const welcomeTime = 5 * time.Second

// Welcome gives the session what it has coming: its contacts' presence (RFC 6121 §4.2.2), and then the messages that it
// missed, as fast as they are taken. Who has not taken all of them in welcomeTime, on a slow link, is fed the rest by
// the writer as the outbox drains, and has his questions answered meanwhile. The session's reader calls it, with no
// lock held.
func (s *Session) Welcome(ctx context.Context) error {
	if s.due.contacts {
		<-s.due.said
		if err := s.greetContacts(ctx); err != nil {
			return err
		}
		s.due.contacts = false // what is left of due is given after a resumption
	}
	for len(s.due.requests) > 0 {
		if err := s.WaitRoom(); err != nil {
			return err
		}
		st := s.due.requests[0]
		s.due.requests = s.due.requests[1:]
		s.send(st, st.To, s.srv.store.Mark(), what{}, true)
	}
	missed := s.due.missed
	s.due = due{}
	if !missed {
		return nil
	}
	patience := time.NewTimer(welcomeTime)
	defer patience.Stop()
	for s.waitRoom(patience.C) == nil && !s.out.far() {
		if !s.feedLog(ctx) {
			s.kick()
			return nil
		}
	}
	s.feeds.add(s.feedLog)
	s.feedMe()
	return nil
}

// contactPage is how many contacts are asked for their presence at a time.
const contactPage = 20

// contactsOnline are the accounts that are online and whose presence the account gets.
func (a *Account) contactsOnline() []*Account {
	if a.srv.everyone != nil {
		return a.srv.online()
	}
	var list []*Account
	for who, it := range a.roster.Load().items {
		if b := a.srv.table.find(who.Local(), it.Owner); b != nil && it.To && b.Online() {
			list = append(list, b)
		}
	}
	return list
}

// greetContacts asks the accounts that are online for their presence and returns when all answers are in the outbox.
func (s *Session) greetContacts(ctx context.Context) error {
	for page := range slices.Chunk(s.account.contactsOnline(), contactPage) {
		if err := s.WaitRoom(); err != nil {
			return err
		}
		var answers sync.WaitGroup
		for _, a := range page {
			answers.Add(1)
			s.srv.probe(ctx, a, s.jid, answers.Done)
		}
		answers.Wait() // somebody else may be routing what a contact says
	}
	return nil
}

// Queried says that the session's client has begun to read its archive: what is there by now, it is not sent as missed.
func (s *Session) Queried() {
	s.account.mu.Lock()
	defer s.account.mu.Unlock()
	if s.queried == 0 {
		s.queried = s.account.last
	}
}

// feeds are what a session is given by its writer as its outbox drains: the messages that it has missed.
type feeds struct {
	mu    sync.Mutex
	queue []func(context.Context) (more bool) // guarded by mu; run without it
}

func (f *feeds) add(step func(context.Context) bool) {
	f.mu.Lock()
	f.queue = append(f.queue, step)
	f.mu.Unlock()
}

func (f *feeds) reset() {
	f.mu.Lock()
	f.queue = nil
	f.mu.Unlock()
}

func (f *feeds) waiting() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.queue) > 0
}

// step runs the first feed once if the outbox has room. It reports whether the writer should look again.
func (f *feeds) step(ctx context.Context, s *Session) bool {
	f.mu.Lock()
	if len(f.queue) == 0 || ctx.Err() != nil {
		f.queue = nil
		f.mu.Unlock()
		return false
	}
	step := f.queue[0]
	f.mu.Unlock()
	if s.out.fed() {
		return false // for the disk, or for acknowledgements; the writer comes back then
	}
	if !step(ctx) {
		f.mu.Lock()
		f.queue = f.queue[1:]
		f.mu.Unlock()
	}
	return true
}

// catchUp makes the session one that is fed from its account's Log, from behind the place 'after'. The caller holds
// account.mu.
func (s *Session) catchUp(after store.ID) {
	if !s.catching {
		s.catching, s.copied = true, after
		s.cursor.Store(uint64(after))
		s.feeds.add(s.feedLog)
	}
}

// logPage is how many entries one step of a feed reads.
const logPage = 50

// feedLog moves one page of the account's Log into the outbox. When it has reached the end, the session turns live.
func (s *Session) feedLog(ctx context.Context) bool {
	n := 0
	for e, err := range s.srv.store.Log.Range(ctx, s.account.owner, store.Query{After: store.ID(s.cursor.Load()), Limit: logPage}) {
		if err != nil && ctx.Err() != nil {
			return false // the session is over; the next one begins where this one's connection ended
		}
		if err != nil {
			s.srv.log.Error("missed messages not read", "jid", s.jid.String(), "err", err)
			s.srv.failed(s)
			return false
		}
		n++
		s.feedEntry(e)
		s.cursor.Store(uint64(e.ID)) // after it is in the outbox: see place
	}
	if n == logPage {
		return true
	}
	a := s.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last > store.ID(s.cursor.Load()) {
		return true
	}
	s.catching = false
	return false
}

// entry is a kept message as it is given later, with its id (XEP-0359) and the time at which it was kept (XEP-0203); nil
// when there is none any more.
func (s *Session) entry(e store.Entry) *stanza.Stanza {
	if len(e.Body) == 0 {
		return nil
	}
	st := s.parse(string(e.Body))
	if st == nil {
		return nil
	}
	return st.With(s.account.StanzaID(e.ID), Delay(s.srv.domain, e.Time))
}

// parse reads a stanza that the server has kept, nil when it cannot.
func (s *Session) parse(text string) *stanza.Stanza {
	el, err := xml.Parse(text, stanza.NSClient, xml.Limits{})
	var st *stanza.Stanza
	if err == nil {
		st, err = stanza.Parse(el)
	}
	if err != nil {
		s.srv.log.Error("a kept stanza cannot be read and is left out", "jid", s.account.jid.String(), "err", err)
		return nil
	}
	return st
}

// feedEntry adds one kept message to the outbox.
func (s *Session) feedEntry(e store.Entry) {
	if e.Sent && (e.ID <= s.copied || len(s.srv.catchUps) == 0) { // one's own and known
		return
	}
	st := s.entry(e)
	if st == nil {
		return
	}
	if !e.Sent {
		s.out.append(s.srv.store.Mark(), what{id: e.ID, moves: true, message: true}, true, st.Append)
		s.kick()
		return
	}
	if c := s.copyOf(st); c != nil {
		s.reply(c, e.ID)
	}
}

// copyOf is what the session gets for a message that its account has sent from elsewhere, nil for nothing.
func (s *Session) copyOf(st *stanza.Stanza) *stanza.Stanza {
	for _, f := range s.srv.catchUps {
		if c := f(s, st); c != nil {
			return c.Addressed(c.From, s.jid)
		}
	}
	return nil
}
