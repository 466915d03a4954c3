package register_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"parley/auth"
	"parley/ext/blocking"
	"parley/ext/exttest"
	"parley/ext/register"
	"parley/im"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
)

const password = "correct horse"

// directory is what the hall knows of accounts.
type directory struct{ *auth.Accounts }

func (d directory) Owner(name string) (store.Owner, bool) {
	a, ok := d.Lookup(name)
	return a.Owner, ok
}

func hall(t *testing.T, names ...string) (*exttest.Hall, *auth.Accounts) {
	t.Helper()
	st := exttest.Start(t, memory.New())
	accounts, err := auth.Open(t.Context(), st, auth.Options{Domain: exttest.Domain, Iterations: 4096})
	if err != nil {
		t.Fatal(err)
	}
	h := exttest.Over(t, st, directory{accounts})
	people := register.New(h.Server, accounts, slog.New(slog.DiscardHandler))
	people.Watch()
	keep := im.Extension{Name: "keep", Missed: func(_ context.Context, d *im.Delivery) error { return d.Account.Keep(d, d.Stanza.From, false) }}
	if err := h.Use(blocking.New(), keep, people.Extension()); err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		if _, err := accounts.Add(t.Context(), n, password); err != nil {
			t.Fatal(err)
		}
	}
	return h, accounts
}

func query(inside string) string { return "<query xmlns='jabber:iq:register'>" + inside + "</query>" }

func fields(username, password string) string {
	return query("<username>" + username + "</username><password>" + password + "</password>")
}

func ended(c *exttest.Client) string {
	if err, ok := c.Ended(); ok {
		return fmt.Sprint(err)
	}
	return ""
}

func TestGet(t *testing.T) {
	h, _ := hall(t, "alice", "bob")
	alice := h.Join("alice", "tui")
	for _, to := range []string{"", "here", "alice@here"} {
		a := alice.Ask("get", to, query(""))
		if want := query("<registered/><username>alice</username><password/>"); a.Type != stanza.Result || a.Raw() != want {
			t.Errorf("to %q: %s", to, a)
		}
	}
	if a := alice.Ask("get", "bob@here", query("")); stanza.ErrorOf(a).Condition != stanza.ServiceUnavailable {
		t.Errorf("to somebody else: %s", a)
	}
}

func TestChangePassword(t *testing.T) {
	h, accounts := hall(t, "alice", "bob")
	tui, phone, bob := h.Join("alice", "tui"), h.Join("alice", "phone"), h.Join("bob", "tui")
	before := accounts.Credentials("alice")
	if a := tui.Ask("set", "here", fields("Alice", "another password")); a.Type != stanza.Result || a.Len() != 0 {
		t.Fatal(a)
	}
	if slices.Equal(before.StoredKey, accounts.Credentials("alice").StoredKey) {
		t.Error("the password is the old one")
	}
	if got := ended(phone); got != "stream error not-authorized: The password of this account was changed." {
		t.Errorf("the other session: %q", got)
	}
	if got := ended(tui) + ended(bob); got != "" {
		t.Errorf("the wrong session was ended: %q", got)
	}
	// From elsewhere, all of them are.
	if err := accounts.SetPassword(t.Context(), "alice", "a third password"); err != nil {
		t.Fatal(err)
	}
	if ended(tui) == "" {
		t.Error("a session with the old password goes on")
	}
}

func TestChangePasswordErrors(t *testing.T) {
	h, accounts := hall(t, "alice", "bob")
	alice, phone := h.Join("alice", "tui"), h.Join("alice", "phone")
	before, bobs := accounts.Credentials("alice"), accounts.Credentials("bob")
	for _, c := range []struct {
		payload string
		want    stanza.Condition
		text    string
	}{
		{query(""), stanza.BadRequest, "A new password needs the user name and the password."},
		{query("<password>another password</password>"), stanza.BadRequest, "A new password needs the user name and the password."},
		{query("<username>alice</username>"), stanza.BadRequest, "A new password needs the user name and the password."},
		{fields("bob", "another password"), stanza.Forbidden, "You can change your own password only."},
		{fields("", "another password"), stanza.Forbidden, "You can change your own password only."},
		{fields("nobody", "another password"), stanza.Forbidden, "You can change your own password only."},
		{fields("alice", ""), stanza.NotAcceptable, "This cannot be a password: it is empty."},
		{fields("alice", "short"), stanza.NotAcceptable, "The password is too short: it has 5 characters, at least 10 are needed."},
		{fields("alice", strings.Repeat("x", 1025)), stanza.NotAcceptable, "This cannot be a password: it is longer than 1024 bytes."},
		{query("<remove/><username>alice</username>"), stanza.BadRequest, "Nothing else may stand beside &lt;remove/&gt;."},
		{query("<username>alice</username><password>another password</password><remove/>"), stanza.BadRequest, "Nothing else may stand beside &lt;remove/&gt;."},
	} {
		a := alice.Ask("set", "here", c.payload)
		e := stanza.ErrorOf(a)
		if a.Type != stanza.ErrorType || e.Condition != c.want || e.Text != strings.NewReplacer("&lt;", "<", "&gt;", ">").Replace(c.text) {
			t.Errorf("%.80s: %s", c.payload, a)
		}
	}
	if !slices.Equal(before.StoredKey, accounts.Credentials("alice").StoredKey) || !slices.Equal(bobs.StoredKey, accounts.Credentials("bob").StoredKey) {
		t.Error("a password was changed all the same")
	}
	if ended(alice)+ended(phone) != "" {
		t.Error("a session was ended")
	}
}

func TestRemove(t *testing.T) {
	h, accounts := hall(t, "alice", "bob")
	tui, phone, bob := h.Join("alice", "tui"), h.Join("alice", "phone"), h.Join("bob", "tui")
	bob.Ask("get", "", "<query xmlns='jabber:iq:roster'/>")
	bob.Send("<message to='alice@here' type='chat'><body>hi</body></message>")
	owner := tui.Account().Owner()
	bob.Got()
	if a := tui.Ask("set", "", query("<remove/>")); a.Type != stanza.Result || a.Len() != 0 {
		t.Fatal(a)
	}
	for _, c := range []*exttest.Client{tui, phone} {
		if got := ended(c); got != "stream error not-authorized: This account was removed." {
			t.Errorf("%s: %q", c.JID(), got)
		}
	}
	if _, ok := accounts.Lookup("alice"); ok {
		t.Error("the account is still there")
	}
	if ended(bob) != "" {
		t.Error("bob was ended")
	}
	got := strings.Join(bob.Texts(), "")
	for _, want := range []string{"<item jid='alice@here' subscription='remove'/>", "from='alice@here/tui' to='bob@here/tui' type='unavailable'"} {
		if !strings.Contains(got, want) {
			t.Errorf("bob does not hear %s, but %s", want, got)
		}
	}
	if _, last, err := h.Store().Log.Bounds(t.Context(), owner); err != nil || last != 0 {
		t.Errorf("the log is still there: %d, %v", last, err)
	}
	for p, err := range h.Store().KV.All(t.Context(), owner, "") {
		t.Errorf("still there: %q, %v", p.Key, err)
	}
	if _, err := h.Server.Bind(t.Context(), "alice", "tui"); !errors.Is(err, im.ErrNoAccount) {
		t.Errorf("bind: %v", err)
	}
}

// TestInheritance: who gets a removed name is not the one who had it, for nobody's block list either.
func TestInheritance(t *testing.T) {
	for name, remove := range map[string]func(*testing.T, *exttest.Client, *auth.Accounts){
		"in band":        func(_ *testing.T, c *exttest.Client, _ *auth.Accounts) { c.Ask("set", "here", query("<remove/>")) },
		"from elsewhere": func(t *testing.T, _ *exttest.Client, a *auth.Accounts) { _, _ = a.Remove(t.Context(), "alice") },
	} {
		t.Run(name, func(t *testing.T) {
			h, accounts := hall(t, "alice", "bob", "carol", "malice")
			alice, bob := h.Join("alice", "tui"), h.Join("bob", "tui")
			alice.Ask("set", "", "<block xmlns='urn:xmpp:blocking'><item jid='carol@here'/></block>")
			bob.Ask("get", "", "<blocklist xmlns='urn:xmpp:blocking'/>")
			bob.Ask("set", "", "<block xmlns='urn:xmpp:blocking'><item jid='alice@here'/><item jid='alice@here/x'/><item jid='malice@here'/></block>")
			bob.Got()
			remove(t, alice, accounts)
			want := "<blocklist xmlns='urn:xmpp:blocking'><item jid='malice@here'/></blocklist>"
			if got := bob.Ask("get", "", "<blocklist xmlns='urn:xmpp:blocking'/>").Raw(); got != want {
				t.Errorf("bob's list: %s", got)
			}
			push := "<unblock xmlns='urn:xmpp:blocking'><item jid='alice@here'/><item jid='alice@here/x'/></unblock>"
			if got := bob.Got(); !slices.ContainsFunc(got, func(st *stanza.Stanza) bool { return st.Raw() == push }) {
				t.Errorf("bob's client was not told: %v", got)
			}
			if _, err := accounts.Add(t.Context(), "alice", password); err != nil {
				t.Fatal(err)
			}
			alice = h.Join("alice", "tui")
			if got := alice.Ask("get", "", "<blocklist xmlns='urn:xmpp:blocking'/>").Raw(); got != "<blocklist xmlns='urn:xmpp:blocking'/>" {
				t.Errorf("the new alice has a block list: %s", got)
			}
			bob.Got()
			alice.Send("<message to='bob@here' type='chat'><body>hi</body></message>")
			if got := bob.Got(); len(got) != 1 || got[0].Body() != "hi" {
				t.Errorf("bob got %v", got)
			}
		})
	}
}
