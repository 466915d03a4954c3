package im

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// keyCursor is the KV key of the place up to which an account's Log has reached some device of it.
const keyCursor = "im/cursor"

// Account is a user of this server, as far as the hall is concerned: his sessions, his block list, his Log.
type Account struct {
	// fixed
	srv   *Server
	jid   jid.JID // bare
	owner store.Owner

	loading  sync.Mutex // held while the account is read from the store
	loaded   atomic.Bool
	gone     atomic.Bool // it was removed
	recalled bool        // guarded by loading: see recall

	sessions atomic.Pointer[[]*Session] // copy-on-write, written under mu; read by anyone
	blocked  atomic.Pointer[blockList]  // likewise
	roster   atomic.Pointer[roster]     // likewise
	cursor   atomic.Uint64              // up to here the Log has been written to some connection
	saved    atomic.Uint64              // the cursor as it is in the store; the keeper writes it
	place    int                        // guarded by srv.presentMu: where srv.there has it

	mu       sync.Mutex     // the turn
	last     store.ID       // guarded by mu: highest place in the Log that we know of
	sent     repeats        // guarded by mu: what it sent lately
	queue    []outgoing     // guarded by mu: what states this account's condition, in order
	draining bool           // guarded by mu: somebody routes the queue
	turn     Delivery       // guarded by mu: the stanza whose turn it is; kept so that a turn allocates nothing
	aim      []*Session     // guarded by mu: memory for turn.Targets
	left     []string       // guarded by mu: resources of which nobody was told that they are gone
	ended    []endedSession // guarded by mu: resumable sessions that are no more; what it holds is not changed
}

// empty is what accounts share that have nothing of the kind; it is not changed.
type empty struct {
	blocked blockList
	roster  roster
}

// newAccount is an account that nothing is known of yet.
func newAccount(v *Server, bare jid.JID, owner store.Owner) *Account {
	a := &Account{srv: v, jid: bare, owner: owner}
	a.blocked.Store(&v.empty.blocked)
	a.roster.Store(&v.empty.roster)
	return a
}

// JID is the account's bare address.
func (a *Account) JID() jid.JID { return a.jid }

// Owner is the account's number in the store.
func (a *Account) Owner() store.Owner { return a.owner }

// Sessions are the account's sessions at this moment. The slice is not to be changed.
func (a *Account) Sessions() []*Session {
	if p := a.sessions.Load(); p != nil {
		return *p
	}
	return nil
}

// Online tells whether some session of the account is available.
func (a *Account) Online() bool {
	for _, s := range a.Sessions() {
		if s.presence.Load() != nil {
			return true
		}
	}
	return false
}

// is tells whether the account has that name; nil, and one that was removed, have none.
func (a *Account) is(localpart string) bool {
	return a != nil && a.jid.Local() == localpart && !a.gone.Load()
}

func (a *Account) session(resource string) *Session {
	for _, s := range a.Sessions() {
		if s.jid.Resource() == resource {
			return s
		}
	}
	return nil
}

// load reads what the turn needs, once, so that no turn ever waits for the disk.
func (a *Account) load(ctx context.Context) error {
	if a.loaded.Load() {
		return nil
	}
	a.loading.Lock()
	defer a.loading.Unlock()
	if a.loaded.Load() {
		return nil
	}
	if err := a.srv.store.Log.Load(ctx, a.owner); err != nil {
		return fmt.Errorf("im: load account: %w", err)
	}
	_, last, err := a.srv.store.Log.Bounds(ctx, a.owner)
	if err != nil {
		return fmt.Errorf("im: load account: %w", err)
	}
	v, err := a.srv.store.KV.Get(ctx, a.owner, keyCursor)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("im: load account: %w", err)
	}
	if len(v) == 8 {
		a.cursor.Store(binary.BigEndian.Uint64(v))
		a.saved.Store(a.cursor.Load())
	}
	list, err := a.srv.loadBlockList(ctx, a.owner)
	if err != nil {
		return err
	}
	a.blocked.Store(list)
	ended, err := a.srv.loadEnded(ctx, a.owner)
	if err != nil {
		return err
	}
	items, err := a.srv.loadRoster(ctx, a.owner)
	if err != nil {
		return err
	}
	a.roster.Store(items)
	a.mu.Lock()
	a.last, a.ended = last, ended
	a.mu.Unlock()
	a.loaded.Store(true)
	return nil
}

// maxRendered is how many bytes of memory for a message are kept for the next one: hardly any message is longer.
const maxRendered = 16 << 10

// Keep appends a message to the account's Log, in the account's turn. A zero peer: it is kept for delivery alone.
func (a *Account) Keep(d *Delivery, peer jid.JID, sent bool) error {
	sender := d.Session
	if sender == nil && !d.late && d.Stanza.From.Bare() == a.jid { // he writes to himself
		sender = a.session(d.Stanza.From.Resource())
	}
	buf, _ := a.srv.rendered.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	*buf = d.Stanza.Append((*buf)[:0])
	id, err := a.srv.store.Log.Append(d.Journey, a.owner, store.Entry{
		Time: time.Now(), Peer: peer.Bare().String(), Sent: sent, Note: sender.note(d.Journey.Mark()), Body: *buf,
	})
	if cap(*buf) <= maxRendered {
		a.srv.rendered.Put(buf) // the store has a copy
	}
	switch {
	case errors.Is(err, store.ErrFull):
		return stanza.Bad(stanza.ResourceConstraint, "The server's disk is full; the message was not kept. Try again later.")
	case err != nil:
		return fmt.Errorf("im: keep message: %w", err)
	}
	a.last, d.ID = id, id
	return nil
}

// Delivered is the place up to which the Log of the account of that name and number was written to some device of it, and to
// all whose session goes on: what others wrote to it behind that place, somebody has not seen yet.
func (v *Server) Delivered(ctx context.Context, localpart string, o store.Owner) (store.ID, error) {
	if a := v.table.find(localpart, o); a != nil && a.loaded.Load() {
		return a.lowest(), nil
	}
	p, err := v.store.KV.Get(ctx, o, keyCursor)
	switch {
	case errors.Is(err, store.ErrNotFound) || err == nil && len(p) != 8:
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("im: read cursor: %w", err)
	}
	return store.ID(binary.BigEndian.Uint64(p)), nil
}

// lowest is the lowest of the account's cursor and those of its sessions.
func (a *Account) lowest() store.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := store.ID(a.cursor.Load())
	for _, s := range a.Sessions() {
		if s.number != 0 {
			at = min(at, s.reached())
		}
	}
	return at
}

// StanzaID is the element that tells a message's place in this account's Log (XEP-0359).
func (a *Account) StanzaID(id store.ID) *xml.Element {
	return xml.New(stanza.NSID, "stanza-id", xml.A("by", a.jid.String()), xml.A("id", a.srv.store.Log.WireID(a.owner, id)))
}

// delivered moves the cursor up to id.
func (a *Account) delivered(id store.ID) {
	for {
		old := a.cursor.Load()
		if old >= uint64(id) {
			return
		}
		if a.cursor.CompareAndSwap(old, uint64(id)) {
			return
		}
	}
}

// saveCursor writes the cursor if it has moved since it was last written.
func (a *Account) saveCursor(j store.Journey) error {
	c := a.cursor.Load()
	if c == a.saved.Load() {
		return nil
	}
	if err := a.srv.store.KV.Set(j, a.owner, keyCursor, binary.BigEndian.AppendUint64(nil, c)); err != nil {
		return fmt.Errorf("im: save cursor: %w", err)
	}
	a.saved.Store(c)
	return nil
}

// outgoing is one thing that an account says of its condition.
type outgoing struct {
	st     *stanza.Stanza
	mark   store.Mark // what it rests on; presence rests on nothing
	wide   bool       // to every contact who may see the account, its own sessions among them
	hidden *blockList // who may not, when it is wide: the block list as it was when this was said
	roster *roster    // who may, when it is wide: likewise
	answer bool       // to a probe: only for a session that is available
	unseen bool       // what was wide already: only for a session that is not available, and thus has not heard it
	to     []*Session // to these sessions of the account (pushes), when not nil
	shared rendering  // what is wide, once it is routed
	woken  *wakes     // likewise: who got it
	then   func()     // no stanza, but what is to be done once all before it has been said
}

// say adds to the account's queue. The caller holds a.mu, and calls drain once he has let go of it.
func (a *Account) say(o outgoing) {
	o.hidden, o.roster = a.blocked.Load(), a.roster.Load()
	a.queue = append(a.queue, o)
}

// drain routes the account's queue, unless somebody does so already: he will take what was added, too.
func (a *Account) drain(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.draining {
		return
	}
	a.draining = true
	for len(a.queue) > 0 {
		o := a.queue[0]
		a.queue = a.queue[1:]
		a.mu.Unlock()
		a.emit(ctx, o)
		a.mu.Lock()
	}
	a.queue = nil
	a.draining = false
}

// emit routes one entry of the queue, with no lock held.
func (a *Account) emit(ctx context.Context, o outgoing) {
	defer func() {
		if p := recover(); p != nil { // draining must not stay set
			a.srv.log.Error("panic while presence was routed", slog.String("jid", a.jid.String()), slog.Any("panic", p))
		}
	}()
	switch {
	case o.then != nil:
		o.then()
	case o.to != nil:
		for _, s := range o.to {
			to := o.st.To
			if to.IsZero() {
				to = s.jid
			}
			s.push(o.st, to, o.mark)
		}
	case o.wide:
		a.srv.fanOut(a, o)
	default:
		a.srv.tell(ctx, a, o)
	}
}
