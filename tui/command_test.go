package tui

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		line string
		want command
		err  string
	}{
		{line: "message bob hi", want: command{"message", "bob", "hi"}},
		{line: "  /message bob  hi  there ", want: command{"message", "bob", "hi  there"}},
		{line: "MESSAGE bob logout", want: command{"message", "bob", "logout"}},
		{line: "message bob one\ntwo", want: command{"message", "bob", "one\ntwo"}},
		{line: "message bob", err: "message needs a user and a text, for example: message bob hi"},
		{line: "message", err: "message needs a user and a text, for example: message bob hi"},
		{line: "broadcast lunch in 5", want: command{"broadcast", "", "lunch in 5"}},
		{line: "broadcast ", err: "broadcast needs a text, for example: broadcast lunch in 5 minutes"},
		{line: "whoelse", want: command{verb: "whoelse"}},
		{line: "whoelse 60", err: "whoelse stands alone: no other words belong to it"},
		{line: "whoelsesince 60", want: command{"whoelsesince", "", "60"}},
		{line: "whoelsesince 15m", want: command{"whoelsesince", "", "15m"}},
		{line: "whoelsesince", err: "whoelsesince needs a number of seconds, for example: whoelsesince 15m"},
		{line: "whoelsesince soon", err: "whoelsesince needs a number of seconds, for example: whoelsesince 15m"},
		{line: "whoelsesince -5", err: "whoelsesince needs a number of seconds, for example: whoelsesince 15m"},
		{line: "whoelsesince 0", err: "whoelsesince needs a number of seconds, for example: whoelsesince 15m"},
		{line: "whoelsesince 60 60", err: "whoelsesince needs a number of seconds, for example: whoelsesince 15m"},
		{line: "block bob", want: command{verb: "block", user: "bob"}},
		{line: "block bob carol", err: "block needs one user, for example: block bob"},
		{line: "unblock", err: "unblock needs one user, for example: unblock bob"},
		{line: "logout", want: command{verb: "logout"}},
		{line: "logout now", err: "logout stands alone: no other words belong to it"},
		{line: "mesage bob hi", err: `no command "mesage". Did you mean: message bob hi`},
		{line: "/blokc bob", err: `no command "blokc". Did you mean: block bob`},
		{line: "who", err: `no command "who". Did you mean: whoelse`},
		{line: "hello there", err: `no command "hello". Type help for the list`},
		{line: "\x1b[2J", err: `no command "` + "\uFFFD" + `[2J". Type help for the list`},
	} {
		got, err := parse(c.line)
		if c.err != "" {
			if err == nil || err.Error() != c.err {
				t.Errorf("parse(%q): error %v, want %s", c.line, err, c.err)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("parse(%q) = %+v, %v, want %+v", c.line, got, err, c.want)
		}
	}
}

func TestNearest(t *testing.T) {
	users := []string{"bob", "carol", "dave", "al"}
	for word, want := range map[string]string{
		"bbo": "bob", "bo": "bob", "carl": "carol", "caorl": "carol", "dav": "dave", "zoe": "", "x": "", "bobby": "", "": "",
		strings.Repeat("a", 10000): "",
	} {
		if got := nearest(word, users); got != want {
			t.Errorf("nearest(%.20q) = %q, want %q", word, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range verbs {
		f.Add(v.example)
	}
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parse(line)
		if err == nil && findVerb(c.verb) == nil {
			t.Fatalf("parse(%q) = %+v", line, c)
		}
	})
}
