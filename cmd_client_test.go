package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every wrong command line of the clients gets one sentence and the code for it, before anything is connected.
func TestWrongClientLines(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\nsecret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	word := filepath.Join(t.TempDir(), "word")
	if err := os.WriteFile(word, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	how := "\n  fix  parley client 127.0.0.1 5222\n       or  parley client alice@chat.example.org\n"
	for _, c := range []struct {
		line, input string
		code        int
		says        string
	}{
		{"client", "", 2, "parley client needs to know the server" + how},
		{"client a 1 2", "", 2, "parley client takes at most 2 words, and \"2\" is one word too many" + how},
		{"client alice@a 5222", "", 2, "parley client NAME@DOMAIN takes no second word, and \"5222\" is one" + how},
		{"client a 70000", "", 2, "PORT must be a number from 1 to 65535, not 70000\n  fix  for example:  parley client 127.0.0.1 5222\n"},
		{"client a 0", "", 2, "PORT must be a number from 1 to 65535, not 0\n  fix  for example:  parley client 127.0.0.1 5222\n"},
		{"client @a", "", 2, "\"@a\" is no address\n  fix  parley client alice@chat.example.org\n"},
		{"client alice@a/phone", "", 2, "\"alice@a/phone\" is no address\n  fix  parley client alice@chat.example.org\n"},
		{"client alice@:5222", "", 2, "\"alice@:5222\" is no address\n  fix  parley client alice@chat.example.org\n"},
		{"client alice@a:0", "", 2, "PORT must be a number from 1 to 65535, not 0\n  fix  for example:  parley client 127.0.0.1 5222\n"},
		{"client alice@127.0.0.1:1 --password-file " + word, "", 5, "cannot reach 127.0.0.1:1\n  why  nothing listens there"},
		{"client alice@[::1]:1 --password-file " + word, "", 5, "cannot reach [::1]:1\n"},
		{"client alice@localhost:1 --password-file " + word, "", 5, "cannot reach localhost (127.0.0.1, port 1)\n  why  nothing listens there"},
		{"client --line", "", 2, "--line needs a terminal for input and output\n  fix  leave out --line: without a terminal every line of the input is a command\n"},
		{"client a --line --json", "", 2, "--line and --json exclude each other\n  fix  leave one of them out\n"},
		{"client a --retry soon", "", 2, "--retry"},
		{"client a --server b", "", 2, "the server is given twice: a:5222 as words and b as --server\n  fix  leave one of them out\n"},
		{"client alice@a --user bob", "", 2, "the name is given twice: alice as a word and bob as --user\n  fix  leave one of them out\n"},
		{"client a --trust 1234", "", 2, "--trust needs a key like SHA256:9f2KbQx1vY7mD0sTt3hPzWc5Lk8RnAe4JgUoXiV6yBw\n  fix  the server prints it when it starts\n"},
		{"client a --password-file /nowhere/x --user bob", "", 2, "cannot read /nowhere/x\n  why  no such file or directory\n  fix  --password-file FILE\n"},
		{"client a --user bob --password-file " + empty, "", 2, empty + " holds no password\n  fix  put the password into its first line\n"},
		{"client 127.0.0.1 1 --user alice", "message bob hi\n", 2, "a password for alice is needed and there is no terminal to ask on\n"},
		{"client 127.0.0.1 1", "", 2, "name and password are needed to sign in, and the input has not both\n"},
		{"client 127.0.0.1 1", "alice\nsecret\n", 5, "cannot reach 127.0.0.1:1\n  why  nothing listens there"},
		{"send bob", "", 2, "parley send needs a TEXT\n  fix  parley send USER TEXT\n"},
		{"send bob hi there", "", 2, "parley send takes a user and one text, and \"there\" is one word too many: put quotes around the text\n"},
		{"send bob hi", "", 2, "name and password of the sender are needed and there is no terminal to ask on\n"},
		{"trust", "", 2, "parley trust needs one more word: forget or list\n"},
		{"trust forget", "", 2, "parley trust forget needs a HOST\n"},
		{"trust forget x", "", 1, "no key of x is known here\n  fix  all that are:  parley trust list\n"},
	} {
		t.Run(c.line, func(t *testing.T) {
			r := runCLI(t, map[string]string{"HOME": t.TempDir()}, c.input, strings.Fields(c.line)...)
			if r.code != c.code || !strings.HasPrefix(r.err, "error: "+c.says) || r.out != "" {
				t.Errorf("exit %d, want %d\n%s%s\nwant\nerror: %s", r.code, c.code, r.out, r.err, c.says)
			}
		})
	}
	if r := runCLI(t, nil, "", "trust", "list"); r.code != 1 || !strings.Contains(r.err, "neither HOME nor XDG_STATE_HOME is set") {
		t.Errorf("without a home: %+v", r)
	}
}
