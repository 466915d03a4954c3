package archive

import (
	"errors"
	"fmt"
	"time"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
	"parley/xmpp/stanza/rsm"
	"parley/xmpp/xml"
)

// Namespaces of XEP-0313.
const (
	NS         = "urn:xmpp:mam:2"
	NSExtended = "urn:xmpp:mam:2#extended"
)

// Bounds of a query.
const (
	usualPage = 50  // messages on a page when the client does not say
	maxPage   = 250 // messages on a page, and ids in a query, at most
)

// query is what a client asks of the archive (XEP-0313 §4).
type query struct {
	id                string // given back with every result
	with              jid.JID
	start, end        time.Time // inclusive; zero: open
	afterID, beforeID string    // exclusive; "": open
	ids               []string  // only these, when there are any
	page              rsm.Request
	flip              bool // newest first
}

// parse reads a query. The error is one for the client.
func parse(el *xml.Element) (*query, error) {
	q := &query{id: el.Attr("queryid"), flip: el.Has(NS, "flip-page")}
	if el.Attr("node") != "" {
		return nil, stanza.Bad(stanza.ItemNotFound, "This archive has no nodes.")
	}
	var err error
	switch q.page, err = rsm.Parse(el); {
	case errors.Is(err, rsm.ErrIndex):
		return nil, stanza.Bad(stanza.FeatureNotImplemented, "Pages cannot be asked for by their index.")
	case err != nil:
		return nil, stanza.Bad(stanza.BadRequest, "The number of messages on a page is not a number.")
	case q.page.Max < 0:
		q.page.Max = usualPage
	}
	q.page.Max = min(q.page.Max, maxPage)
	x := el.Child(stanza.NSForms, "x")
	if x == nil {
		return q, nil
	}
	f, err := form.Parse(x)
	if err != nil || f.Type != form.Submit {
		return nil, stanza.Bad(stanza.BadRequest, "The form of the query is not one that was filled in.")
	}
	if kind := f.Value(form.TypeVar); kind != "" && kind != NS {
		return nil, stanza.Bad(stanza.BadRequest, "The form of the query is for something else.")
	}
	for i := range f.Fields {
		if err := q.field(&f.Fields[i]); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// field reads one field of the form. One without a value, or with an empty one, asks for nothing.
func (q *query) field(f *form.Field) (err error) {
	value := ""
	if len(f.Values) > 0 {
		value = f.Values[0]
	}
	switch f.Var {
	case form.TypeVar, "include-groupchat", "": // of rooms nothing is kept here
		return nil
	case "with", "start", "end", "after-id", "before-id", "ids":
	default: // XEP-0313 §4.1.5
		return stanza.Bad(stanza.FeatureNotImplemented, "The archive cannot be searched by a field of the query.")
	}
	if value == "" && f.Var != "ids" {
		return nil
	}
	switch f.Var {
	case "with":
		q.with, err = jid.Parse(value)
	case "start":
		q.start, err = stanza.ParseDateTime(value)
	case "end":
		q.end, err = stanza.ParseDateTime(value)
	case "after-id":
		q.afterID = value
	case "before-id":
		q.beforeID = value
	case "ids":
		q.ids = f.Values
		if len(q.ids) > maxPage {
			return stanza.Bad(stanza.PolicyViolation, fmt.Sprintf("At most %d messages can be asked for by their ids.", maxPage))
		}
	}
	if err != nil {
		if f.Var == "with" {
			return stanza.Bad(stanza.JIDMalformed, "The address in 'with' is not a valid one.")
		}
		return stanza.Bad(stanza.BadRequest, "A time of the query is not of the form 2026-01-31T12:00:00Z.")
	}
	return nil
}

// fields is the form that says what can be asked (XEP-0313 §4.1.5).
func fields() *xml.Element {
	ids := xml.New(stanza.NSForms, "field", xml.A("var", "ids"), xml.A("type", form.ListMulti)).With(
		xml.New("http://jabber.org/protocol/xdata-validate", "validate", xml.A("datatype", "xs:string")).With(
			xml.New("http://jabber.org/protocol/xdata-validate", "open"))) // XEP-0122: any values, not those of a list
	return form.New(form.Ask, NS, "",
		form.Field{Var: "with", Type: form.JIDSingle},
		form.Field{Var: "start", Type: form.TextSingle},
		form.Field{Var: "end", Type: form.TextSingle},
		form.Field{Var: "before-id", Type: form.TextSingle},
		form.Field{Var: "after-id", Type: form.TextSingle},
	).Element().With(ids)
}
