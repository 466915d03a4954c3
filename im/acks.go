package im

import (
	"slices"
	"strconv"

	"parley/store"
	"parley/xmpp/stream"
)

// Bounds of what has been written to a client and not acknowledged.
const (
	maxSent  = 1000      // stanzas whose bytes are kept
	maxKept  = 256 << 10 // bytes that are kept
	maxAhead = 20_000    // stanzas; a client that acknowledges none of them is given up
	maxFed   = 2000      // stanzas; a client that has so many to acknowledge is fed no more of what it missed
)

// what says what a stanza in an outbox is.
type what struct {
	id      store.ID // its place in the account's Log, 0: it is not there
	moves   bool     // once it is delivered, the account's cursor moves up to id
	message bool     // it must not be lost, even if it is not in the Log
	refusal bool     // it tells the client that a message of its own was not taken
	plain   bool     // it is no stanza, and is not counted
}

// piece is one stanza of a session with stream management.
type piece struct {
	what
	n     int  // bytes; of one that was written: 0 when they are not kept
	waits bool // in a standing: it was not sent yet
}

// count says how many of the client's stanzas rest on a batch.
type count struct {
	mark store.Mark
	h    uint32
}

// acks is what is counted on a stream with stream management (XEP-0198): what was written and the client has not
// acknowledged, and what the client sent and may be told that it is safe. It belongs to an outbox, whose mutex guards it.
type acks struct {
	// to the client
	acked   uint32  // the last h it sent
	unknown bool    // the server has crashed since, and may have sent more than sent says
	queued  []piece // what is in the outbox
	sent    []piece // what was written and is not acknowledged: the first is number acked+1
	kept    []byte  // the bytes of sent, as far as they are kept
	thinned int     // so many of sent were thinned out
	thin    int     // the bytes that are kept of these
	asked   bool    // an <r/> is on its way
	opening int     // so many elements in queued are no stanzas: nothing is said before they are

	// from the client
	counts []count // ascending; of batches that were not durable when last looked at
	safe   uint32  // so many of its stanzas are handled and durable
	owed   uint32  // <a/> is owed for so many
	owing  bool
	late   bool // it has been owed for a while
	now    bool // what is safe is to be said at once, though it is less than what is owed
	told   bool // that was done
}

// wrote notes that the first bytes of the outbox, p, were handed to the writer.
func (k *acks) wrote(p []byte) {
	i, at := 0, 0
	for ; at < len(p); i++ {
		c := k.queued[i]
		if c.plain {
			k.opening--
		} else {
			k.sent = append(k.sent, c)
			k.kept = append(k.kept, p[at:at+c.n]...)
		}
		at += c.n
	}
	if k.queued = k.queued[:copy(k.queued, k.queued[i:])]; len(k.queued) == 0 && cap(k.queued) > 64 {
		k.queued = nil
	}
	if len(k.kept)-k.thin > maxKept || len(k.sent)-k.thinned > maxSent {
		k.thinOut()
	}
}

// thinOut lets go of the bytes of all that the Log has, and of what may be lost: presence, answers.
func (k *acks) thinOut() {
	from, to := k.thin, k.thin
	for i := k.thinned; i < len(k.sent); i++ {
		c := &k.sent[i]
		if c.message && c.id == 0 {
			copy(k.kept[to:], k.kept[from:from+c.n])
			to += c.n
			from += c.n
			continue
		}
		from += c.n
		c.n = 0
	}
	k.kept, k.thin, k.thinned = k.kept[:to], to, len(k.sent)
}

// refused tells whether the client has yet to acknowledge that a message was not taken.
func (k *acks) refused() bool {
	is := func(c piece) bool { return c.refusal }
	return slices.ContainsFunc(k.sent, is) || slices.ContainsFunc(k.queued, is)
}

// hopeless tells that the client acknowledges nothing.
func (k *acks) hopeless() bool { return len(k.sent) > maxAhead || len(k.kept) > 8*maxKept }

// acknowledge takes the client's h. It returns the highest place in the Log that the account's cursor moves to, and
// whether so many stanzas were sent at all.
func (k *acks) acknowledge(h uint32) (moved store.ID, ok bool) {
	n := h - k.acked // modulo 2^32
	if k.unknown && int32(n) >= 0 {
		n, k.unknown = min(n, uint32(len(k.sent))), false
	}
	if n > uint32(len(k.sent)) {
		return 0, false
	}
	bytes := 0
	for _, c := range k.sent[:n] {
		bytes += c.n
		if c.moves {
			moved = max(moved, c.id)
		}
	}
	k.acked, k.asked = h, false
	if int(n) == len(k.sent) {
		k.sent, k.kept, k.thin, k.thinned = k.sent[:0], k.kept[:0], 0, 0
		if cap(k.kept) > 4<<10 {
			k.sent, k.kept = nil, nil // an idle session owns no buffer
		}
		return moved, true
	}
	k.sent = k.sent[:copy(k.sent, k.sent[n:])]
	k.kept = k.kept[:copy(k.kept, k.kept[bytes:])]
	if k.thinned -= int(n); k.thinned <= 0 {
		k.thinned, k.thin = 0, 0
	} else {
		k.thin -= bytes
	}
	return moved, true
}

// below is the place in the Log below all that is not acknowledged; at if there is nothing.
func (k *acks) below(at store.ID) store.ID {
	for _, list := range [...][]piece{k.sent, k.queued} {
		for i := range list {
			if list[i].id != 0 {
				return list[i].id - 1
			}
		}
	}
	return at
}

// given is the highest place in the Log among the messages that the session has been given and that move no cursor yet,
// because its client has not acknowledged them or they still wait to be written; 0 when there is none.
func (o *outbox) given() (id store.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.holds {
		id = max(id, o.holds[i].id)
	}
	if o.acks == nil {
		return id
	}
	for _, list := range [...][]piece{o.acks.sent, o.acks.queued} {
		for i := range list {
			if list[i].moves {
				id = max(id, list[i].id)
			}
		}
	}
	return id
}

// count notes that h of the client's stanzas are handled, and rest on a batch. It never goes back.
func (k *acks) count(mark, durable store.Mark, h uint32) {
	k.settle(durable)
	switch n := len(k.counts); {
	case int32(h-k.counted()) <= 0:
	case n > 0 && k.counts[n-1].mark >= mark:
		k.counts[n-1].h = h
	case mark <= durable:
		k.safe = h
	default:
		k.counts = append(k.counts, count{mark, h})
	}
}

// counted is how many of the client's stanzas are safe, or will be with what is being written.
func (k *acks) counted() uint32 {
	if n := len(k.counts); n > 0 {
		return k.counts[n-1].h
	}
	return k.safe
}

func (k *acks) settle(durable store.Mark) {
	n := 0
	for n < len(k.counts) && k.counts[n].mark <= durable {
		k.safe = k.counts[n].h
		n++
	}
	k.counts = k.counts[:copy(k.counts, k.counts[n:])]
}

// ready tells whether there is something to say to the client, and else on which batch that waits, if on any.
func (k *acks) ready(durable store.Mark) (now bool, wait store.Mark) {
	k.settle(durable)
	switch {
	case k.opening > 0:
		return false, 0
	case len(k.sent) > 0 && !k.asked:
		return true, 0
	case !k.owing:
		return false, 0
	case k.now || int32(k.safe-k.owed) >= 0:
		return true, 0
	case len(k.counts) > 0:
		return false, k.counts[0].mark
	}
	return false, 0
}

// say appends what is to be said: how much is safe, and whether the client wants to say the same.
func (k *acks) say(dst []byte, durable store.Mark) []byte {
	k.settle(durable)
	if k.opening > 0 {
		return dst
	}
	if reached := int32(k.safe-k.owed) >= 0; k.owing && (reached || k.now) {
		dst = append(dst, "<a xmlns='"+stream.NSManagement+"' h='"...)
		dst = strconv.AppendUint(dst, uint64(k.safe), 10)
		dst = append(dst, "'/>"...)
		k.owing, k.now, k.told = !reached, false, true
	}
	if len(k.sent) > 0 && !k.asked {
		dst = append(dst, "<r xmlns='"+stream.NSManagement+"'/>"...)
		k.asked = true
	}
	return dst
}

// owe notes that the client has asked, when h of its stanzas were handled.
func (k *acks) owe(h uint32) { k.owed, k.owing, k.late, k.now, k.told = h, true, false, false, false }

// tick is called about every second: what is owed for longer than one is said as far as it is safe, once.
func (k *acks) tick() (wake bool) {
	wake = k.owing && k.late && !k.told
	k.now = k.now || wake
	k.late = k.owing
	return wake
}

// rest forgets what belongs to the connection that was lost.
func (k *acks) rest() { k.asked, k.owing, k.now = false, false, false }
