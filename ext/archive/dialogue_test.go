package archive_test

import (
	"fmt"
	"strings"
	"testing"

	"parley/imtest"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/forward"
)

func TestDialogues(t *testing.T) { imtest.Play(t, "testdata") }

// TestSlowReader asks for a page many times the size of an outbox, and for another one, before it reads anything.
func TestSlowReader(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.TCP, Settings: map[string]string{"limits.outbox_bytes": "16384"}})
	s.Account("alice", "bob")
	alice, bob := s.Connect(t, "alice/a"), s.Connect(t, "bob/b")
	const n = 60
	for i := range n {
		alice.Send(fmt.Sprintf("<message to='bob@localhost' type='chat'><body>%d %s</body></message>", i, strings.Repeat("x", 4000)))
	}
	alice.Settle()
	for range 2 {
		bob.Send("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'><max>100</max></set></query></iq>")
	}
	for range 2 {
		for i := range n {
			st := bob.Next()
			in, _, err := forward.Parse(st.First())
			if err != nil || !strings.HasPrefix(in.Body(), fmt.Sprint(i, " ")) {
				t.Fatalf("instead of message %d: %.200s (%v)", i, st, err)
			}
		}
		if st := bob.Next(); st.Kind != stanza.IQ || st.Type != stanza.Result {
			t.Fatalf("at the end: %s", st)
		}
	}
}
