package archive

import (
	"strings"
	"testing"
	"time"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
)

// first is the oldest entry of somebody's Log.
func (h *house) first(name string) string {
	h.t.Helper()
	account, err := h.Account(h.t.Context(), name)
	if err != nil {
		h.t.Fatal(err)
	}
	e, err := h.Store().Log.Entry(h.t.Context(), account.Owner(), 1)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(e.Body)
}

// append puts one message of alice's to bob into her Log.
func (h *house) append(bytes int) {
	h.t.Helper()
	err := h.Within(h.t.Context(), nil, func(j store.Journey) error {
		st := stanza.New(stanza.Message, stanza.Chat, jid.MustParse("alice@here/a"), jid.MustParse("bob@here"), stanza.Body(strings.Repeat("x", bytes)))
		_, err := h.Store().Log.Append(j, 1, store.Entry{Peer: "bob@here", Sent: true, Body: st.Append(nil)})
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

const (
	wrong   = "<message to='bob@here' type='chat' id='m1'><body>wrong</body></message>"
	retract = "<message to='bob@here' type='chat' id='r1'><retract xmlns='urn:xmpp:message-retract:1' id='m1'/></message>"
)

// TestRetractReach: how far back a retraction reaches, in messages of that conversation and in bytes.
func TestRetractReach(t *testing.T) {
	for _, c := range []struct {
		name     string
		between  int // messages
		bytes    int // of each
		others   int // messages with somebody else
		retracts bool
	}{
		{"as far as it goes", maxRetracted - 1, 1, 5000, true},
		{"one message further", maxRetracted, 1, 0, false},
		{"many bytes", 15, 64 << 10, 0, true},
		{"more bytes", 17, 64 << 10, 0, false},
	} {
		h := build(t, Options{}, "alice", "bob", "carol")
		alice := h.Join("alice", "a")
		alice.Send(wrong)
		for range c.between {
			h.append(c.bytes)
		}
		h.put("alice", c.others, "carol@here/c", time.Now(), false)
		alice.Send(retract)
		if got := strings.Contains(h.first("alice"), "<retracted "); got != c.retracts {
			t.Errorf("%s: alice has %s", c.name, h.first("alice"))
		}
		if !strings.Contains(h.first("bob"), "<retracted ") { // in his archive nothing is between
			t.Errorf("%s: bob has %s", c.name, h.first("bob"))
		}
	}
}

// TestRetractUnwanted: an archive that is not to have the retraction has no tombstone either (XEP-0424 §4).
func TestRetractUnwanted(t *testing.T) {
	h := build(t, Options{}, "alice", "bob")
	alice, bob := h.Join("alice", "a"), h.Join("bob", "b")
	alice.Send(wrong)
	bob.Ask("set", "", "<prefs xmlns='urn:xmpp:mam:2' default='never'/>")
	alice.Send(retract)
	if !strings.Contains(h.first("alice"), "<retracted ") || !strings.Contains(h.first("bob"), "wrong") {
		t.Errorf("alice has %s\nbob has %s", h.first("alice"), h.first("bob"))
	}
}
