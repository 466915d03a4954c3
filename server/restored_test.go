package server_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"parley/imtest"
	"parley/server"
	"parley/store"
	"parley/store/sqlite"
	"parley/xmpp/stanza"
)

// life is a server over a data directory, with two people who are there.
type life struct {
	*imtest.Server
	alice, bob *imtest.Client
}

func live(t *testing.T, dir string) *life {
	t.Helper()
	db, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := &life{Server: imtest.Start(t, imtest.Options{Engine: db})}
	if l.Accounts().Count() == 0 {
		l.Account("alice", "bob")
	}
	l.alice, l.bob = l.Online(t, "alice/a"), l.Online(t, "bob/b")
	return l
}

// end stops the server when the two have left.
func (l *life) end() {
	l.alice.Leave()
	l.bob.Leave()
	l.Stop()
}

// message has bob hear something and returns the id that it has in his archive.
func (l *life) message(t *testing.T, text string) string {
	t.Helper()
	l.alice.Send("<message type='chat' to='bob@localhost'><body>" + text + "</body></message>")
	for {
		el := l.bob.Read()
		if el.Name.Local == "message" && strings.Contains(el.String(), text) {
			return el.Child(stanza.NSID, "stanza-id").Attr("id")
		}
	}
}

// rename has alice change her roster and returns its version after that.
func (l *life) rename(t *testing.T, name string) string {
	t.Helper()
	l.alice.Send("<iq type='set' id='" + name + "'><query xmlns='jabber:iq:roster'><item jid='bob@localhost' name='" + name + "'/></query></iq>")
	l.alice.Settle()
	l.alice.Send("<iq type='get' id='v'><query xmlns='jabber:iq:roster'/></iq>")
	for {
		if el := l.alice.Read(); el.Attr("id") == "v" {
			return el.Child(stanza.NSRoster, "query").Attr("ver")
		}
	}
}

// newcomer makes an account and returns its number.
func (l *life) newcomer(t *testing.T, name string) store.Owner {
	t.Helper()
	l.Account(name)
	acc, ok := l.Accounts().Lookup(name)
	if !ok {
		t.Fatal("not there")
	}
	return acc.Owner
}

// TestRestored is P19: a server goes on after a backup and is lost. The restored one gives out nothing that the old one
// gave out since, and takes all that it gave out before.
func TestRestored(t *testing.T) {
	root := t.TempDir()
	old := filepath.Join(root, "old")
	l := live(t, old)
	before := []string{l.message(t, "m1"), l.message(t, "m2")}
	l.newcomer(t, "carol")
	l.end()
	var file bytes.Buffer
	if err := server.OwnBackup(t.Context(), old, "0-test", &file, func(int64) {}); err != nil {
		t.Fatal(err)
	}

	l = live(t, old)
	ids := map[string]bool{l.message(t, "m3"): true, l.message(t, "m4"): true}
	version := l.rename(t, "bobby")
	number := l.newcomer(t, "dave")
	l.end()

	for _, name := range []string{"new", "newer"} { // from one backup, twice
		dir := filepath.Join(root, name)
		if err := server.Restore(t.Context(), bytes.NewReader(file.Bytes()), dir); err != nil {
			t.Fatal(err)
		}
		l = live(t, dir) // with the passwords of before
		for _, text := range []string{"n3", "n4", "n5"} {
			if id := l.message(t, text); ids[id] {
				t.Errorf("%s: the archive id %s was given out twice", name, id)
			} else {
				ids[id] = true
			}
		}
		if v := l.rename(t, "bobo"); v == version {
			t.Errorf("%s: the version %s of the roster was given out twice", name, v)
		}
		if n := l.newcomer(t, "erin"); n <= number {
			t.Errorf("%s: account number %d is not beyond %d", name, n, number)
		}
		bob, _ := l.Accounts().Lookup("bob")
		l.end()
		checkArchive(t, dir, bob.Owner, before)
	}
}

// checkArchive looks into bob's archive for what he was told before the backup.
func checkArchive(t *testing.T, dir string, bob store.Owner, ids []string) {
	t.Helper()
	db, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st := store.New(db, store.Options{})
	defer st.Close(t.Context())
	for i, wire := range ids {
		id, ok := st.Log.ParseWireID(bob, wire)
		if !ok {
			t.Errorf("the id of message %d is refused", i+1)
			continue
		}
		entry, err := st.Log.Entry(t.Context(), bob, id)
		if want := []string{"m1", "m2"}[i]; err != nil || !strings.Contains(string(entry.Body), want) {
			t.Errorf("under the id of %s there is %s, %v", want, entry.Body, err)
		}
	}
}
