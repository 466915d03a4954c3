package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/imtest"
	"parley/load"
)

func benchServer(t *testing.T) (hostPort string) {
	t.Helper()
	s := imtest.Start(t, imtest.Options{Transport: imtest.TCP, Settings: map[string]string{"insecure_listen": "127.0.0.1:0", "registration": "open"}})
	s.Account("alice", "bob", "carol", "dave")
	return s.Facts().Insecure[0]
}

// TestBenchWrong: what cannot be measured is told in one sentence, with a way out, before anything begins.
func TestBenchWrong(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"three": "alice:a\nbob:b\ncarol:c\n", "broken": "alice:a\nbob\n", "empty": "# nobody\n", "twice": "alice:a\nalice:b\n",
		"idle.json": `{"scenario":"idle"}`, "none.json": "{}", "text.json": "chat: 2 accounts",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const help = "  fix  parley help bench\n"
	for _, c := range []struct {
		line string
		code int
		err  string
	}{
		{"", 2, "error: parley bench needs a SCENARIO\n  fix  parley bench SCENARIO HOST:PORT\n"},
		{"chat", 2, "error: parley bench needs a HOST:PORT\n  fix  parley bench SCENARIO HOST:PORT\n"},
		{"chatt h:1", 2, "error: there is no scenario \"chatt\"\n  fix  did you mean:  parley bench chat h:1\n"},
		{"xyzzyx h:1", 2, "error: there is no scenario \"xyzzyx\"\n  fix  one of login, idle, chat, rate, fanout, offline, presence, churn, history\n"},
		{"chat localhost", 2, "error: \"localhost\" is not HOST:PORT\n  fix  parley bench chat HOST:PORT\n"},
		{"chat h:1 --to some", 2, "error: --to cannot be \"some\"\n  fix  --to full\n       or  --to bare\n"},
		{"chat h:1 --tls ssl", 2, "error: --tls cannot be \"ssl\": it is one of starttls, direct, none\n" + help},
		{"chat h:1 --mechanism plain", 2, "error: --mechanism cannot be \"plain\": it is one of SCRAM-SHA-256, SCRAM-SHA-1, PLAIN\n" + help},
		{"fanout h:1 --via mail", 2, "error: --via cannot be \"mail\": it is one of broadcast, room\n" + help},
		{"chat h:1 --users 1", 2, "error: chat needs 2 accounts, and there are 1\n" + help},
		{"churn h:1 --users 3", 2, "error: churn needs 4 accounts, and there are 3\n" + help},
		{"chat h:1 --users 0", 2, "error: --users cannot be 0\n  fix  --users 2\n"},
		{"chat h:1 --body 10", 2, "error: a body needs at least 34 bytes, for a number and a time\n" + help},
		{"chat h:1 --accounts DIR/none", 2, "error: the accounts in DIR/none cannot be read: no such file or directory\n  fix  --accounts FILE\n"},
		{"chat h:1 --accounts DIR", 2, "error: the accounts in DIR cannot be read: is a directory\n  fix  --accounts FILE\n"},
		{"chat h:1 --accounts DIR/broken", 2, "error: DIR/broken: line 2 is not name:password\n  fix  lines of the form name:password\n"},
		{"chat h:1 --accounts DIR/empty", 2, "error: chat needs 2 accounts, and there are 0\n" + help},
		{"chat h:1 --accounts DIR/twice", 2, "error: the account alice is there twice\n" + help},
		{"chat h:1 --accounts DIR/three --users 4", 2, "error: DIR/three has 3 accounts, and 4 are asked for\n  fix  --users 3\n"},
		{"churn h:1 --accounts DIR/three", 2, "error: churn needs 4 accounts, and there are 3\n" + help},
		{"chat h:1 --json --compare DIR/idle.json", 2, "error: a result that is JSON has no ratios\n  fix  --compare without --json\n"},
		{"chat h:1 --compare DIR/none", 2, "error: the result to compare with cannot be read\n  why  open DIR/none: no such file or directory\n  fix  make one:  parley bench chat … --json > DIR/none\n"},
		{"chat h:1 --compare DIR/text.json", 2, "error: the result to compare with cannot be read\n  why  read a result: invalid character 'c' looking for beginning of value\n  fix  make one:  parley bench chat … --json > DIR/text.json\n"},
		{"chat h:1 --compare DIR/idle.json", 2, "error: the result in DIR/idle.json is not of chat but of \"idle\"\n  fix  make one:  parley bench chat … --json > DIR/idle.json\n"},
		{"chat h:1 --compare DIR/none.json", 2, "error: the result in DIR/none.json is not of chat but of \"\"\n  fix  make one:  parley bench chat … --json > DIR/none.json\n"},
		{"chat h:1 --pid 1073741824", 1, "error: nothing was measured\n  why  there is no process 1073741824\n  fix  --pid with the number of the server's process, on this computer\n"},
		{"chat 127.0.0.1:1", 5, "error: nothing was measured\n  why  connect: dial tcp 127.0.0.1:1: connect: connection refused\n  fix  a server that listens there\n"},
	} {
		r := runCLI(t, nil, "", append([]string{"bench"}, strings.Fields(strings.ReplaceAll(c.line, "DIR", dir))...)...)
		if got := strings.ReplaceAll(r.err, dir, "DIR"); r.code != c.code || got != c.err || r.out != "" {
			t.Errorf("%s: exit %d, want %d\n%s%s\nwant\n%s", c.line, r.code, c.code, r.out, got, c.err)
		}
	}
}

// TestBench measures a server with the accounts of a file, keeps the result, and compares a second run with it.
func TestBench(t *testing.T) {
	hostPort := benchServer(t)
	dir := t.TempDir()
	accounts, before := filepath.Join(dir, "accounts"), filepath.Join(dir, "before")
	var lines string
	for _, name := range []string{"alice", "bob", "carol", "dave"} {
		lines += name + ":" + imtest.Password + "\n"
	}
	if err := os.WriteFile(accounts, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	chat := []string{"bench", "chat", hostPort, "--tls", "none", "--duration", "100ms", "--warmup", "10ms", "--accounts", accounts}
	r := runCLI(t, nil, "", append(chat, "--json")...)
	var result load.Result
	if err := json.Unmarshal([]byte(r.out), &result); r.code != 0 || r.err != "" || err != nil || result.Users != 4 || result.Count == 0 {
		t.Fatalf("%v, %+v", err, r)
	}
	if err := os.WriteFile(before, []byte(r.out), 0o600); err != nil {
		t.Fatal(err)
	}
	r = runCLI(t, nil, "", append(chat, "--users", "2", "--compare", before)...)
	if r.code != 0 || r.err != "" || !strings.HasPrefix(r.out, "chat: 2 accounts, window 1, tls none, 0.") || !strings.Contains(r.out, " x ") ||
		!strings.HasSuffix(r.out, "\nlost 0, doubled 0, out of order 0, errors 0\n") {
		t.Errorf("%+v", r)
	}
}

// TestBenchUnsound: what a server refuses is in the result, and in the exit code.
func TestBenchUnsound(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.TCP, Settings: map[string]string{"insecure_listen": "127.0.0.1:0", "registration": "open", "archive": "off"}})
	r := runCLI(t, nil, "", "bench", "history", s.Facts().Insecure[0], "--tls", "none", "--register", "--users", "2", "--messages", "1", "--warmup", "0s", "--duration", "50ms")
	if r.code != 1 || r.err != "error: the server answered with errors\n" || !strings.Contains(r.out, "errors 2\nthe first error: \"bench") {
		t.Errorf("%+v", r)
	}
}

// TestBenchInterrupted: Ctrl-C ends it at once.
func TestBenchInterrupted(t *testing.T) {
	cmd := exec.Command(os.Args[0], "bench", "chat", benchServer(t), "--tls", "none", "--register", "--users", "2", "--warmup", "0s", "--duration", "1h")
	cmd.Env = []string{"PARLEY_TEST_MAIN=1"}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	time.Sleep(500 * time.Millisecond)
	_ = cmd.Process.Signal(syscall.SIGINT)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted || out.String() != "" || errs.String() != "error: interrupted\n" {
		t.Errorf("exit %d\n%s%s", code, out.String(), errs.String())
	}
}

// TestBenchWords: the help, the manual and the completion know every scenario, and what flags may be.
func TestBenchWords(t *testing.T) {
	help, manual := runCLI(t, nil, "", "help", "bench"), runCLI(t, nil, "", "man", "bench")
	for _, name := range load.Scenarios() {
		for what, text := range map[string]string{"help": help.out, "manual": manual.out} {
			if !strings.Contains(text, "\n  "+name+" ") {
				t.Errorf("the %s does not say what %s is", what, name)
			}
		}
	}
	for _, part := range []string{".nf\n  login ", "page by page\n.fi\n", "\\-\\-window N\n", " (default 10s)\n"} {
		if !strings.Contains(manual.out, part) {
			t.Errorf("the manual does not have %q:\n%s", part, manual.out)
		}
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{""}, load.Scenarios()},
		{[]string{"chat", ""}, nil},
		{[]string{"chat", "h:1", "--tls", ""}, []string{"starttls", "direct", "none"}},
		{[]string{"chat", "h:1", "--mechanism", ""}, []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"}},
		{[]string{"chat", "h:1", "--via", ""}, []string{"broadcast", "room"}},
		{[]string{"chat", "h:1", "--to", ""}, []string{"full", "bare"}},
	} {
		got := slices.DeleteFunc(asked(t, append([]string{"bench"}, c.args...)...), func(s string) bool { return strings.HasPrefix(s, ":") })
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %v", c.args, got)
		}
	}
}

// TestBenchProgress: a file is told each quarter of what takes longer than a second, and nothing twice.
func TestBenchProgress(t *testing.T) {
	var b bytes.Buffer
	g := &progress{w: &b}
	for i := range 101 {
		g.at("accounts", float64(i), 100)
	}
	for i := range 101 {
		g.at("chat", float64(i), 100)
		g.began = time.Now().Add(-2 * time.Second)
		g.at("chat", float64(i), 100)
	}
	g.at("waiting for the rest", 0, 5)
	g.at("waiting for the rest", 5, 5)
	g.end()
	if got, want := b.String(), "chat: 25 %\nchat: 50 %\nchat: 75 %\nchat: 100 %\n"; got != want {
		t.Errorf("%s", got)
	}
}
