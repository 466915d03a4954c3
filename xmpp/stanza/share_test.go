package stanza

import (
	"testing"

	"parley/xmpp/jid"
	"parley/xmpp/xml"
)

// TestShare: what is rendered once for all is what would be rendered for each.
func TestShare(t *testing.T) {
	from, to := jid.MustParse("a@localhost/x"), jid.MustParse("b@localhost/y<&'")
	for _, s := range []*Stanza{
		{Kind: Presence, From: from},
		{Kind: Message},
		{Kind: Message, Type: Headline, ID: "<1>", Lang: "de", From: from, Content: xml.In(NSClient).With(Body("a & b"))},
	} {
		shared := s.Share()
		for _, to := range []jid.JID{{}, from, to} {
			if got, want := string(shared.AppendTo(nil, to)), string(s.AppendTo(nil, to)); got != want {
				t.Errorf("got %s instead of %s", got, want)
			}
		}
	}
}
