package words_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"parley/xmpp/words"
)

func TestParse(t *testing.T) {
	for line, want := range map[string]words.Line{
		"message bob hi":              {Verb: "message", User: "bob", Text: "hi"},
		"MESSAGE Bob Hi There":        {Verb: "message", User: "Bob", Text: "Hi There"},
		"/message\tbob \t two  words": {Verb: "message", User: "bob", Text: "two  words"},
		"message bob one\n two\r\nx ": {Verb: "message", User: "bob", Text: "one\n two\r\nx"},
		"broadcast lunch at 1":        {Verb: "broadcast", Text: "lunch at 1"},
		"  WhoElse\n":                 {Verb: "whoelse"},
		"whoelsesince 15 m":           {Verb: "whoelsesince", Text: "15 m"}, // refused where times are read
		"Block bob":                   {Verb: "block", User: "bob"},
		"unblock bob ":                {Verb: "unblock", User: "bob"},
		"logout":                      {Verb: "logout"},
	} {
		if got, err := words.Parse(line, words.Verbs()); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", line, got, err)
		}
	}
	for _, line := range []string{"message", "message bob ", "broadcast", "whoelse bob", "whoelsesince", "block", "block a b", "logout now"} {
		var misuse *words.MisuseError
		if got, err := words.Parse(line, words.Verbs()); !errors.As(err, &misuse) || got != (words.Line{}) {
			t.Errorf("%q: got %+v, %v", line, got, err)
		}
	}
	for line, near := range map[string]string{"": "", "/": "", "hello there": "", "mesage bob hi": "message", "WHOELS": "whoelse", "hlep": "help", "who": "whoelse"} {
		var unknown *words.UnknownError
		if got, err := words.Parse(line, words.Verbs()); !errors.As(err, &unknown) || unknown.Near != near || got != (words.Line{}) {
			t.Errorf("%q: got %+v, %v", line, got, err)
		}
	}
}

func TestNearest(t *testing.T) {
	users := []string{"bob", "carol", "dave", "al"}
	for word, want := range map[string]string{
		"bbo": "bob", "bo": "bob", "carl": "carol", "caorl": "carol", "dav": "dave", "zoe": "", "x": "", "bobby": "", "": "",
		strings.Repeat("a", 10000): "",
	} {
		if got := words.Nearest(word, users); got != want {
			t.Errorf("words.Nearest(%.20q) = %q, want %q", word, got, want)
		}
	}
}

func TestNearestVerb(t *testing.T) {
	names := []string{"message", "broadcast", "whoelse", "whoelsesince", "block", "unblock", "help"}
	for word, want := range map[string]string{
		"mesage": "message", "messgae": "message", "mesagge": "message", "brodcast": "broadcast", "whoels": "whoelse", "whoelsesinc": "whoelsesince",
		"blok": "block", "blcok": "block", "unblok": "unblock", "unblcok": "unblock", "hlep": "help", "halp": "help",
		"hello": "", "ls": "", "": "", "who": "whoelse", "xxxxxxxx": "", "h": "", "massages": "message", "blöck": "block",
		strings.Repeat("message", 1000): "",
	} {
		if got := words.Nearest(word, names); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	if got := words.Nearest("bbo", []string{"carol", "bob", "bo"}); got != "bob" {
		t.Errorf("got %q", got)
	}
	if got := words.Nearest("a", []string{"b", "c"}); got != "" {
		t.Errorf("one letter for another: %q", got)
	}
}

func TestSince(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"60": time.Minute, " 15m ": 15 * time.Minute, "2H": 2 * time.Hour, "3d": 72 * time.Hour, "1s": time.Second, "3650d": words.MaxSince,
	} {
		if got, err := words.Since(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]error{
		"": words.ErrNoTime, "soon": words.ErrNoTime, "-5": words.ErrNoTime, "5 5": words.ErrNoTime, "1.5h": words.ErrNoTime, "15mm": words.ErrNoTime, "٣": words.ErrNoTime,
		"0": words.ErrTooShort, "0d": words.ErrTooShort, "3651d": words.ErrTooLong, strings.Repeat("9", 40): words.ErrTooLong,
	} {
		if _, err := words.Since(text); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzParse: whatever is typed, the answer is a line that makes sense or one of the two errors.
func FuzzParse(f *testing.F) {
	for _, v := range words.Verbs() {
		f.Add(v.Example)
	}
	f.Add("\u202e\x1b[2J")
	f.Add("message \xff \xfe")
	f.Fuzz(func(t *testing.T, line string) {
		l, err := words.Parse(line, words.Verbs())
		var unknown *words.UnknownError
		var misuse *words.MisuseError
		switch {
		case err != nil && (!errors.As(err, &unknown) && !errors.As(err, &misuse) || l != (words.Line{})):
			t.Errorf("%q: %+v, %v", line, l, err)
		case err == nil && l.Verb == "":
			t.Errorf("%q: no verb", line)
		case strings.ContainsAny(l.User, " \t\r\n"):
			t.Errorf("%q: the user is %q", line, l.User)
		}
	})
}
