package archive

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"parley/im"
	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/forward"
	"parley/xmpp/xml"
)

// maxPassed is how many entries that do not fit one query reads. A page that is cut short by it says that there is more,
// and how far it came.
const maxPassed = 10_000

// archived tells whether an entry of the Log is in the archive: it may also be kept for delivery alone.
func archived(e *store.Entry) bool { return e.Peer != "" && len(e.Body) > 0 }

// pager gives one page of an account's archive to one of its sessions.
type pager struct {
	a       *Archive
	owner   store.Owner
	session *im.Session
	ask     *query
	ids     []store.ID // ascending: only these, when not nil
	lo, hi  store.ID   // inclusive
	live    bool       // hi is the end of the Log: what comes meanwhile belongs to the query
	passes  int        // entries that do not fit, read by one scan at most
	count   int        // of what fits, on whatever page; below 0: not known without reading all of it
}

// found is what a scan of the Log came to.
type found struct {
	n           int
	first, last store.ID // of what was given, in the order of the Log
	more        bool     // there is more in the direction of the scan
	stopped     bool     // because of maxPassed; first or last is where
}

// open finds the stretch of the Log that a query is about.
func (a *Archive) open(ctx context.Context, q *im.Query, ask *query) (*pager, error) {
	p := &pager{a: a, owner: q.Account.Owner(), session: q.Session, ask: ask, passes: maxPassed, count: -1}
	log := a.srv.Store().Log
	first, last, err := log.Bounds(ctx, p.owner)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	place := func(id string) (store.ID, error) {
		n, ok := log.ParseWireID(p.owner, id)
		if !ok || n < first || n > last {
			return 0, unknown()
		}
		return n, nil
	}
	p.lo, p.hi, p.live = max(first, 1), last, true
	after := func(id string) error {
		n, err := place(id)
		p.lo = max(p.lo, n+1)
		return err
	}
	before := func(id string) error {
		n, err := place(id)
		p.live = false
		if n > 0 {
			p.hi = min(p.hi, n-1)
		}
		return err
	}
	if err := p.narrow(ctx, first, last, after, before); err != nil {
		return nil, err
	}
	for _, id := range ask.ids {
		n, err := place(id)
		if err == nil {
			err = p.holds(ctx, n)
		}
		if err != nil {
			return nil, err
		}
		p.ids = append(p.ids, n)
	}
	slices.Sort(p.ids)
	p.ids = slices.Compact(p.ids)
	if a.rulesOf(p.owner) == nil && ask.with.IsZero() && p.ids == nil { // all of the Log is archived
		p.count = int(max(p.hi+1, p.lo) - p.lo)
	}
	if ask.page.After != "" {
		err = after(ask.page.After)
	}
	if err == nil && ask.page.Before != "" {
		err = before(ask.page.Before)
	}
	return p, err
}

// narrow applies the form's ids and times.
func (p *pager) narrow(ctx context.Context, first, last store.ID, after, before func(string) error) error {
	if p.ask.afterID != "" {
		if err := after(p.ask.afterID); err != nil {
			return err
		}
	}
	if p.ask.beforeID != "" {
		if err := before(p.ask.beforeID); err != nil {
			return err
		}
	}
	if !p.ask.start.IsZero() {
		n, err := p.a.since(ctx, p.owner, p.ask.start, first, last)
		if err != nil {
			return err
		}
		p.lo = max(p.lo, n)
	}
	if !p.ask.end.IsZero() {
		// Clients know times to the millisecond, as they stand on the wire: what came within it came at it.
		n, err := p.a.since(ctx, p.owner, p.ask.end.Truncate(time.Millisecond).Add(time.Millisecond), first, last)
		if err != nil {
			return err
		}
		p.hi, p.live = min(p.hi, max(n, 1)-1), false
	}
	return nil
}

// holds fails unless the archive has the entry id.
func (p *pager) holds(ctx context.Context, id store.ID) error {
	e, err := p.a.srv.Store().Log.Entry(ctx, p.owner, id)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !archived(&e):
		return unknown()
	case err != nil:
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}

func unknown() error {
	return stanza.Bad(stanza.ItemNotFound, "The archive has no message of that id.")
}

// since is the place of the first entry that is not older than t, behind last when there is none. It halves the stretch,
// which is right as long as the clock was never set back.
func (a *Archive) since(ctx context.Context, o store.Owner, t time.Time, first, last store.ID) (store.ID, error) {
	lo, hi := max(first, 1), last+1
	for lo < hi {
		mid := lo + (hi-lo)/2
		next, at := hi, mid
		for e, err := range a.srv.Store().Log.Range(ctx, o, store.Query{After: mid - 1, Before: hi, Limit: 1}) {
			if err != nil {
				return 0, fmt.Errorf("archive: %w", err)
			}
			if at = e.ID; e.Time.Before(t) {
				next = 0
			}
		}
		if next == 0 {
			lo = at + 1
		} else {
			hi = mid
		}
	}
	return lo, nil
}

// give sends the page. The scan begins at the end that the page lies at; when the page is wanted in the other order, it is
// only looked for first, and then sent.
func (p *pager) give(ctx context.Context) (found, error) {
	backward := p.ask.page.Last
	if backward == p.ask.flip {
		return p.scan(ctx, backward, p.ask.page.Max, p.send)
	}
	f, err := p.scan(ctx, backward, p.ask.page.Max, nil)
	if err != nil || f.n == 0 {
		return f, err
	}
	all := *p
	all.lo, all.hi, all.live = f.first, f.last, false
	all.passes++ // the first scan stopped at one more than it may pass
	_, err = all.scan(ctx, !backward, f.n, p.send)
	return f, err
}

// scan calls visit, which may be nil, for at most n entries that fit, from one end of the stretch towards the other.
func (p *pager) scan(ctx context.Context, backward bool, n int, visit func(*store.Entry) error) (f found, err error) {
	passed := 0
	for lo, hi := p.lo, p.hi; ; {
		for e, err := range p.entries(ctx, lo, hi, backward) {
			if err != nil {
				return f, fmt.Errorf("archive: %w", err)
			}
			fits := p.fits(&e)
			if !fits {
				passed++
			}
			if fits && f.n == n || passed > p.passes {
				f.more, f.stopped = true, !fits
				if f.stopped {
					f.reach(e.ID, backward)
				}
				return f, nil
			}
			if !fits {
				continue
			}
			f.n++
			f.reach(e.ID, backward)
			if visit == nil {
				continue
			}
			if err := visit(&e); err != nil {
				return f, err
			}
		}
		// A page says that it is the last one only at the end that holds when it says so.
		_, last, err := p.a.srv.Store().Log.Bounds(ctx, p.owner)
		if err != nil {
			return f, fmt.Errorf("archive: %w", err)
		}
		if backward || !p.live || last <= hi {
			return f, nil
		}
		lo, hi = max(hi+1, p.lo), last
	}
}

// reach notes the next place that a scan has come to.
func (f *found) reach(id store.ID, backward bool) {
	if f.first == 0 || backward {
		f.first = id
	}
	if f.last == 0 || !backward {
		f.last = id
	}
}

// entries yields what is to be looked at from lo to hi.
func (p *pager) entries(ctx context.Context, lo, hi store.ID, backward bool) iter.Seq2[store.Entry, error] {
	log := p.a.srv.Store().Log
	if lo > hi {
		return func(func(store.Entry, error) bool) {}
	}
	if p.ids == nil {
		q := store.Query{After: lo - 1, Before: hi + 1, Backward: backward}
		if !p.ask.with.IsZero() {
			q.Peer = p.peer().String()
		}
		return log.Range(ctx, p.owner, q)
	}
	ids := slices.Clone(p.ids)
	if backward {
		slices.Reverse(ids)
	}
	return func(yield func(store.Entry, error) bool) {
		for _, id := range ids {
			if id < lo || id > hi {
				continue
			}
			e, err := log.Entry(ctx, p.owner, id)
			if errors.Is(err, store.ErrNotFound) {
				continue // trimmed meanwhile
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// peer is the one under whose name the Log keeps what was asked for.
func (p *pager) peer() jid.JID { return p.ask.with.Bare() }

// fits tells whether an entry is one that was asked for.
func (p *pager) fits(e *store.Entry) bool {
	if !archived(e) || !p.ask.with.IsZero() && e.Peer != p.peer().String() {
		return false
	}
	if p.ask.with.IsZero() || p.ask.with.IsBare() {
		return true
	}
	el, err := xml.Parse(string(e.Body), stanza.NSClient, xml.Limits{})
	if err != nil {
		return false
	}
	full := p.ask.with.String() // the Log has addresses in the form in which they are compared
	return el.Attr("from") == full || el.Attr("to") == full
}

// send sends one result.
func (p *pager) send(e *store.Entry) error {
	if err := p.session.WaitRoom(); err != nil {
		return im.ErrDrop // nobody is there any more to be answered
	}
	el, err := xml.Parse(string(e.Body), stanza.NSClient, xml.Limits{})
	if err != nil {
		p.a.log.Error("a kept message cannot be read and is left out", slog.String("jid", p.session.Account().JID().String()), slog.Uint64("id", uint64(e.ID)), slog.Any("err", err))
		return nil
	}
	result := xml.New(NS, "result", xml.A("id", p.a.wireID(p.owner, e.ID)))
	if p.ask.id != "" {
		result = result.WithAttr("queryid", p.ask.id)
	}
	p.session.Reply(stanza.New(stanza.Message, "", p.session.Account().JID(), p.session.JID(), result.With(forward.New(el, e.Time))))
	return nil
}
