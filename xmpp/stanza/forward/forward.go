// Package forward wraps one stanza into another (XEP-0297), with the time at which it was received (XEP-0203).
//
//	<forwarded xmlns='urn:xmpp:forward:0'> <delay xmlns='urn:xmpp:delay' stamp='…'/> <message xmlns='jabber:client' …/> </forwarded>
//
// Whoever opens such a wrapper must know why he trusts the one who made it: anybody can forward anything.
package forward

import (
	"errors"
	"fmt"
	"time"

	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// NS is the namespace.
const NS = "urn:xmpp:forward:0"

// ErrNone says that an element holds no forwarded stanza.
var ErrNone = errors.New("forward: no stanza inside")

// New wraps a stanza, given as its element; received is when it came, the zero time: not said.
func New(st *xml.Element, received time.Time) *xml.Element {
	var delay *xml.Element
	if !received.IsZero() {
		delay = xml.New(stanza.NSDelay, "delay", xml.A("stamp", stanza.DateTime(received)))
	}
	return xml.New(NS, "forwarded").With(delay, st)
}

// Parse opens the wrapper that is a child of el: the stanza in it, and when it was received, the zero time when that is
// not said. It fails unless there is exactly one stanza.
func Parse(el *xml.Element) (*stanza.Stanza, time.Time, error) {
	var received time.Time
	w := el.Child(NS, "forwarded")
	if w == nil {
		return nil, received, ErrNone
	}
	var st *stanza.Stanza
	for c := range w.Children() {
		switch {
		case c.Name == xml.Name{Space: stanza.NSDelay, Local: "delay"}:
			t, err := stanza.ParseDateTime(c.Attr("stamp"))
			if err != nil {
				return nil, received, fmt.Errorf("forward: read when it was received: %w", err)
			}
			received = t
		case c.Name.Space == stanza.NSClient:
			if st != nil {
				return nil, received, errors.New("forward: two stanzas inside")
			}
			var err error
			if st, err = stanza.Parse(c); err != nil {
				return nil, received, fmt.Errorf("forward: read the stanza inside: %w", err)
			}
		}
	}
	if st == nil {
		return nil, received, ErrNone
	}
	return st, received, nil
}

// Element is a stanza as an element, to be wrapped.
func Element(st *stanza.Stanza) *xml.Element {
	el := &xml.Element{Name: xml.Name{Space: stanza.NSClient, Local: st.Kind.String()}, Content: st.Content}
	for _, a := range [...]xml.Attr{
		xml.A("from", st.From.String()), xml.A("to", st.To.String()), xml.A("id", st.ID), xml.A("type", st.Type),
		{Name: xml.Name{Space: xml.Namespace, Local: "lang"}, Value: st.Lang},
	} {
		if a.Value != "" {
			el.Attrs = append(el.Attrs, a)
		}
	}
	return el
}
