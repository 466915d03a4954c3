package tui

import (
	"testing"

	"parley/xmpp/words"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		line string
		want words.Line
		err  string
	}{
		{line: "message bob hi", want: words.Line{Verb: "message", User: "bob", Text: "hi"}},
		{line: "  /message bob  hi  there ", want: words.Line{Verb: "message", User: "bob", Text: "hi  there"}},
		{line: "MESSAGE bob logout", want: words.Line{Verb: "message", User: "bob", Text: "logout"}},
		{line: "message bob one\ntwo", want: words.Line{Verb: "message", User: "bob", Text: "one\ntwo"}},
		{line: "message bob", err: "message needs a user and a text, for example: message bob hi"},
		{line: "message", err: "message needs a user and a text, for example: message bob hi"},
		{line: "broadcast lunch in 5", want: words.Line{Verb: "broadcast", Text: "lunch in 5"}},
		{line: "broadcast ", err: "broadcast needs a text, for example: broadcast lunch in 5 minutes"},
		{line: "whoelse", want: words.Line{Verb: "whoelse"}},
		{line: "whoelse 60", err: "whoelse stands alone: nothing else belongs to it"},
		{line: "whoelsesince 60", want: words.Line{Verb: "whoelsesince", Text: "60"}},
		{line: "whoelsesince 15m", want: words.Line{Verb: "whoelsesince", Text: "15m"}},
		{line: "whoelsesince", err: "whoelsesince needs a number of seconds, for example: whoelsesince 3600"},
		{line: "whoelsesince soon", err: "whoelsesince needs a number of seconds, for example: whoelsesince 3600"},
		{line: "whoelsesince -5", err: "whoelsesince needs a number of seconds, for example: whoelsesince 3600"},
		{line: "whoelsesince 0", err: "whoelsesince needs a number of seconds, for example: whoelsesince 3600"},
		{line: "whoelsesince 60 60", err: "whoelsesince needs a number of seconds, for example: whoelsesince 3600"},
		{line: "block bob", want: words.Line{Verb: "block", User: "bob"}},
		{line: "block bob carol", err: "block needs one user, for example: block bob"},
		{line: "unblock", err: "unblock needs one user, for example: unblock bob"},
		{line: "logout", want: words.Line{Verb: "logout"}},
		{line: "logout now", err: "logout stands alone: nothing else belongs to it"},
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
