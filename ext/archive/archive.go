// Package archive keeps messages in the Logs of both accounts, gives them their ids (XEP-0359), lets accounts read what was
// kept (XEP-0313) and so makes that what nobody could take is delivered at the next sign-in (XEP-0160).
//
//	Sending    strip forged ids; the sender's Log         archive = "on", unless he prefers otherwise (prefs.go)
//	Arriving   strip forged ids; the recipient's Log      likewise
//	Missed     the recipient's Log                        what somebody could not take and is not kept anyway
//	Before     what a retraction is about, in both Logs   its content goes (XEP-0424, retract.go)
//
// A query (query.go) selects a stretch of a Log, of which a page is sent to the session that asks (page.go).
package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"parley/auth"
	"parley/im"
	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// Options say what is kept, and for how long.
type Options struct {
	Always   bool                  // false: only messages are kept that not every target can take at once, and nobody can read them
	Keep     time.Duration         // what is older goes, once it was delivered; 0: nothing does
	Accounts func() []auth.Account // all of them
	Logger   *slog.Logger
}

// Archive is the extension.
type Archive struct {
	srv  *im.Server
	opts Options
	log  *slog.Logger

	changing sync.Mutex // held while preferences are written, so that disk and memory agree; ranks after the journey
	mu       sync.RWMutex
	rules    map[store.Owner]*rules // guarded by mu: of accounts that have said what they prefer
}

// New reads what accounts prefer to be kept.
func New(ctx context.Context, srv *im.Server, o Options) (*Archive, error) {
	a := &Archive{srv: srv, opts: o, log: o.Logger, rules: map[store.Owner]*rules{}}
	for v, err := range srv.Store().KV.Each(ctx, keyPrefs) {
		if err != nil {
			return nil, fmt.Errorf("archive: read preferences: %w", err)
		}
		var p prefs
		if err := json.Unmarshal(v.Value, &p); err != nil {
			return nil, fmt.Errorf("archive: read the preferences of account %d: %w", v.Owner, err)
		}
		a.rules[v.Owner] = p.rules()
	}
	return a, nil
}

// Extension is what the hall needs to know.
func (a *Archive) Extension() im.Extension {
	x := im.Extension{
		Name:     "archive",
		Specs:    []string{"XEP-0160 1.0.1", "XEP-0203 2.0", "XEP-0359 0.7.0"},
		Features: []string{"msgoffline", stanza.NSDelay},
		Account:  []string{stanza.NSID},
		Sending:  unforged,
		Arriving: clean,
		Missed:   a.missed,
	}
	if a.opts.Always {
		x.Specs = append(x.Specs, "XEP-0059 1.0", "XEP-0297 1.0", "XEP-0313 1.1.3", "XEP-0424 0.5.0", "XEP-0441 0.2.0")
		x.Features = append(x.Features, NS, NSExtended, NSRetract) // Profanity looks for the archive at the server only
		x.Account = append(x.Account, NS, NSExtended, NSRetract, NSRetract+"#tombstone")
		x.Answers = a.answers()
		x.Before = a.retract
		x.Sending = a.sent
		x.Arriving = func(ctx context.Context, d *im.Delivery) error {
			if err := clean(ctx, d); err != nil {
				return err
			}
			return a.arrived(d)
		}
	}
	return x
}

// sent keeps the sender's copy. What he writes to himself is kept once, when it arrives.
func (a *Archive) sent(ctx context.Context, d *im.Delivery) error {
	if err := unforged(ctx, d); err != nil {
		return err
	}
	if d.Stanza.Kind != stanza.Message || !Keepable(d.Stanza) || d.Stanza.To.Bare() == d.Account.JID() || !a.wants(d.Account, d.Stanza.To) {
		return nil
	}
	return d.Account.Keep(d, d.Stanza.To, true)
}

// arrived keeps the recipient's copy.
func (a *Archive) arrived(d *im.Delivery) error {
	if d.Stanza.Kind != stanza.Message || !Keepable(d.Stanza) || !a.wants(d.Account, d.Stanza.From) {
		return nil
	}
	return d.Account.Keep(d, d.Stanza.From, false)
}

// missed keeps what not everybody could take, until it is delivered. What is not wanted in the archive is kept without a
// peer, and thus in no answer to a query.
func (a *Archive) missed(_ context.Context, d *im.Delivery) error {
	if d.ID != 0 || d.Stanza.Kind != stanza.Message || !Keepable(d.Stanza) {
		return nil
	}
	peer := d.Stanza.From
	if a.opts.Always {
		peer = jid.JID{} // it would have been kept on arrival
	}
	return d.Account.Keep(d, peer, false)
}

// unforged removes ids in the name of the sender's own account, under which his other clients get a copy.
func unforged(_ context.Context, d *im.Delivery) error {
	if d.Stanza.Has(stanza.NSID, "stanza-id") {
		own := d.Account.JID().String()
		d.Stanza = d.Stanza.Without(func(el *xml.Element) bool {
			return el.Name == xml.Name{Space: stanza.NSID, Local: "stanza-id"} && bare(el.Attr("by")) == own
		})
	}
	return nil
}

// clean removes what only the recipient's server may say: ids in its name (XEP-0359 §6), and since when it has kept a
// message (XEP-0203 §4).
func clean(_ context.Context, d *im.Delivery) error {
	if !d.Stanza.Has(stanza.NSID, "stanza-id") && !d.Stanza.Has(stanza.NSDelay, "delay") {
		return nil
	}
	own := d.Account.JID()
	d.Stanza = d.Stanza.Without(func(el *xml.Element) bool {
		switch el.Name {
		case xml.Name{Space: stanza.NSID, Local: "stanza-id"}:
			return bare(el.Attr("by")) == own.String()
		case xml.Name{Space: stanza.NSDelay, Local: "delay"}:
			from := bare(el.Attr("from"))
			return from == "" || from == own.Domain() || from == own.String()
		}
		return false
	})
	return nil
}

// bare is an address in the form in which addresses are compared; what is no address stays as it is.
func bare(s string) string {
	if j, err := jid.Parse(s); err == nil {
		return j.Bare().String()
	}
	return s
}

// Keepable tells whether a message is one that must not be lost: it says something, and its sender does not ask to
// forget it (XEP-0313 §5.1.1, XEP-0334 §4, XEP-0160 §3).
func Keepable(st *stanza.Stanza) bool {
	switch st.Type {
	case "", stanza.Normal, stanza.Chat:
	default:
		return false
	}
	if st.Has(stanza.NSHints, "no-store") || st.Has(stanza.NSHints, "no-permanent-store") {
		return false
	}
	if st.Has(stanza.NSHints, "store") || st.Type != stanza.Chat && st.Len() > 0 {
		return true
	}
	for i := range st.Len() {
		switch n := st.NameOf(i); n.Space {
		case stanza.NSStates, stanza.NSID, "jabber:x:event", "urn:xmpp:hints":
		case stanza.NSClient:
			if n.Local == "body" || n.Local == "subject" {
				return true
			}
		default: // receipts, markers, reactions, corrections, encrypted payloads, invitations, what is yet to come
			return true
		}
	}
	return false
}
