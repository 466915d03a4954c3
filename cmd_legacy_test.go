package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"parley/ext/admin"
)

// TestLegacyList: who cannot sign in with SCRAM-SHA-1 yet, as the server says at its start and `parley user list` says
// while it runs and afterwards.
func TestLegacyList(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	env := map[string]string{"HOME": t.TempDir(), "PARLEY_AUTH_ITERATIONS": "4096"}
	user := func(args ...string) cli {
		t.Helper()
		r := runCLI(t, env, "a-good-password\n", append(append([]string{"user"}, args...), "--data", data)...)
		if r.code != 0 {
			t.Fatalf("user %v: %+v", args, r)
		}
		return r
	}
	lists := func(when, note string, want map[string]any) {
		t.Helper()
		if r := user("list"); r.err != note || strings.Count(r.out, "\n") != len(want) {
			t.Errorf("%s: list: %+v, want %q", when, r, note)
		}
		r := user("list", "--json")
		var list []admin.Account
		if err := json.Unmarshal([]byte(r.out), &list); err != nil || len(list) != len(want) || r.err != "" {
			t.Fatalf("%s: list --json: %v, %+v", when, err, r)
		}
		for _, acc := range list {
			if got := acc.SHA1; (got == nil) != (want[acc.Name] == nil) || got != nil && *got != want[acc.Name] {
				t.Errorf("%s: %s: %v, want %v", when, acc.Name, got, want[acc.Name])
			}
		}
	}
	for _, name := range []string{"alice", "bob"} {
		user("add", name, "--password-stdin")
	}
	lists("before", "", map[string]any{"alice": nil, "bob": nil})

	s := startServer(t, data, "--auth-legacy")
	note := "2 accounts cannot sign in with SCRAM-SHA-1 yet: they need a new password (parley user reset NAME) or one sign-in with PLAIN"
	lists("turned on", note+".\n", map[string]any{"alice": false, "bob": false})
	user("reset", "bob", "--password-stdin")
	user("add", "carol", "--password-stdin")
	one := "1 account cannot sign in with SCRAM-SHA-1 yet: it needs a new password (parley user reset NAME) or one sign-in with PLAIN.\n"
	lists("one reset", one, map[string]any{"alice": false, "bob": true, "carol": true})
	s.stop()
	if log := s.log.String(); !strings.Contains(log, note) || !strings.Contains(log, "accounts=2") {
		t.Errorf("the log of the start: %s", log)
	}

	user("add", "dave", "--password-stdin") // the flag of the server is not known here, but what it meant is
	lists("stopped", one, map[string]any{"alice": false, "bob": true, "carol": true, "dave": true})

	s = startServer(t, data)
	lists("turned off", "", map[string]any{"alice": nil, "bob": nil, "carol": nil, "dave": nil})
	s.stop()
	if log := s.log.String(); !strings.Contains(log, "verifiers for SCRAM-SHA-1 erased") || !strings.Contains(log, "accounts=3") {
		t.Errorf("the log of the start: %s", log)
	}

	env["PARLEY_AUTH_LEGACY"] = "true" // asked for before the server knows of it
	user("reset", "alice", "--password-stdin")
	delete(env, "PARLEY_AUTH_LEGACY")
	lists("turned on by a command", strings.Replace(strings.Replace(one, "1 account ", "3 accounts ", 1), "it needs", "they need", 1),
		map[string]any{"alice": true, "bob": false, "carol": false, "dave": false})
}
