package archive

import (
	"testing"

	"parley/xmpp/stanza"
)

func TestKeepable(t *testing.T) {
	const state, hint = " xmlns='http://jabber.org/protocol/chatstates'/>", " xmlns='urn:xmpp:hints'/>"
	for _, c := range []struct {
		inside, typ string
		want        bool
	}{
		{"<body>hi</body>", "chat", true},
		{"<body>hi</body>", "", true},
		{"<body>hi</body>", "normal", true},
		{"<subject>hi</subject>", "normal", true},
		{"<body>hi</body>", "headline", false},
		{"<body>hi</body>", "error", false},
		{"<body>hi</body>", "groupchat", false},
		{"<body>hi</body><no-store" + hint, "chat", false},
		{"<body>hi</body><no-permanent-store" + hint, "chat", false},
		{"<body>hi</body><no-copy" + hint, "chat", true},
		{"<composing" + state, "chat", false},
		{"<composing" + state + "<store" + hint, "chat", true},
		{"", "chat", false},
		{"", "", false},
		{"<thread>t</thread>", "chat", false},
		{"<received xmlns='urn:xmpp:receipts' id='1'/>", "chat", true},
		{"<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", "chat", true},
		{"<encrypted xmlns='eu.siacs.conversations.axolotl'/>", "chat", true},
		{"<event xmlns='http://jabber.org/protocol/pubsub#event'/>", "", true},
	} {
		st := stanza.Must("<message type='" + c.typ + "'>" + c.inside + "</message>")
		if got := Keepable(st); got != c.want {
			t.Errorf("%s %s: kept is %v", c.typ, c.inside, got)
		}
	}
}
