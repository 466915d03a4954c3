// Package forward has stanzas inside of others (XEP-0297):
//
//	<forwarded xmlns='urn:xmpp:forward:0'> <delay xmlns='urn:xmpp:delay'/> <message xmlns='jabber:client'/> </forwarded>
//
// Whoever opens one has to know first that it is from somebody who may say what others wrote (XEP-0297 §6).
package forward

import (
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// NS is the namespace of the element forwarded.
const NS = "urn:xmpp:forward:0"

// Element is st, forwarded; delay says when it was first here (XEP-0203), nil for no word of that.
func Element(st *stanza.Stanza, delay *xml.Element) *xml.Element {
	el := &xml.Element{Name: xml.Name{Space: stanza.NSClient, Local: st.Kind.String()}, Content: st.Content}
	for _, a := range [...]xml.Attr{
		xml.A("from", st.From.String()), xml.A("to", st.To.String()), xml.A("id", st.ID), xml.A("type", st.Type),
		{Name: xml.Name{Space: xml.Namespace, Local: "lang"}, Value: st.Lang},
	} {
		if a.Value != "" {
			el.Attrs = append(el.Attrs, a)
		}
	}
	return xml.New(NS, "forwarded").With(delay, el)
}
