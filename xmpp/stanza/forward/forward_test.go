package forward_test

import (
	"testing"

	"parley/xmpp/stanza"
	"parley/xmpp/stanza/forward"
	"parley/xmpp/xml"
)

// A forwarded stanza is the whole stanza, whatever is in it, and reads as that again.
func TestElement(t *testing.T) {
	delay := xml.New(stanza.NSDelay, "delay", xml.A("stamp", "2026-07-01T12:00:00.000Z"))
	for _, c := range []struct {
		in    string
		delay *xml.Element
		want  string
	}{
		{`<message/>`, nil, `<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded>`},
		{
			`<message from='a@x/&lt;r' to='b@x' id='&amp;1' type='chat' xml:lang='de'><body>a &lt; b</body><a xmlns='urn:a'><b/></a></message>`, nil,
			`<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@x/&lt;r' to='b@x' id='&amp;1' type='chat' xml:lang='de'>` +
				`<body>a &lt; b</body><a xmlns='urn:a'><b/></a></message></forwarded>`,
		},
		{
			`<m:message xmlns:m='jabber:client'><m:body>prefixed</m:body></m:message>`, delay,
			`<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-07-01T12:00:00.000Z'/>` +
				`<message xmlns='jabber:client'><body>prefixed</body></message></forwarded>`,
		},
	} {
		st := stanza.Must(c.in)
		got := forward.Element(st, c.delay)
		if got.String() != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
		}
		again, err := stanza.Parse(got.Child(stanza.NSClient, "message"))
		if err != nil || again.String() != st.String() {
			t.Errorf("%s inside reads as %v, %v", c.in, again, err)
		}
	}
}
