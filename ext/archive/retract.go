package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"parley/im"
	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// NSRetract is the namespace of XEP-0424.
const NSRetract = "urn:xmpp:message-retract:1"

// nsCorrect is the namespace of XEP-0308.
const nsCorrect = "urn:xmpp:message-correct:0"

// How far back a retraction reaches, in each of the two archives: among the newest messages of the conversation.
const (
	maxRetracted      = 1000
	maxRetractedBytes = 1 << 20
)

// tombstone is an entry of somebody's Log, and what its body becomes.
type tombstone struct {
	owner store.Owner
	id    store.ID
	body  []byte
}

// retract looks up what a retraction is about, in the sender's archive and in the recipient's. Both lose it in the journey
// that keeps the retraction, so that there is never the one without the other.
func (a *Archive) retract(ctx context.Context, s *im.Session, st *stanza.Stanza) (im.After, error) {
	if !st.Has(NSRetract, "retract") || st.ID == "" || !Keepable(st) {
		return nil, nil // without an id of its own no client could tell which retraction a tombstone is of
	}
	named, own, to := st.ChildAttr(NSRetract, "retract", "id"), s.Account(), st.To
	if to.IsZero() {
		to = own.JID()
	}
	if named == "" || to.Domain() != a.srv.Domain().Domain() {
		return nil, nil
	}
	peer, err := a.srv.Account(ctx, to.Local())
	if peer == nil || err != nil {
		return nil, err
	}
	mark := xml.New(NSRetract, "retracted", xml.A("stamp", stanza.DateTime(time.Now())), xml.A("id", st.ID))
	var here, there []tombstone
	if a.wants(own, to) {
		here, err = a.tombstones(ctx, own, peer.JID(), peer != own, named, mark) // what one writes to oneself is kept as it arrives
	}
	if err == nil && peer != own && a.wants(peer, st.From) {
		there, err = a.tombstones(ctx, peer, own.JID(), false, named, mark)
	}
	if err != nil || len(here) == 0 && len(there) == 0 {
		return nil, err
	}
	return func(j store.Journey, arrived bool) error {
		err := a.bury(j, here)
		if arrived {
			err = errors.Join(err, a.bury(j, there))
		}
		return err
	}, nil
}

func (a *Archive) bury(j store.Journey, list []tombstone) (err error) {
	for _, t := range list {
		err = errors.Join(err, a.srv.Store().Log.Replace(j, t.owner, t.id, t.body))
	}
	if err != nil {
		return fmt.Errorf("archive: retract: %w", err)
	}
	return nil
}

// tombstones finds the message that is named, with the corrections of it (XEP-0308), in what an account keeps of its
// conversation with peer: among what it sent, or what peer did. A message is named by its id (XEP-0424 §5.2), or as before
// 0.4.2 by its origin-id. Where several have it the newest counts.
func (a *Archive) tombstones(ctx context.Context, account *im.Account, peer jid.JID, sent bool, named string, mark *xml.Element) (list []tombstone, err error) {
	size := 0
	q := store.Query{Peer: peer.String(), Backward: true, Limit: maxRetracted}
	for e, err := range a.srv.Store().Log.Range(ctx, account.Owner(), q) {
		if err != nil {
			return nil, fmt.Errorf("archive: retract: %w", err)
		}
		if size += len(e.Body); size > maxRetractedBytes {
			break
		}
		if e.Sent != sent || len(e.Body) == 0 {
			continue
		}
		st, err := read(e.Body)
		if err != nil {
			a.log.Error("a kept message cannot be read and is not retracted", slog.String("jid", account.JID().String()), slog.Uint64("id", uint64(e.ID)), slog.Any("err", err))
			continue
		}
		itself := st.ID == named || st.ChildAttr(stanza.NSID, "origin-id", "id") == named
		if st.Has(NSRetract, "retract") || !itself && st.ChildAttr(nsCorrect, "replace", "id") != named {
			continue
		}
		if !st.Has(NSRetract, "retracted") { // else it is a tombstone already, and says since when
			list = append(list, tombstone{account.Owner(), e.ID, without(st, mark).Append(nil)})
		}
		if itself {
			break
		}
	}
	return list, nil
}

func read(body []byte) (*stanza.Stanza, error) {
	el, err := xml.Parse(string(body), stanza.NSClient, xml.Limits{})
	if err != nil {
		return nil, err
	}
	return stanza.Parse(el)
}

// without is a message that says nothing any more but that it was retracted. Its origin-id stays: a message that comes
// again is told by it, also after a restart.
func without(st *stanza.Stanza, mark *xml.Element) *stanza.Stanza {
	t := stanza.New(stanza.Message, st.Type, st.From, st.To, mark)
	t.ID = st.ID
	if id := st.ChildAttr(stanza.NSID, "origin-id", "id"); id != "" {
		t = t.With(xml.New(stanza.NSID, "origin-id", xml.A("id", id)))
	}
	return t
}
