// Package vcard keeps what people tell of themselves, and shows it to everybody (XEP-0054), also while they are away.
// The hash of the picture, by which others know that it has changed, is the clients' to put into their presence
// (XEP-0153), which the server passes on as it is.
//
//	get <vCard xmlns='vcard-temp'/>      one's own, empty while there is none; somebody else's, else service-unavailable
//	set <vCard xmlns='vcard-temp'>…      one's own; an empty one takes it away
package vcard

import (
	"context"
	"errors"
	"fmt"

	"parley/im"
	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// NS is the namespace of vCards.
const NS = "vcard-temp"

// MaxBytes is how large a vCard may be. Its picture is most of it, in base64.
const MaxBytes = 128 << 10

const key = "vcard" // of an account in the store: the element

// New is the extension.
func New(srv *im.Server) im.Extension {
	v := &vcard{kv: srv.Store().KV}
	name := xml.Name{Space: NS, Local: "vCard"}
	return im.Extension{
		Name:     "vcard",
		Specs:    []string{"XEP-0054 1.3.0", "XEP-0153 1.1.1"},
		Features: []string{NS},
		Account:  []string{NS},
		Answers: []im.Answer{
			{At: im.AtSelf, Name: name, Get: v.own, Set: v.set},
			{At: im.AtAccount, Name: name, Get: v.others, Set: forbid},
		},
	}
}

type vcard struct{ kv *store.KV }

// own answers with an empty vCard when there is none (XEP-0054 §3.1).
func (v *vcard) own(ctx context.Context, q *im.Query) (*xml.Element, error) {
	el, err := v.read(ctx, q.Account.Owner())
	if el == nil && err == nil {
		el = xml.New(NS, "vCard")
	}
	return el, err
}

// others answers as for an account that does not exist when there is no vCard (XEP-0054 §3.3).
func (v *vcard) others(ctx context.Context, q *im.Query) (*xml.Element, error) {
	el, err := v.read(ctx, q.Account.Owner())
	if el == nil && err == nil {
		err = stanza.Bad(stanza.ServiceUnavailable, "")
	}
	return el, err
}

// read is an account's vCard, nil when there is none.
func (v *vcard) read(ctx context.Context, o store.Owner) (*xml.Element, error) {
	kept, err := v.kv.Get(ctx, o, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("vcard: %w", err)
	}
	el, err := xml.Parse(string(kept), "", xml.Limits{})
	if err != nil {
		return nil, fmt.Errorf("vcard: read what is kept: %w", err)
	}
	return el, nil
}

// set is of XEP-0054 §3.2.
func (v *vcard) set(_ context.Context, q *im.Query) (*xml.Element, error) {
	var value []byte // nil deletes
	if q.Payload.Len() > 0 {
		value = q.Payload.Append(nil, "")
	}
	if len(value) > MaxBytes {
		return nil, stanza.Bad(stanza.PolicyViolation, fmt.Sprintf("A vCard may have at most %d KiB. Take a smaller picture.", MaxBytes>>10))
	}
	if err := v.kv.Set(q.Journey, q.Account.Owner(), key, value); err != nil {
		return nil, fmt.Errorf("vcard: %w", err)
	}
	return nil, nil
}

func forbid(context.Context, *im.Query) (*xml.Element, error) {
	return nil, stanza.Bad(stanza.Forbidden, "That is somebody else's vCard.")
}
