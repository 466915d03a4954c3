package stanza

import (
	"errors"
	"testing"

	"parley/xmpp/jid"
	"parley/xmpp/xml"
)

func element(t *testing.T, s string) *xml.Element {
	t.Helper()
	el, err := xml.Parse(s, NSClient, xml.Limits{})
	if err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return el
}

// What a stanza means survives being read and rendered, whatever the way it was written.
func TestRoundTrip(t *testing.T) {
	for in, want := range map[string]string{
		`<message/>`: `<message/>`,
		`<message type="chat" to="Bob@LocalHost/x" from='a@b' id='&lt;1&gt;' xml:lang='en'><body>a &amp; b</body></message>`: `<message from='a@b' to='bob@localhost/x' id='&lt;1&gt;' type='chat' xml:lang='en'><body>a &amp; b</body></message>`,
		`<message type='nonsense'><body/></message>`:                               `<message><body/></message>`,
		`<presence extra='x'><show>away</show></presence>`:                         `<presence><show>away</show></presence>`,
		`<iq id='1' type='result'/>`:                                               `<iq id='1' type='result'/>`,
		`<iq id='1' type='get'><p:ping xmlns:p='urn:xmpp:ping'/></iq>`:             `<iq id='1' type='get'><ping xmlns='urn:xmpp:ping'/></iq>`,
		`<m:message xmlns:m='jabber:client'><m:body>prefixed</m:body></m:message>`: `<message><body>prefixed</body></message>`,
	} {
		st, err := Parse(element(t, in))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if got := st.String(); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
		if again := Must(st.String()).String(); again != want {
			t.Errorf("%s read again is %s", want, again)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for in, want := range map[string]Condition{
		`<message to='@'/>`:                                          JIDMalformed,
		`<message from='a@b@c/ '/>`:                                  JIDMalformed,
		`<iq type='get'><a/></iq>`:                                   BadRequest,
		`<iq id='1'><a/></iq>`:                                       BadRequest,
		`<iq id='1' type='get'/>`:                                    BadRequest,
		`<iq id='1' type='put'/>`:                                    BadRequest,
		`<presence type='lurking'/>`:                                 BadRequest,
		`<iq id='1' type='set'><a xmlns='x'/><b xmlns='x'/></iq>`:    BadRequest,
		`<iq id='1' type='result'><a xmlns='x'/><b xmlns='x'/></iq>`: BadRequest,
	} {
		st, err := Parse(element(t, in))
		var e *Error
		if !errors.As(err, &e) || e.Condition != want || st == nil {
			t.Errorf("%s: %v instead of %s", in, err, want)
		}
	}
	for _, in := range []string{`<stranger/>`, `<message xmlns='jabber:server'/>`} {
		if _, err := Parse(element(t, in)); !errors.Is(err, ErrNotAStanza) {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestFail(t *testing.T) {
	st := Must(`<iq from='a@x/r' to='b@x' id='7' type='get'><q xmlns='urn:q'/></iq>`)
	e := Bad(PolicyViolation, "Not <so>.")
	e.App = xml.New("urn:app", "because")
	want := `<iq from='b@x' to='a@x/r' id='7' type='error'><error type='modify'>` +
		`<policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>` +
		`<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>Not &lt;so&gt;.</text><because xmlns='urn:app'/></error></iq>`
	answer := st.Fail(e)
	if got := answer.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	back := ErrorOf(Must(want))
	if back.Condition != e.Condition || back.Class != ClassModify || back.Text != e.Text || back.App == nil {
		t.Errorf("read again: %+v", back)
	}
	if answer.MayFail() || Must(`<iq id='1' type='result'/>`).MayFail() || !st.MayFail() {
		t.Error("an error or a result is never answered with an error, a request is")
	}
	if e := ErrorOf(Must(`<message type='error'/>`)); e.Condition != UndefinedCondition {
		t.Errorf("an error that says nothing is %s", e.Condition)
	}
}

func TestCopiesAreCopies(t *testing.T) {
	st := Must(`<message to='b@x'><body>one</body><thread>t</thread></message>`)
	before := st.String()
	more := st.With(xml.New("urn:a", "a")).Addressed(jid.MustParse("a@x"), jid.MustParse("c@x"))
	less := st.Without(func(el *xml.Element) bool { return el.Name.Local == "body" })
	if st.String() != before {
		t.Errorf("the original is %s now", st)
	}
	if want := `<message from='a@x' to='c@x'><body>one</body><thread>t</thread><a xmlns='urn:a'/></message>`; more.String() != want {
		t.Errorf("got %s", more)
	}
	if want := `<message to='b@x'><thread>t</thread></message>`; less.String() != want || less.Body() != "" || st.Body() != "one" {
		t.Errorf("got %s", less)
	}
}
