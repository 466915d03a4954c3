package im

import (
	"strings"
	"testing"

	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// TestKept: the first presence of a session lies within it; not a large one, which would stay as long as the session, and no
// later one, since somebody may still read the first.
func TestKept(t *testing.T) {
	presence := func(status string) *stanza.Stanza {
		return stanza.New(stanza.Presence, "", jid.JID{}, jid.JID{}, xml.New(stanza.NSClient, "status").WithText(status))
	}
	s := new(Session)
	if large := presence(strings.Repeat("x", 5000)); s.kept(large) != large {
		t.Error("a large presence is kept for good")
	}
	first, second := presence("here"), presence("away")
	if kept := s.kept(first); kept != &s.first || kept.String() != first.String() {
		t.Errorf("kept %v", kept)
	}
	if s.kept(second) != second || s.first.String() != first.String() {
		t.Error("the first was overwritten")
	}
}
