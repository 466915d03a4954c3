package team_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"parley/ext/team"
	"parley/xmpp/words"
)

func TestParseWords(t *testing.T) {
	for line, want := range map[string]words.Line{
		"message bob hi":              {Verb: "message", User: "bob", Text: "hi"},
		"MESSAGE Bob Hi There":        {Verb: "message", User: "Bob", Text: "Hi There"},
		"/message\tbob \t two  words": {Verb: "message", User: "bob", Text: "two  words"},
		"message bob one\n two\r\nx ": {Verb: "message", User: "bob", Text: "one\n two\r\nx"},
		"message bob@here hi":         {Verb: "message", User: "bob@here", Text: "hi"},
		"broadcast lunch at 1":        {Verb: "broadcast", Text: "lunch at 1"},
		"  WhoElse\n":                 {Verb: "whoelse"},
		"/whoelse":                    {Verb: "whoelse"},
		"whoelsesince 15m":            {Verb: "whoelsesince", Text: "15m"},
		"whoelsesince 15 m":           {Verb: "whoelsesince", Text: "15 m"}, // refused where times are read
		"Block bob":                   {Verb: "block", User: "bob"},
		"unblock bob ":                {Verb: "unblock", User: "bob"},
		"help":                        {Verb: "help"},
	} {
		if got, err := team.ParseWords(line); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", line, got, err)
		}
	}
}

func TestParseWordsErrors(t *testing.T) {
	for line, want := range map[string]string{
		"":                     `There is no command "". Write help for the list.`,
		"/":                    `There is no command "". Write help for the list.`,
		"hello there":          `There is no command "hello". Write help for the list.`,
		"mesage bob hi":        `There is no command "mesage". Did you mean: message bob hi`,
		"WHOELS":               `There is no command "WHOELS". Did you mean: whoelse`,
		"blok bob":             `There is no command "blok". Did you mean: block bob`,
		"brodcast a\nb":        `There is no command "brodcast". Did you mean: broadcast a b`,
		"hlep":                 `There is no command "hlep". Did you mean: help`,
		"message":              "message needs a user and a text, for example: message bob hi",
		"message bob":          "message needs a user and a text, for example: message bob hi",
		"message bob   ":       "message needs a user and a text, for example: message bob hi",
		"broadcast":            "broadcast needs a text, for example: broadcast lunch in 5 minutes",
		"whoelse bob":          "whoelse stands alone: nothing else belongs to it.",
		"help me":              "help stands alone: nothing else belongs to it.",
		"whoelsesince":         "whoelsesince needs a number of seconds, for example: whoelsesince 3600",
		"block":                "block needs one user, for example: block bob",
		"block bob carol":      "block needs one user, for example: block bob",
		"unblock bob carol":    "unblock needs one user, for example: unblock bob",
		"\u202elleh \x1b[2J":   `There is no command "?lleh". Write help for the list.`,
		"mesage \u202e\x1b[2J": `There is no command "mesage". Did you mean: message ??[2J`,
	} {
		if got, err := team.ParseWords(line); err == nil || err.Error() != want {
			t.Errorf("%q: got %+v, %v", line, got, err)
		}
	}
}

// FuzzWords: whatever is typed, the answer is either words that make sense or one short, clean line.
func FuzzWords(f *testing.F) {
	for _, s := range []string{
		"message bob hi", "broadcast x", "whoelse", "whoelsesince 15m", "block bob", "unblock bob", "help", "", "/", "mesage bob\nhi",
		"\u202e\x1b[2J", "message \xff \xfe", strings.Repeat("x ", 1000), "MESSAGE\u00a0bob hi", "whoelse\u2028x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		w, err := team.ParseWords(line)
		if err != nil {
			text := err.Error()
			if w != (words.Line{}) {
				t.Errorf("%q: words beside an error: %+v", line, w)
			}
			if text == "" || utf8.RuneCountInString(text) > 400 || !utf8.ValidString(text) {
				t.Errorf("%q: %q", line, text)
			}
			for _, r := range text {
				if !unicode.IsPrint(r) && r != '…' {
					t.Errorf("%q: %q has %q", line, text, r)
				}
			}
			return
		}
		if w.Verb == "" || w.Verb != strings.ToLower(w.Verb) || w.User != strings.TrimSpace(w.User) || w.Text != strings.TrimSpace(w.Text) {
			t.Errorf("%q: %+v", line, w)
		}
		if strings.ContainsAny(w.User, " \t\r\n") {
			t.Errorf("%q: user %q", line, w.User)
		}
		again, err := team.ParseWords(strings.TrimSpace(w.Verb + " " + strings.TrimSpace(w.User+" "+w.Text)))
		if err != nil || again != w {
			t.Errorf("%q: %+v becomes %+v, %v", line, w, again, err)
		}
	})
}
