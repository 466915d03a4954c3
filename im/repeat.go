package im

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"time"

	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// The window in which a message that comes again is known for a repeated one (docs/protocol.md, "Messages"): its
// origin-id (XEP-0359 §3) is among the last 1,000 that its account used, and younger than a day.
const (
	sentIDs = 1000
	sentFor = 24 * 60 * 60 // seconds
)

// maxRecalled is how many entries of a Log are read to find what its owner sent, after a start: others may have written
// millions to him in a day, and he would wait for his session.
const maxRecalled = 50_000

// sentChains is how many chains a look-up chooses from: a power of two that makes them short.
const sentChains = 1024

// sentID is a message that its account sent with an origin-id.
type sentID struct {
	key  uint64 // see Server.sentKey
	at   uint32 // Unix seconds
	next uint16 // in the same chain, the place behind that of an older one; 0: none
}

// repeats are the messages that an account sent with an origin-id: hashes in a ring, found by chains through it. It
// takes 18 KiB when it is full, 0 for an account that uses no origin-ids. The zero value is empty.
type repeats struct {
	ring   []sentID
	oldest int      // where the ring goes on once it is full
	chains []uint16 // the place behind that of the newest one
}

// has tells whether the message of that key was sent within the window.
func (r *repeats) has(key uint64, now uint32) bool {
	if r.chains == nil {
		return false
	}
	for n := r.chains[key%sentChains]; n != 0; n = r.ring[n-1].next {
		if s := &r.ring[n-1]; s.key == key {
			return int64(now)-int64(s.at) < sentFor
		}
	}
	return false
}

// add remembers a message that was sent; the oldest one gives way.
func (r *repeats) add(key uint64, at uint32) {
	if r.chains == nil {
		r.chains = make([]uint16, sentChains)
	}
	place := len(r.ring)
	if place < sentIDs {
		r.ring = append(r.ring, sentID{})
	} else {
		place = r.oldest
		r.oldest = (place + 1) % sentIDs
		r.unlink(place)
	}
	head := &r.chains[key%sentChains]
	r.ring[place] = sentID{key: key, at: at, next: *head}
	*head = uint16(place + 1)
}

// remove forgets a message. Its place in the ring stays taken.
func (r *repeats) remove(key uint64) {
	if r.chains == nil {
		return
	}
	for n := r.chains[key%sentChains]; n != 0; n = r.ring[n-1].next {
		if r.ring[n-1].key == key {
			r.unlink(int(n - 1))
			return
		}
	}
}

// unlink takes a place of the ring out of its chain, if it is in it.
func (r *repeats) unlink(place int) {
	s := &r.ring[place]
	at := &r.chains[s.key%sentChains]
	for *at != 0 && *at != uint16(place+1) {
		at = &r.ring[*at-1].next
	}
	if *at != 0 {
		*at = s.next
	}
}

// sentKey is what a message is known by: its recipient's bare address and its origin-id, hashed with a seed that
// nobody outside can know.
func (v *Server) sentKey(to, id string) uint64 {
	var h maphash.Hash
	h.SetSeed(v.table.seed)
	_, _ = h.WriteString(to)
	_ = h.WriteByte(0) // is in no address
	_, _ = h.WriteString(id)
	return max(h.Sum64(), 1)
}

// trace is what a message left in its sender's turn, in case that it is refused afterwards.
type trace struct {
	key uint64   // what it is remembered by; 0: it has no origin-id
	at  uint32   // Unix seconds
	id  store.ID // its place in the sender's Log, 0 if it was not kept there
}

// traceOf is the trace of a message that its sender's turn has yet to come to.
func (v *Server) traceOf(st *stanza.Stanza) trace {
	if st.Kind != stanza.Message || !st.Has(stanza.NSID, "origin-id") || st.Type == stanza.ErrorType { // an error has the id of what it answers
		return trace{}
	}
	id := st.ChildAttr(stanza.NSID, "origin-id", "id")
	if id == "" {
		return trace{}
	}
	return trace{key: v.sentKey(st.To.Bare().String(), id), at: uint32(time.Now().Unix())}
}

// repeated tells whether the account sent that message before. The caller holds a.mu.
func (a *Account) repeated(t trace) bool { return t.key != 0 && a.sent.has(t.key, t.at) }

// again tells whether the account sent that message before, and remembers it.
func (a *Account) again(st *stanza.Stanza) bool {
	t := a.srv.traceOf(st)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.repeated(t) {
		return true
	}
	a.remember(t)
	return false
}

// remember makes the message one that was sent. The caller holds a.mu.
func (a *Account) remember(t trace) {
	if t.key != 0 {
		a.sent.add(t.key, t.at)
	}
}

// takeBack undoes what a message left that its recipient's side has refused: its sender hears that it was not
// delivered, so that it is in no history, and is tried anew when it comes again. The place in the Log stays, empty.
func (a *Account) takeBack(j store.Journey, t trace) {
	if t.key != 0 {
		a.mu.Lock()
		a.sent.remove(t.key)
		a.mu.Unlock()
	}
	if t.id == 0 {
		return
	}
	if err := a.srv.store.Log.Replace(j, a.owner, t.id, nil); err != nil {
		a.srv.log.Error("a refused message stays in its sender's history", slog.String("jid", a.jid.String()), slog.Any("err", err))
	}
}

// recall reads from the account's Log what it sent lately, once. It is called before there is a session that could send
// anything, with no lock held.
func (a *Account) recall(ctx context.Context) error {
	a.loading.Lock()
	defer a.loading.Unlock()
	if a.recalled {
		return nil
	}
	var found []sentID // newest first
	now, own := time.Now().Unix(), a.jid.String()
	for e, err := range a.srv.store.Log.Range(ctx, a.owner, store.Query{Backward: true, Limit: maxRecalled}) {
		if err != nil {
			return fmt.Errorf("im: load what the account sent: %w", err)
		}
		at := e.Time.Unix()
		if now-at >= sentFor || len(found) == sentIDs {
			break
		}
		if !e.Sent && e.Peer != own || len(e.Body) == 0 { // what one writes to oneself is kept once, when it arrives
			continue
		}
		el, err := xml.Parse(string(e.Body), stanza.NSClient, xml.Limits{})
		if err != nil {
			continue // whoever reads the Log for a client says so
		}
		if id := el.ChildAttr(stanza.NSID, "origin-id", "id"); id != "" {
			found = append(found, sentID{key: a.srv.sentKey(e.Peer, id), at: uint32(at)})
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range slices.Backward(found) {
		a.sent.add(s.key, s.at)
	}
	a.recalled = true
	return nil
}
