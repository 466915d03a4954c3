package admin

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/auth"
	"parley/ext/archive"
	"parley/ext/exttest"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
)

const good = "correct horse battery"

// people are accounts as a hall knows them.
type people struct{ *auth.Accounts }

func (p people) Owner(localpart string) (store.Owner, bool) {
	a, ok := p.Lookup(localpart)
	return a.Owner, ok
}

// world is a hall with accounts, and an Admin of it that does nothing before it is told to.
func world(t *testing.T, e store.Engine, names ...string) (*exttest.Hall, *Admin, *bytes.Buffer) {
	t.Helper()
	st := exttest.Start(t, e)
	accounts, err := auth.Open(t.Context(), st, auth.Options{Domain: exttest.Domain, Iterations: 4096})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, err := accounts.Add(t.Context(), name, good); err != nil {
			t.Fatal(err)
		}
	}
	h := exttest.Over(t, st, people{accounts})
	log := &bytes.Buffer{}
	a, err := New(t.Context(), Options{Accounts: accounts, Domain: exttest.Domain, Hall: h.Server, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Unblock: func(context.Context, string) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	keeps, err := archive.New(t.Context(), h.Server, archive.Options{Always: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Use(keeps.Extension(), a.Extension()); err != nil {
		t.Fatal(err)
	}
	return h, a, log
}

func do(t *testing.T, a *Admin, node string, words ...string) Answer {
	t.Helper()
	fields := map[string][]string{}
	for i := 0; i < len(words); i += 2 {
		fields[words[i]] = append(fields[words[i]], words[i+1])
	}
	return a.Do(t.Context(), Request{Node: node, Fields: fields})
}

// TestMOTDOnce counts how often each gets the message of the day: once.
func TestMOTDOnce(t *testing.T) {
	e := memory.New()
	h, a, _ := world(t, e, "alice", "bob")
	work := func() { // what Run does
		names, _ := a.todo()
		for name := range names {
			a.greet(t.Context(), name)
		}
	}
	got := func(c *exttest.Client) (n int) {
		for _, st := range c.Got() {
			if st.Kind == stanza.Message && st.From.String() == exttest.Domain {
				n++
			}
		}
		return n
	}
	alice := h.Join("alice", "a")
	if r := do(t, a, NS+"#set-motd", "motd", "hello"); r.Condition != "" {
		t.Fatalf("%+v", r)
	}
	work()
	if n := got(alice); n != 1 {
		t.Errorf("who was online got it %d times", n)
	}
	alice.Leave()
	for i := range 3 {
		alice, bob := h.Join("alice", "a"), h.Join("bob", "b")
		work()
		want := 0
		if i == 0 {
			want = 1
		}
		if n, m := got(alice), got(bob); n != 0 || m != want {
			t.Errorf("%d: alice got it %d times, bob %d times", i, n, m)
		}
		alice.Leave()
		bob.Leave()
	}
	alice = h.Join("alice", "a")
	if r := do(t, a, NS+"#set-motd", "motd", "hello again"); r.Condition != "" {
		t.Fatalf("%+v", r)
	}
	work()
	if n := got(alice); n != 1 {
		t.Errorf("a new one was given %d times", n)
	}
}

// TestPlan: the server stops when it was said, the last word counts, and who stops it otherwise need not wait.
func TestPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &Admin{wake: make(chan struct{}, 1), came: map[string]struct{}{}, log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		stopped, ended := make(chan bool, 1), make(chan struct{})
		begin := func() {
			go func() {
				a.Run(ctx, func(restart bool) { stopped <- restart })
				close(ended)
			}()
		}
		plan := func(seconds int, restart bool) {
			t.Helper()
			if _, err := a.end(ctx, &call{values: map[string][]string{fieldDelay: {fmt.Sprint(seconds)}}}, restart, "it"); err != nil {
				t.Fatal(err)
			}
		}
		begin()
		at := time.Now()
		plan(600, false)
		time.Sleep(30 * time.Second)
		plan(60, true)
		if restart := <-stopped; !restart || time.Since(at) != 90*time.Second {
			t.Errorf("stopped after %v, restart %v", time.Since(at), restart)
		}
		<-ended
		ended = make(chan struct{})
		begin()
		plan(600, false)
		synctest.Wait()
		cancel()
		<-ended
		if len(stopped) > 0 {
			t.Error("stopped by itself as well")
		}
	})
}

// TestLog: each act leaves one line with who did it, and no password; what only reads leaves none.
func TestLog(t *testing.T) {
	h, a, log := world(t, memory.New(), "root", "bob")
	if _, err := a.o.Accounts.SetAdmin(t.Context(), "root", true); err != nil {
		t.Fatal(err)
	}
	root := h.Join("root", "r")
	execute := func(node string) (*stanza.Stanza, error) {
		for _, c := range Commands() {
			if c.Node == node {
				_, err := a.run(t.Context(), c, &call{by: root.Session, values: map[string][]string{fieldAccounts: {"bob"}}})
				return nil, err
			}
		}
		return nil, fmt.Errorf("no command %s", node)
	}
	if _, err := execute(NodeLock); err != nil {
		t.Fatal(err)
	}
	do(t, a, NodeReset, fieldAccount, "bob", fieldPassword, "a very secret one")
	do(t, a, NodeUsers)
	do(t, a, NodeLock, fieldAccounts, "nobody")
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "command=disable-user by=root@here/r about=bob") ||
		!strings.Contains(lines[1], "command=change-user-password by=local about=bob") || strings.Contains(log.String(), "secret") {
		t.Errorf("%s", log)
	}
}

// TestRefusals: what cannot be done names the condition and the field.
func TestRefusals(t *testing.T) {
	_, a, _ := world(t, memory.New(), "bob")
	for _, c := range []struct {
		node      string
		words     []string
		condition stanza.Condition
		field     string
	}{
		{NodeAdd, []string{fieldAccount, "bob", fieldPassword, good}, stanza.Conflict, fieldAccount},
		{NodeAdd, []string{fieldAccount, "Bob Smith", fieldPassword, good}, stanza.NotAcceptable, fieldAccount},
		{NodeAdd, []string{fieldAccount, "carol", fieldPassword, "short"}, stanza.PolicyViolation, fieldPassword},
		{NodeAdd, []string{fieldAccount, "carol", fieldPassword, "not \x01 a password"}, stanza.NotAcceptable, fieldPassword},
		{NodeAdd, []string{fieldAccount, "carol"}, stanza.BadRequest, fieldPassword},
		{NodeLock, []string{fieldAccounts, strings.Repeat("x", 10000)}, stanza.NotAcceptable, fieldAccounts},
		{NodeLock, []string{fieldAccounts, "nobody@here"}, stanza.ItemNotFound, fieldAccounts},
		{NodeLock, []string{fieldAccounts, "bob@there"}, stanza.NotAcceptable, fieldAccounts},
		{NodeLock, nil, stanza.BadRequest, fieldAccounts},
		{NS + "#announce", []string{fieldAnnouncement, strings.Repeat("x", maxText+1)}, stanza.BadRequest, fieldAnnouncement},
		{"", nil, stanza.FeatureNotImplemented, ""},
	} {
		if r := do(t, a, c.node, c.words...); r.Condition != c.condition || r.Field != c.field || r.Text == "" || len(r.Text) > 700 {
			t.Errorf("%s %.60q: %+v", c.node, c.words, r)
		}
	}
	a.o.Hall = nil
	if r := do(t, a, NS+"#announce", fieldAnnouncement, "x"); r.Condition != stanza.ServiceUnavailable {
		t.Errorf("without a server: %+v", r)
	}
}

// TestImportCut: an import that is cut off tells what it did until then.
func TestImportCut(t *testing.T) {
	_, a, _ := world(t, memory.New())
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	a.o.Accounts.OnAdded = func(context.Context, string) {
		if n++; n == 64 { // as many as are kept at a time
			cancel()
		}
	}
	var file bytes.Buffer
	for i := range 300 {
		fmt.Fprintf(&file, "user%d %s\n", i, strings.ReplaceAll(good, " ", "-"))
	}
	r := a.Do(ctx, Request{Node: NodeImport, File: file.Bytes()})
	if r.Condition == "" || len(r.Rows) != a.o.Accounts.Count() || len(r.Rows) < 64 || len(r.Rows) == 300 {
		t.Errorf("%s %s: %d rows, while %d accounts were made", r.Condition, r.Text, len(r.Rows), a.o.Accounts.Count())
	}
}
