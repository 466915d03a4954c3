package team_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/xmpp/stanza"
)

func TestContactLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hall(t, options(), "alice", "bob", "carol")
		alice := h.Join("alice", "tui")
		if got := alice.Say("whoelse"); got != "Nobody else is online." {
			t.Errorf("got %q", got)
		}
		if got := alice.Say("whoelsesince 1h"); got != "Nobody else in the last hour" {
			t.Errorf("got %q", got)
		}
		bob, carol := h.Join("bob", "tui"), h.Join("carol", "tui")
		carol.Send("<presence><show>away</show></presence>")
		if got := alice.Say("WhoElse"); got != "2 people online:\nbob\ncarol (away)" {
			t.Errorf("got %q", got)
		}
		bob.Leave()
		left := time.Now().UTC().Format("2006-01-02 15:04:05")
		time.Sleep(time.Minute)
		if got := alice.Say("whoelsesince 15m"); got != "2 people in the last 15 minutes:\nbob (last here "+left+" UTC)\ncarol (away)" {
			t.Errorf("got %q", got)
		}
		if got := alice.Say("whoelsesince soon"); !strings.HasPrefix(got, "whoelsesince needs a time") {
			t.Errorf("got %q", got)
		}
	})
}

func TestContactHelp(t *testing.T) {
	h := hall(t, options(), "alice")
	got := h.Join("alice", "tui").Say("help")
	for _, line := range []string{
		"message <user> <text> – ", "broadcast <text> – ", "whoelse – ", "whoelsesince <seconds> – ", "block <user> – ", "unblock <user> – ", "help – ",
	} {
		if !strings.Contains(got, "\n"+line) {
			t.Errorf("%q is not in %q", line, got)
		}
	}
}

func TestContactBroadcast(t *testing.T) {
	h := hall(t, options(), "alice", "bob", "carol")
	alice, bob, carol := h.Join("alice", "tui"), h.Join("bob", "tui"), h.Join("carol", "tui")
	bob.Got()
	if got := alice.Say("broadcast lunch  at 1\nor 2"); got != "Delivered to 2 people." {
		t.Errorf("got %q", got)
	}
	if got := bob.Got(); len(got) != 1 || got[0].Type != stanza.Headline || got[0].Body() != "lunch  at 1\nor 2" || got[0].From.String() != "alice@here" {
		t.Errorf("bob got %v", got)
	}
	block(carol, true, "alice")
	if got := alice.Say("broadcast x"); got != "Delivered to 1 person. "+unreached {
		t.Errorf("got %q", got)
	}
}

func TestContactMessage(t *testing.T) {
	h := hall(t, options(), "alice", "bob", "carol")
	alice, bob := h.Join("alice", "tui"), h.Join("bob", "tui")
	bob.Got()
	for _, name := range []string{"bob", "BOB", "bob@here"} {
		if got := alice.Say("message " + name + " hi there"); got != "To bob: sent." {
			t.Errorf("got %q", got)
		}
		got := bob.Got()
		if len(got) != 1 || got[0].Type != stanza.Chat || got[0].From != alice.JID() || got[0].To.String() != "bob@here" ||
			got[0].Body() != "hi there" || got[0].ID == "" {
			t.Errorf("bob got %v", got)
		}
	}
	if got := alice.Say("message carol later"); got != "To carol: sent. carol is offline and gets it at the next sign-in." {
		t.Errorf("got %q", got)
	}
	carol := h.Bind("carol", "tui")
	carol.Send("<presence/>")
	if got := carol.Got(); !slices.ContainsFunc(got, func(st *stanza.Stanza) bool { return st.Body() == "later" }) {
		t.Errorf("carol got %v", got)
	}
	if got := alice.Say("message alice note to self"); got != "To alice: sent." {
		t.Errorf("got %q", got)
	}
	if got := alice.Got(); !slices.ContainsFunc(got, func(st *stanza.Stanza) bool { return st.Body() == "note to self" && st.From == alice.JID() }) {
		t.Errorf("alice got %v", got)
	}
	for line, want := range map[string]string{
		"message bbo hi":                                  "Nobody here is called bbo. Did you mean bob?",
		"message Caorl hi":                                "Nobody here is called Caorl. Did you mean carol?",
		"message zacharias hi":                            "Nobody here is called zacharias.",
		"message bob@elsewhere hi":                        "Nobody here is called bob@elsewhere.",
		"message here hi":                                 "Nobody here is called here.",
		"message @ hi":                                    "Nobody here is called @.",
		"message a/b\x7f\u202e hi":                        "Nobody here is called a/b??.",
		"message bob " + strings.Repeat("x", 64<<10+1):    "The message is longer than 64 KiB.",
		"message " + strings.Repeat("long", 1000) + " hi": "Nobody here is called " + strings.Repeat("long", 10) + "….",
	} {
		if got := alice.Say(line); got != want {
			t.Errorf("%.40q: %q", line, got)
		}
	}
	if got := bob.Got(); slices.ContainsFunc(got, func(st *stanza.Stanza) bool { return st.Kind == stanza.Message }) {
		t.Errorf("bob got what was refused: %v", got)
	}
}

func TestContactBlock(t *testing.T) {
	p := options()
	h := hall(t, p, "alice", "bob", "carol")
	alice, phone, bob := h.Join("alice", "tui"), h.Join("alice", "phone"), h.Join("bob", "tui")
	phone.Ask("get", "", "<blocklist xmlns='urn:xmpp:blocking'/>")
	phone.Got()
	bob.Got()
	for _, c := range []struct{ line, want string }{
		{"unblock bob", "bob is not blocked."},
		{"block alice", "You cannot block yourself."},
		{"block ALICE@here", "You cannot block yourself."},
		{"block bbo", "Nobody here is called bbo. Did you mean bob?"},
		{"unblock bbo", "Nobody here is called bbo. Did you mean bob?"},
		{"block here", "Nobody here is called here."},
		{"BLOCK Bob", "bob is blocked: no messages either way, and bob does not see you online. Undo: unblock bob"},
		{"block bob", "bob is blocked already."},
		{"unblock carol", "carol is not blocked."},
	} {
		if got := alice.Say(c.line); got != c.want {
			t.Errorf("%q: %q", c.line, got)
		}
	}
	if got := phone.Got(); len(got) != 1 || got[0].Raw() != "<block xmlns='urn:xmpp:blocking'><item jid='bob@here'/></block>" {
		t.Errorf("the other client: %v", got)
	}
	if got := bob.Texts(); len(got) != 2 || !strings.Contains(strings.Join(got, ""), "from='alice@here/tui' to='bob@here/tui' type='unavailable'") {
		t.Errorf("bob: %q", got)
	}
	if got := alice.Say("unblock bob"); got != "bob is not blocked any more. What was written to you meanwhile was not kept." {
		t.Errorf("got %q", got)
	}
	if got := phone.Got(); len(got) == 0 || got[0].Raw() != "<unblock xmlns='urn:xmpp:blocking'><item jid='bob@here'/></unblock>" {
		t.Errorf("the other client: %v", got)
	}
	if got := bob.Texts(); len(got) != 2 {
		t.Errorf("bob: %q", got)
	}
}

// TestContactUnblockGone: somebody who is on the list but not on the server any more can be taken off it.
func TestContactUnblockGone(t *testing.T) {
	h := hall(t, options(), "alice", "bob")
	alice := h.Join("alice", "tui")
	alice.Ask("set", "", "<block xmlns='urn:xmpp:blocking'><item jid='bob@here/phone'/><item jid='gone@here'/></block>")
	for _, who := range []string{"gone", "bob"} {
		if got := alice.Say("unblock " + who); !strings.HasPrefix(got, who+" is not blocked any more.") {
			t.Errorf("got %q", got)
		}
	}
	if got := alice.Ask("get", "", "<blocklist xmlns='urn:xmpp:blocking'/>").Raw(); got != "<blocklist xmlns='urn:xmpp:blocking'/>" {
		t.Errorf("left: %s", got)
	}
}

// TestContactAnswersEverything: nobody waits for an answer in vain.
func TestContactAnswersEverything(t *testing.T) {
	h := hall(t, options(), "alice")
	alice := h.Join("alice", "tui")
	for _, line := range []string{"hello", "/", "?", "logout", "message", strings.Repeat("a", 100000), "\u202e", "0"} {
		if got := alice.Say(line); got == "" || len(got) > 400 {
			t.Errorf("%.20q: %q", line, got)
		}
	}
	if got := alice.Got(); len(got) != 0 {
		t.Errorf("more than answers: %v", got)
	}
}
