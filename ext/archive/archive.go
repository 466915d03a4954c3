// Package archive keeps messages in the Logs of both accounts, gives them their ids (XEP-0359) and so makes that what
// nobody could take is delivered at the next sign-in (XEP-0160).
//
//	Sending    strip forged ids; the sender's Log         archive = "on"
//	Arriving   strip forged ids; the recipient's Log      archive = "on"
//	Missed     the recipient's Log                        archive = "off": only what somebody could not take
package archive

import (
	"context"

	"parley/im"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// New is the extension. When always is false, only messages are kept that not every target can take at once.
func New(always bool) im.Extension {
	x := im.Extension{
		Name:     "archive",
		Specs:    []string{"XEP-0160 1.0.1", "XEP-0203 2.0", "XEP-0359 0.7.0"},
		Features: []string{"msgoffline", stanza.NSDelay},
		Account:  []string{stanza.NSID},
		Sending:  unforged,
		Arriving: clean,
		Missed:   keep,
	}
	if always {
		x.Sending = sent
		x.Arriving = func(ctx context.Context, d *im.Delivery) error {
			if err := clean(ctx, d); err != nil {
				return err
			}
			return keep(ctx, d)
		}
	}
	return x
}

// sent keeps the sender's copy. What he writes to himself is kept once, when it arrives.
func sent(ctx context.Context, d *im.Delivery) error {
	if err := unforged(ctx, d); err != nil {
		return err
	}
	if d.Stanza.Kind != stanza.Message || !Keepable(d.Stanza) || d.Stanza.To.Bare() == d.Account.JID() {
		return nil
	}
	return d.Account.Keep(d, d.Stanza.To, true)
}

// keep keeps the recipient's copy, once.
func keep(_ context.Context, d *im.Delivery) error {
	if d.ID != 0 || d.Stanza.Kind != stanza.Message || !Keepable(d.Stanza) {
		return nil
	}
	return d.Account.Keep(d, d.Stanza.From, false)
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
