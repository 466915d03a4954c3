package forward_test

import (
	"testing"
	"time"

	"parley/xmpp/stanza"
	"parley/xmpp/stanza/forward"
	"parley/xmpp/xml"
)

func parse(t *testing.T, text string) *xml.Element {
	t.Helper()
	el, err := xml.Parse(text, stanza.NSClient, xml.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return el
}

func TestRoundTrip(t *testing.T) {
	const message = `<message from='a@b/c' to='d@e' id='1' type='chat'><body>x &lt; y</body><z xmlns='urn:z'><body/></z></message>`
	at := time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC)
	for _, when := range []time.Time{at, {}} {
		el := xml.New("urn:w", "w").With(forward.New(parse(t, message), when))
		st, received, err := forward.Parse(parse(t, el.String()))
		if err != nil || st.String() != message || !received.Equal(when) {
			t.Errorf("%s: got %s at %s, %v", el, st, received, err)
		}
	}
}

func TestElement(t *testing.T) {
	el := forward.New(parse(t, "<message><body>x</body></message>"), time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC))
	want := `<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-01-02T03:04:05.006Z'/>` +
		`<message xmlns='jabber:client'><body>x</body></message></forwarded>`
	if el.String() != want {
		t.Errorf("got  %s\nwant %s", el, want)
	}
}

func TestParseRefuses(t *testing.T) {
	const open, end = "<w xmlns='urn:w'><forwarded xmlns='urn:xmpp:forward:0'>", "</forwarded></w>"
	const message = "<message xmlns='jabber:client'/>"
	for _, text := range []string{
		"<w xmlns='urn:w'/>", open + end, open + "<message/>" + end, open + message + message + end,
		open + "<body xmlns='jabber:client'/>" + end, open + "<message xmlns='jabber:client' from='@'/>" + end,
		open + "<delay xmlns='urn:xmpp:delay' stamp='yesterday'/>" + message + end,
	} {
		if st, _, err := forward.Parse(parse(t, text)); err == nil {
			t.Errorf("%s: got %s", text, st)
		}
	}
}

// A forwarded stanza is the whole stanza, whatever is in it, and reads as that again.
func TestWholeStanza(t *testing.T) {
	received := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		in   string
		at   time.Time
		want string
	}{
		{`<message/>`, time.Time{}, `<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/></forwarded>`},
		{
			`<message from='a@x/&lt;r' to='b@x' id='&amp;1' type='chat' xml:lang='de'><body>a &lt; b</body><a xmlns='urn:a'><b/></a></message>`, time.Time{},
			`<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@x/&lt;r' to='b@x' id='&amp;1' type='chat' xml:lang='de'>` +
				`<body>a &lt; b</body><a xmlns='urn:a'><b/></a></message></forwarded>`,
		},
		{
			`<m:message xmlns:m='jabber:client'><m:body>prefixed</m:body></m:message>`, received,
			`<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='2026-07-01T12:00:00.000Z'/>` +
				`<message xmlns='jabber:client'><body>prefixed</body></message></forwarded>`,
		},
	} {
		st := stanza.Must(c.in)
		got := forward.New(forward.Element(st), c.at)
		if got.String() != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
		}
		again, err := stanza.Parse(got.Child(stanza.NSClient, "message"))
		if err != nil || again.String() != st.String() {
			t.Errorf("%s inside reads as %v, %v", c.in, again, err)
		}
	}
}
