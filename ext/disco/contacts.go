package disco

import (
	"parley/xmpp/stanza/form"
	"parley/xmpp/xml"
)

// NSServerInfo is the type of the form that has a server's contact addresses (XEP-0157 §3).
const NSServerInfo = "http://jabber.org/network/serverinfo"

// Contacts are URIs at which those who run the server can be reached.
type Contacts struct{ Abuse, Admin, Support, Security, Feedback []string }

// element is the form; nil when there is nothing to say.
func (c Contacts) element() *xml.Element {
	var fields []form.Field
	for _, kind := range [...]struct {
		name string
		uris []string
	}{{"abuse", c.Abuse}, {"admin", c.Admin}, {"feedback", c.Feedback}, {"security", c.Security}, {"support", c.Support}} {
		if len(kind.uris) > 0 {
			fields = append(fields, form.Field{Var: kind.name + "-addresses", Type: form.ListMulti, Values: kind.uris})
		}
	}
	if fields == nil {
		return nil
	}
	return form.New(form.Result, NSServerInfo, "", fields...).Element()
}
