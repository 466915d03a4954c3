package tui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLast(t *testing.T) {
	l := &Last{Path: filepath.Join(t.TempDir(), "a", "parley", "last_account")}
	if acc, ok, err := l.Load(); ok || err != nil {
		t.Errorf("%+v, %v, %v", acc, ok, err)
	}
	for _, acc := range []Account{
		{Address: "alice@localhost", User: "alice", HostPort: "127.0.0.1:5222"},
		{Address: "bob@example.org", User: "bob", Domain: "example.org"},
	} {
		if err := l.Save(acc); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := l.Load(); got != acc || !ok || err != nil {
			t.Errorf("%+v, %v, %v", got, ok, err)
		}
	}
	for _, path := range []string{l.Path, filepath.Dir(l.Path)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(l.Path)); len(left) != 1 {
		t.Errorf("files %v", left)
	}
	for _, text := range []string{"", "{", "null", `{"user":"alice"}`, `{"server":"a:1"}`, "\x00\x1b[2J"} {
		if err := os.WriteFile(l.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if acc, ok, err := l.Load(); ok || err != nil {
			t.Errorf("%q: %+v, %v, %v", text, acc, ok, err)
		}
	}
	// What cannot be remembered is said, and the client goes on.
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{session: newFakeSession()}
	o, _, errs := f.options(t, "alice\nsecret\n")
	o.Last = &Last{Path: filepath.Join(file, "last_account")}
	if err := Run(t.Context(), o); err != nil || !strings.Contains(errs.String(), "the account could not be remembered: ") {
		t.Errorf("%v, %s", err, errs)
	}
}

// Nothing secret is remembered, and nothing at all of who did not get in.
func TestRemembered(t *testing.T) {
	f := &fakeServer{session: newFakeSession()}
	o, _, _ := f.options(t, "alice\nsecret\n")
	o.Last = &Last{Path: filepath.Join(t.TempDir(), "last_account")}
	if err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(o.Last.Path)
	if string(text) != `{"address":"alice@localhost","user":"alice","server":"127.0.0.1:5222"}`+"\n" {
		t.Errorf("remembered %s", text)
	}
	o, _, _ = f.options(t, "bob\nwrong\n")
	o.Last = &Last{Path: filepath.Join(t.TempDir(), "last_account")}
	if err := Run(t.Context(), o); err == nil {
		t.Error("signed in")
	}
	if _, err := os.Stat(o.Last.Path); err == nil {
		t.Error("remembered who did not sign in")
	}
}
