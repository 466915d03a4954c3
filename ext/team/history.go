package team

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"parley/im"
	"parley/store"
)

// Keys in the store.
const (
	keySeen  = "team/seen"  // of an account: "online|offline", Unix nanoseconds, localpart
	keyAlive = "team/alive" // of the server: Unix nanoseconds of the last heartbeat
)

// heartbeat is how often the server notes that it is alive, and so how exactly it knows, after a crash, how long those
// who were online then have been here.
const heartbeat = time.Minute

// history knows when every account was last available. Whoever was here at any moment of the last T is online now or
// has gone less than T ago: so one time per account is all it takes. It is in memory; every change is also written to
// the store, in the journey that made it.
type history struct {
	mu     sync.Mutex
	seen   map[store.Owner]visit // guarded by mu
	online int                   // guarded by mu: how many of them are
	stale  []store.Owner         // guarded by mu: online in the store, but only because the server died
}

// visit is an account's last one.
type visit struct {
	owner  store.Owner
	name   string // localpart
	online bool
	last   time.Time // when it went, or came while online
}

func (v visit) value() []byte {
	state := offline
	if v.online {
		state = online
	}
	return fmt.Appendf(nil, "%s %d %s", state, v.last.UnixNano(), v.name)
}

func parseVisit(p store.Pair) (visit, bool) {
	words := strings.SplitN(string(p.Value), " ", 3)
	if len(words) != 3 || words[2] == "" || words[0] != online && words[0] != offline {
		return visit{}, false
	}
	n, err := strconv.ParseInt(words[1], 10, 64)
	return visit{owner: p.Owner, name: words[2], online: words[0] == online, last: time.Unix(0, n)}, err == nil
}

// load reads everybody's last visit. Who is online in the store was so when the server died: he counts as seen until
// the last heartbeat.
func (h *history) load(ctx context.Context, kv *store.KV, log *slog.Logger) error {
	h.seen = map[store.Owner]visit{}
	var alive time.Time
	switch v, err := kv.Get(ctx, 0, keyAlive); {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return fmt.Errorf("team: read history: %w", err)
	default:
		if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
			alive = time.Unix(0, n)
		}
	}
	for p, err := range kv.Each(ctx, keySeen) {
		if err != nil {
			return fmt.Errorf("team: read history: %w", err)
		}
		v, ok := parseVisit(p)
		if !ok {
			log.Warn("an account's last visit cannot be read and is left out", slog.Uint64("owner", uint64(p.Owner)))
			continue
		}
		if v.online {
			v.online = false
			if v.last.Before(alive) {
				v.last = alive
			}
			h.stale = append(h.stale, v.owner)
		}
		h.seen[v.owner] = v
	}
	return nil
}

// changed notes that somebody came or went. It is called in the account's turn.
func (t *Team) changed(c im.Change) {
	v := visit{owner: c.Account.Owner(), name: c.Account.JID().Local(), online: c.Online, last: c.Time}
	t.history.set(v)
	if !c.Journey.Valid() {
		return // the store does not take anything any more; after the restart the last heartbeat counts
	}
	if err := t.srv.Store().KV.Set(c.Journey, v.owner, keySeen, v.value()); err != nil && !errors.Is(err, store.ErrFull) { // of that the store tells
		t.log.Warn("a visit was not written down", slog.String("jid", c.Account.JID().String()), slog.Any("err", err))
	}
}

func (h *history) set(v visit) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count(-1, v.owner)
	h.seen[v.owner] = v
	h.count(+1, v.owner)
}

// Seen tells when an account was last here, and whether it is online. The zero time: never.
func (t *Team) Seen(o store.Owner) (last time.Time, now bool) {
	t.history.mu.Lock()
	defer t.history.mu.Unlock()
	v := t.history.seen[o]
	return v.last, v.online
}

// drop forgets accounts that were removed. Their values in the store went with them, but for what a session that
// closed late may have written.
func (t *Team) drop(ctx context.Context, owners []store.Owner) {
	if len(owners) == 0 {
		return
	}
	h := &t.history
	h.mu.Lock()
	for _, o := range owners {
		h.count(-1, o)
		delete(h.seen, o)
	}
	h.mu.Unlock()
	err := t.srv.Within(ctx, nil, func(j store.Journey) (err error) {
		for _, o := range owners {
			err = errors.Join(err, t.srv.Store().KV.Set(j, o, keySeen, nil))
		}
		return err
	})
	if err != nil {
		t.log.Warn("visits of removed accounts were not deleted", slog.Any("err", err))
	}
}

// count counts o in or out. The caller holds mu.
func (h *history) count(n int, o store.Owner) {
	if h.seen[o].online {
		h.online += n
	}
}

// came is when an account came that is online now; the zero time and false for others.
func (h *history) came(o store.Owner) (time.Time, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v := h.seen[o]; v.online {
		return v.last, true
	}
	return time.Time{}, false
}

// since is everybody who was here after start, in no order.
func (h *history) since(start time.Time) []visit {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []visit
	for _, v := range h.seen {
		if v.online || !v.last.Before(start) {
			out = append(out, v)
		}
	}
	return out
}

// Run keeps the history true across crashes until ctx ends: it notes once a minute that the server lives.
func (t *Team) Run(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		if err := t.beat(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrFull) {
			t.log.Warn("whoelsesince is not kept up to date", slog.Any("err", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// repairPage is how many visits are corrected in one journey.
const repairPage = 200

// beat corrects what a crash left behind, and only then moves the heartbeat on: those who were online then must not
// count as seen until now.
func (t *Team) beat(ctx context.Context) error {
	h, kv := &t.history, t.srv.Store().KV
	for more := true; more; {
		err := t.srv.Within(ctx, nil, func(j store.Journey) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			page := h.stale[:min(repairPage, len(h.stale))]
			for _, o := range page {
				// Who came again meanwhile has written that himself.
				if v, ok := h.seen[o]; ok && !v.online {
					if err := kv.Set(j, o, keySeen, v.value()); err != nil {
						return err
					}
				}
			}
			h.stale = h.stale[len(page):]
			more = len(h.stale) > 0
			return nil
		})
		if err != nil {
			return fmt.Errorf("team: repair history: %w", err)
		}
	}
	h.mu.Lock()
	idle := h.online == 0
	h.mu.Unlock()
	if idle {
		return nil // nobody's time depends on it
	}
	err := t.srv.Within(ctx, nil, func(j store.Journey) error {
		return kv.Set(j, 0, keyAlive, strconv.AppendInt(nil, time.Now().UnixNano(), 10))
	})
	if err != nil {
		return fmt.Errorf("team: heartbeat: %w", err)
	}
	return nil
}
