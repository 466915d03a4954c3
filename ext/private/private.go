// Package private keeps small pieces of XML for an account's clients (XEP-0049): bookmarks, notes, preferences. Each
// has its place by the name and namespace of its element; nobody else can reach them.
//
//	get <query> <storage xmlns='storage:bookmarks'/> </query>       what is kept there, else the element as it was asked
//	set <query> <storage xmlns='storage:bookmarks'>…</storage> </query>      an empty element: nothing is kept any more
package private

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"parley/im"
	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// NS is the namespace of private storage.
const NS = "jabber:iq:private"

// MaxBytes is how much an account may keep here, all pieces and their names together.
const MaxBytes = 256 << 10

// prefix of the KV keys of an account: then the namespace, a space, and the element's name.
const prefix = "private/"

// New is the extension.
func New(srv *im.Server) im.Extension {
	p := &private{srv: srv}
	name := xml.Name{Space: NS, Local: "query"}
	return im.Extension{
		Name:     "private",
		Specs:    []string{"XEP-0049 1.2"},
		Features: []string{NS},
		Answers: []im.Answer{
			{At: im.AtSelf, Name: name, Get: p.get, Set: p.set, Outside: true},
			{At: im.AtAccount, Name: name, Get: forbid, Set: forbid},
		},
	}
}

type private struct {
	srv *im.Server
	// By owner, several to each: held from adding up what is kept until more is, so that two clients of one account do
	// not pass the bound together.
	turns [64]sync.Mutex
}

func forbid(context.Context, *im.Query) (*xml.Element, error) {
	return nil, stanza.Bad(stanza.Forbidden, "Private storage is its owner's alone.")
}

func (p *private) get(ctx context.Context, q *im.Query) (*xml.Element, error) {
	el, err := piece(q.Payload)
	if err != nil {
		return nil, err
	}
	kept, err := p.srv.Store().KV.Get(ctx, q.Account.Owner(), key(el))
	switch {
	case errors.Is(err, store.ErrNotFound):
		el = xml.New(el.Name.Space, el.Name.Local)
	case err != nil:
		return nil, fmt.Errorf("private: %w", err)
	default:
		if el, err = xml.Parse(string(kept), "", xml.Limits{}); err != nil {
			return nil, fmt.Errorf("private: read what is kept as %q: %w", key(el), err)
		}
	}
	return xml.New(NS, "query").With(el), nil
}

func (p *private) set(ctx context.Context, q *im.Query) (*xml.Element, error) {
	el, err := piece(q.Payload)
	if err != nil {
		return nil, err
	}
	var value []byte // nil deletes
	if !el.Empty() || len(el.Attrs) > 0 {
		value = el.Append(nil, "")
	}
	owner, place := q.Account.Owner(), key(el)
	turn := &p.turns[uint64(owner)%uint64(len(p.turns))]
	turn.Lock()
	defer turn.Unlock()
	if value != nil {
		others, err := p.size(ctx, owner, place)
		if err != nil {
			return nil, err
		}
		if others+len(place)+len(value) > MaxBytes {
			return nil, stanza.Bad(stanza.ResourceConstraint, fmt.Sprintf("An account may keep at most %d KiB here.", MaxBytes>>10))
		}
	}
	return nil, p.srv.Within(ctx, nil, func(j store.Journey) error {
		if err := p.srv.Store().KV.Set(j, owner, place, value); err != nil {
			return fmt.Errorf("private: %w", err)
		}
		return nil
	})
}

// size is how much an account keeps in all places but one.
func (p *private) size(ctx context.Context, o store.Owner, but string) (int, error) {
	n := 0
	for kept, err := range p.srv.Store().KV.All(ctx, o, prefix) {
		if err != nil {
			return 0, fmt.Errorf("private: %w", err)
		}
		if kept.Key != but {
			n += len(kept.Key) + len(kept.Value)
		}
	}
	return n, nil
}

// piece is the one element that a query is about. Its namespace has to be its own, and none that the protocol itself
// uses (XEP-0049 §2.3).
func piece(query *xml.Element) (*xml.Element, error) {
	if query.Len() != 1 {
		return nil, stanza.Bad(stanza.NotAcceptable, "The query has to hold exactly one element.")
	}
	el := query.First()
	ns := el.Name.Space
	if ns == "" || ns == "vcard-temp" || strings.HasPrefix(ns, "jabber:") || strings.HasPrefix(ns, "http://jabber.org/") {
		return nil, stanza.Bad(stanza.NotAcceptable, "The element has to have a namespace of its own.")
	}
	return el, nil
}

func key(el *xml.Element) string { return prefix + el.Name.Space + " " + el.Name.Local }
