package im

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// Directory tells whether an account exists, by its localpart, and its number in the store. It is asked for every
// message and must answer from memory.
type Directory interface {
	Owner(localpart string) (store.Owner, bool)
}

// BlockedSender is what a sender learns whose message was refused by a block list (features of the server's setting
// blocked_sender).
type BlockedSender string

// The policies.
const (
	Explicit BlockedSender = "explicit" // service-unavailable, and the text says why
	Discreet BlockedSender = "discreet" // service-unavailable and no more
	Silent   BlockedSender = "silent"   // nothing at all
)

// Config is what the hall needs.
type Config struct {
	Domain    string
	Store     *store.Store
	Directory Directory
	// Everyone are the localparts of all accounts, sorted, and a version that changes with them: all are everybody's
	// contacts. nil: rosters are the accounts' own (RFC 6121 §2).
	Everyone func() (names []string, version string)
	Locked   func(localpart string) bool // nobody may bind a session to it; asked with a lock held; may be nil
	Log      *slog.Logger

	Settings Settings // at first; see Change
}

// Settings are what can change while the hall works.
type Settings struct {
	BlockedSender BlockedSender
	Sessions      int           // how many sessions an account may have
	Outbox        int           // bytes that may wait for a session which does not read; counts for sessions to come
	Resume        time.Duration // how long a session waits for its client to come back (XEP-0198); 0: not at all
}

// Server is the hall.
type Server struct {
	// fixed after New
	domain    jid.JID
	greeting  *stanza.Stanza
	store     *store.Store
	directory Directory
	everyone  func() ([]string, string) // nil: see Config
	locked    func(string) bool
	log       *slog.Logger

	// fixed after Use
	extensions []Extension
	befores    []Before
	sending    []Step
	arriving   []Step
	missed     []Step
	contacts   []Contact
	watchers   []func(Change)
	closers    []func(*Session)
	catchUps   []func(*Session, *stanza.Stanza) *stanza.Stanza
	slots      int // how many things extensions keep with each session
	answers    map[answerKey]*Answer

	table  table
	spread spread

	settings atomic.Pointer[Settings] // what it points to is not changed
	agreeing sync.Mutex               // held while two accounts agree what they see of each other; ranks before account.mu

	present   atomic.Pointer[[]*Account] // a copy of there for whoever asked; nil: made when somebody asks
	presentMu sync.Mutex                 // ranks after account.mu
	there     []*Account                 // guarded by presentMu: who is online, each at its account's place
	ids       atomic.Uint64
	rendered  sync.Pool   // of *[]byte: memory for what is about to be kept
	empty     empty       // fixed: what accounts have that have nothing
	stopping  atomic.Bool // everybody is leaving: nobody needs to hear who else does
}

// New is a hall without extensions.
func New(c Config) (*Server, error) {
	domain, err := jid.New("", c.Domain, "")
	if err != nil {
		return nil, fmt.Errorf("im: domain %q: %w", c.Domain, err)
	}
	v := &Server{
		domain: domain, greeting: greeting(domain), store: c.Store, directory: c.Directory, everyone: c.Everyone, locked: c.Locked, log: c.Log,
		answers: map[answerKey]*Answer{},
	}
	v.Change(c.Settings)
	v.table.init()
	return v, nil
}

// Change replaces the settings.
func (v *Server) Change(s Settings) { v.settings.Store(&s) }

// Use compiles the extensions, in their order. It fails when two of them answer the same payload.
func (v *Server) Use(exts ...Extension) error {
	owner := map[answerKey]string{}
	for _, x := range append([]Extension{v.rosterExtension()}, exts...) {
		v.extensions = append(v.extensions, x)
		if x.Before != nil {
			v.befores = append(v.befores, x.Before)
		}
		if x.Sending != nil {
			v.sending = append(v.sending, x.Sending)
		}
		if x.Arriving != nil {
			v.arriving = append(v.arriving, x.Arriving)
		}
		if x.Missed != nil {
			v.missed = append(v.missed, x.Missed)
		}
		if x.Contact != nil {
			v.contacts = append(v.contacts, x.Contact)
		}
		if x.Changed != nil {
			v.watchers = append(v.watchers, x.Changed)
		}
		if x.Closed != nil {
			v.closers = append(v.closers, x.Closed)
		}
		if x.CatchUp != nil {
			v.catchUps = append(v.catchUps, x.CatchUp)
		}
		for i := range x.Answers {
			k := answerKey{x.Answers[i].At, x.Answers[i].Name}
			if o, taken := owner[k]; taken {
				return fmt.Errorf("im: extensions %s and %s both answer {%s}%s", o, x.Name, k.name.Space, k.name.Local)
			}
			owner[k] = x.Name
			v.answers[k] = &x.Answers[i]
		}
	}
	return nil
}

// Domain is the server's own address.
func (v *Server) Domain() jid.JID { return v.domain }

// Store is where everything is kept.
func (v *Server) Store() *store.Store { return v.store }

// Extensions are the extensions in their order.
func (v *Server) Extensions() []Extension { return v.extensions }

// Online are the accounts that have an available session at this moment, in no order. The slice is not to be changed.
func (v *Server) Online() []*Account { return v.online() }

// online makes the copy that Online returns only when it is asked for: where accounts have contacts of their own, people
// come and go by thousands and nobody asks.
func (v *Server) online() []*Account {
	if p := v.present.Load(); p != nil {
		return *p
	}
	v.presentMu.Lock()
	defer v.presentMu.Unlock()
	list := slices.Clone(v.there)
	v.present.Store(&list)
	return list
}

func (v *Server) arrived(a *Account) {
	v.presentMu.Lock()
	defer v.presentMu.Unlock()
	a.place = len(v.there)
	v.there = append(v.there, a)
	v.present.Store(nil)
}

func (v *Server) left(a *Account) {
	v.presentMu.Lock()
	defer v.presentMu.Unlock()
	last := len(v.there) - 1
	if a.place > last || v.there[a.place] != a {
		return
	}
	v.there[a.place] = v.there[last]
	v.there[a.place].place = a.place
	v.there[last] = nil
	v.there = v.there[:last]
	v.present.Store(nil)
}

func (v *Server) changed(c Change) {
	for _, f := range v.watchers {
		f(c)
	}
}

func (v *Server) nextID() string { return "p" + strconv.FormatUint(v.ids.Add(1), 36) }

// Account finds an account by its localpart, reading it from the store if need be; nil when there is none. It must
// not be called with a lock held.
func (v *Server) Account(ctx context.Context, localpart string) (*Account, error) {
	return v.account(ctx, localpart)
}

func (v *Server) account(ctx context.Context, localpart string) (*Account, error) {
	owner, ok := v.directory.Owner(localpart)
	if !ok {
		return nil, nil
	}
	a := v.table.get(localpart, owner, func() *Account {
		bare, err := jid.New(localpart, v.domain.Domain(), "")
		if err != nil {
			return nil
		}
		return newAccount(v, bare, owner)
	})
	if a == nil {
		return nil, nil
	}
	return a, a.load(ctx)
}

// ErrTooMany is returned by Bind when the account has as many sessions as it may have.
var ErrTooMany = errors.New("im: too many sessions of this account")

// ErrNoAccount is returned by Bind when the account has gone meanwhile.
var ErrNoAccount = errors.New("im: no such account")

// ErrLocked is returned by Bind when nobody may sign in to the account.
var ErrLocked = errors.New("im: the account is locked")

// Bind makes a session (RFC 6120 §7), which its caller attaches to a connection. A session with the same resource gives way to the new one: it is most often the
// same client, whose old connection nobody has yet seen dying.
func (v *Server) Bind(ctx context.Context, localpart, resource string) (*Session, error) {
	a, err := v.account(ctx, localpart)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, ErrNoAccount
	}
	if err := a.recall(ctx); err != nil {
		return nil, err
	}
	full, err := a.jid.WithResource(resource)
	if err != nil {
		return nil, err
	}
	s := v.newSession(a, full)
	for {
		if old := a.session(full.Resource()); old != nil {
			old.End(&stream.Error{Condition: stream.Conflict, Text: "The same client has signed in again."})
			v.Close(ctx, old, "")
		}
		again, err := a.admit(s)
		switch {
		case errors.Is(err, ErrTooMany) && v.displace(ctx, a):
		case err != nil:
			return nil, err
		case !again:
			return s, nil
		}
	}
}

func (v *Server) newSession(a *Account, full jid.JID) *Session {
	s := &Session{srv: v, account: a, jid: full, slots: make([]atomic.Value, v.slots)}
	s.seen.Store(time.Now().UnixNano())
	s.out.limit = v.settings.Load().Outbox
	s.out.holds, s.woken = s.out.holds0[:0], s.woken0[:0]
	return s
}

// displace closes the account's session that has waited longest for its client to come back. It reports false when none
// waits.
func (v *Server) displace(ctx context.Context, a *Account) bool {
	var oldest *Session
	var until time.Time
	for _, s := range a.Sessions() {
		s.out.mu.Lock()
		if s.resting && (oldest == nil || s.until.Before(until)) {
			oldest, until = s, s.until
		}
		s.out.mu.Unlock()
	}
	if oldest == nil || !oldest.expired(until) {
		return false
	}
	v.Close(ctx, oldest, "")
	return true
}

// admit adds a new session to its account. It reports true, and adds nothing, while another one has the resource.
func (a *Account) admit(s *Session) (again bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.Sessions()
	switch owner, ok := a.srv.directory.Owner(a.jid.Local()); {
	case a.session(s.jid.Resource()) != nil:
		return true, nil
	case !ok || owner != a.owner: // removed meanwhile; what is removed later finds this session
		return false, ErrNoAccount
	case a.srv.locked != nil && a.srv.locked(a.jid.Local()): // likewise
		return false, ErrLocked
	case len(list) >= a.srv.settings.Load().Sessions:
		return false, ErrTooMany
	}
	next := append(slices.Clone(list), s)
	a.sessions.Store(&next)
	return false, nil
}

// Close ends a session for good: it leaves the account, everybody who saw it hears that it is gone, with the words of
// why as its status. More than once does no harm.
func (v *Server) Close(ctx context.Context, s *Session, why string) {
	a := s.account
	j, err := v.store.BeginSmall(context.WithoutCancel(ctx))
	if err != nil {
		v.log.Debug("session closed without a journey", slog.String("jid", s.jid.String()), slog.Any("err", err))
	}
	was := v.closing(ctx, j, s, why)
	a.drain(context.WithoutCancel(ctx))
	if !was {
		s.out.close()
		s.released()
		for _, f := range v.closers {
			f(s)
		}
	}
}

// closing is the part of Close that is inside the journey, which it ends. It tells whether the session was closed already.
func (v *Server) closing(ctx context.Context, j store.Journey, s *Session, why string) bool {
	defer j.End()
	var answers []*stanza.Stanza
	was := true
	a := s.account
	a.turnDo(func() {
		if s.closed {
			return
		}
		s.closed, was = true, false
		if s.recorded && v.stopping.Load() { // nobody is told: see depart
			a.left = append(a.left, s.jid.Resource())
		}
		var status []*xml.Element
		if why != "" {
			status = append(status, xml.New(stanza.NSClient, "status").WithText(why))
		}
		s.gone(j, stanza.New(stanza.Presence, stanza.Unavailable, s.jid, jid.JID{}, status...), false)
		next := slices.DeleteFunc(slices.Clone(a.Sessions()), func(t *Session) bool { return s == t })
		a.sessions.Store(&next)
		var err error
		if s.number != 0 {
			err = a.bury(j, s)
		}
		if j.Valid() {
			answers = a.rescue(ctx, j, s)
			err = errors.Join(err, a.saveCursor(j))
			if s.number != 0 || s.recorded {
				err = errors.Join(err, a.save(j))
			}
		}
		if err != nil && !errors.Is(err, store.ErrFull) {
			v.log.Error("the end of a session was not written down", slog.String("jid", a.jid.String()), slog.Any("err", err))
		}
	})
	for _, st := range answers {
		_ = v.Route(ctx, j, st) // who is not there any more needs no answer
	}
	return was
}

// Removed ends an account, whose number was owner: its sessions are closed, it leaves the rosters of others, and what is
// left of it in memory goes. The directory no longer has it.
func (v *Server) Removed(ctx context.Context, localpart string, owner store.Owner) {
	a := v.table.remove(localpart)
	if a != nil {
		a.gone.Store(true)
	} else {
		bare, _ := jid.New(localpart, v.domain.Domain(), "")
		a = newAccount(v, bare, owner)
	}
	for _, s := range a.admitted() {
		s.End(&stream.Error{Condition: stream.NotAuthorized, Text: "This account was removed."})
		v.Close(ctx, s, "")
	}
	if err := errors.Join(a.load(ctx), v.leaveRosters(ctx, a)); err != nil {
		v.log.Error("a removed account is still on rosters", slog.String("jid", a.jid.String()), slog.Any("err", err))
	}
	v.RosterChanged(ctx, localpart)
}

// Stopping says that all sessions are about to be closed. From now on nobody is told of who leaves: with everybody on
// everybody's roster that would be a storm of what nobody reads any more.
func (v *Server) Stopping() { v.stopping.Store(true) }

// Turns returns once every account in memory has had a moment in which it was nobody's turn.
func (v *Server) Turns() {
	v.table.each(func(a *Account) {
		a.mu.Lock()
		defer a.mu.Unlock()
	})
}

// accountPage is how many accounts are written in one journey.
const accountPage = 100

// saveCursors writes how far each account's Log has been delivered since the last time.
func (v *Server) saveCursors(ctx context.Context) error {
	var behind []*Account
	v.table.each(func(a *Account) {
		if a.cursor.Load() != a.saved.Load() {
			behind = append(behind, a)
		}
	})
	for page := range slices.Chunk(behind, accountPage) {
		j, err := v.store.Begin(ctx)
		if err != nil {
			return fmt.Errorf("im: save cursors: %w", err)
		}
		for _, a := range page {
			a.mu.Lock()
			err = errors.Join(err, a.saveCursor(j))
			a.mu.Unlock()
		}
		j.End()
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *Server) failed(s *Session) {
	s.End(&stream.Error{Condition: stream.InternalServerError, Text: "The server could not read its database."})
}
