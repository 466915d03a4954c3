package archive

import (
	"context"
	"errors"
	"fmt"

	"parley/im"
	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/rsm"
	"parley/xmpp/xml"
)

func (a *Archive) answers() []im.Answer {
	name := func(local string) xml.Name { return xml.Name{Space: NS, Local: local} }
	own := []im.Answer{
		{Name: name("query"), Get: askable, Set: a.query, Outside: true},
		{Name: name("metadata"), Get: a.metadata},
		{Name: name("prefs"), Get: a.prefs, Set: a.setPrefs},
	}
	all := own
	for _, x := range own {
		all = append(all, im.Answer{At: im.AtAccount, Name: x.Name, Get: forbid, Set: forbid})
	}
	return all
}

func forbid(context.Context, *im.Query) (*xml.Element, error) {
	return nil, stanza.Bad(stanza.Forbidden, "An archive is its owner's alone.")
}

// askable says what can be asked.
func askable(context.Context, *im.Query) (*xml.Element, error) {
	return xml.New(NS, "query").With(fields()), nil
}

// query sends a page of the archive (XEP-0313 §4.2): one message for each result, then what the page was. It runs in the
// reader of the session that asks, and waits for its outbox to drain.
func (a *Archive) query(ctx context.Context, q *im.Query) (*xml.Element, error) {
	ask, err := parse(q.Payload)
	if err != nil {
		return nil, err
	}
	q.Session.Queried()
	p, err := a.open(ctx, q, ask)
	if err != nil {
		return nil, err
	}
	found, err := p.give(ctx)
	if err != nil {
		return nil, err
	}
	page := rsm.Page{Count: p.count}
	if found.n > 0 || found.stopped {
		page.First, page.Last = a.wireID(p.owner, found.first), a.wireID(p.owner, found.last)
	}
	fin := xml.New(NS, "fin")
	if !found.more {
		fin = fin.WithAttr("complete", "true")
	}
	return fin.With(page.Element()), nil
}

func (a *Archive) wireID(o store.Owner, id store.ID) string { return a.srv.Store().Log.WireID(o, id) }

// metadata says where the archive begins and ends (XEP-0313 §5).
func (a *Archive) metadata(ctx context.Context, q *im.Query) (*xml.Element, error) {
	el := xml.New(NS, "metadata")
	var kids []*xml.Element
	for _, end := range []struct {
		name string
		back bool
	}{{"start", false}, {"end", true}} {
		e, err := a.outermost(ctx, q.Account.Owner(), end.back)
		switch {
		case errors.Is(err, store.ErrNotFound):
			return el, nil
		case err != nil:
			return nil, err
		}
		kids = append(kids, xml.New(NS, end.name, xml.A("id", a.wireID(q.Account.Owner(), e.ID)), xml.A("timestamp", stanza.DateTime(e.Time))))
	}
	return el.With(kids...), nil
}

// outermost is the first or the last message in the archive; store.ErrNotFound when there is none.
func (a *Archive) outermost(ctx context.Context, o store.Owner, last bool) (store.Entry, error) {
	n := 0
	for e, err := range a.srv.Store().Log.Range(ctx, o, store.Query{Backward: last}) {
		if err != nil {
			return e, fmt.Errorf("archive: %w", err)
		}
		if archived(&e) {
			return e, nil
		}
		if n++; n == maxPassed {
			break
		}
	}
	return store.Entry{}, store.ErrNotFound
}
