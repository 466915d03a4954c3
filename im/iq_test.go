package im_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"parley/ext/exttest"
	"parley/im"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// TestRequestToClosed: a request to a client that reads too slowly to take it is answered for it.
func TestRequestToClosed(t *testing.T) {
	h := exttest.New(t, memory.New(), "alice", "bob")
	if err := h.Use(); err != nil {
		t.Fatal(err)
	}
	alice, bob := h.Bind("alice", "tui"), h.Bind("bob", "tui")
	request := `<iq type='set' id='%d' to='bob@here/tui'><x xmlns='urn:x'>` + strings.Repeat("x", 300<<10) + `</x></iq>`
	taken := 0
	for i := range 5 {
		alice.Send(fmt.Sprintf(request, i))
		answers := alice.Got()
		if len(answers) == 0 {
			taken++
			continue
		}
		if a := answers[0]; len(answers) > 1 || a.ID != fmt.Sprint(i) || a.From != bob.JID() || stanza.ErrorOf(a).Condition != stanza.ServiceUnavailable {
			t.Errorf("request %d: %s", i, answers)
		}
	}
	if _, ended := bob.Ended(); !ended || taken != 3 {
		t.Errorf("%d requests were taken, the session was ended: %v", taken, ended)
	}
	// An answer that cannot be taken is answered by nothing.
	alice.Send(strings.Replace(fmt.Sprintf(request, 9), "'set'", "'result'", 1))
	if got := alice.Got(); len(got) > 0 {
		t.Errorf("to a result: %s", got)
	}
}

// TestFull: whatever answer meets a full disk, the asker hears that.
func TestFull(t *testing.T) {
	h := exttest.New(t, memory.New(), "alice")
	full := func(context.Context, *im.Query) (*xml.Element, error) { return nil, fmt.Errorf("x: %w", store.ErrFull) }
	err := h.Use(im.Extension{Name: "x", Answers: []im.Answer{{Name: xml.Name{Space: "urn:x", Local: "x"}, Set: full}}})
	if err != nil {
		t.Fatal(err)
	}
	if a := h.Bind("alice", "tui").Ask("set", "", "<x xmlns='urn:x'/>"); stanza.ErrorOf(a).Condition != stanza.ResourceConstraint {
		t.Errorf("got %s", a)
	}
}
