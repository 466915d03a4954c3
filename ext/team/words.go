package team

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Words are a line that somebody typed to the server's contact, understood.
type Words struct {
	Verb string // message, broadcast, whoelse, whoelsesince, block, unblock or help
	User string // message, block, unblock: as typed
	Text string // message, broadcast: the text; whoelsesince: the time, as typed
}

// sentence is an error for the person who typed the line, as it is said to him.
type sentence string

func (s sentence) Error() string { return string(s) }

// verb is one of the functions.
type verb struct {
	name    string
	usage   string // what follows the name
	about   string
	needs   string // what is said when it does not follow
	example string
}

// verbs are the functions in the order of help.
func verbs() []verb {
	return []verb{
		{"message", "<user> <text>", "write to one person (kept if offline)", "needs a user and a text", "message bob hi"},
		{"broadcast", "<text>", "write to everyone online", "needs a text", "broadcast lunch in 5 minutes"},
		{"whoelse", "", "who else is online", "", ""},
		{"whoelsesince", "<time>", "who was here: 60 (seconds), 15m, 2h, 3d", "needs a time", "whoelsesince 15m"},
		{"block", "<user>", "stop messages from a person", "needs one user", "block bob"},
		{"unblock", "<user>", "allow them again", "needs one user", "unblock bob"},
		{"help", "", "this list", "", ""},
	}
}

// ParseWords understands a line: a command word in any case, perhaps after a slash, and what belongs to it. The error
// is one sentence for the person who typed the line.
func ParseWords(line string) (Words, error) {
	word, rest := cut(strings.TrimPrefix(strings.TrimSpace(line), "/"))
	w := Words{Verb: strings.ToLower(word)}
	var found *verb
	for _, v := range verbs() {
		if v.name == w.Verb {
			found = &v
		}
	}
	if found == nil {
		return Words{}, unknownCommand(word, rest)
	}
	ok := true
	switch found.usage {
	case "":
		ok = rest == ""
	case "<user> <text>":
		w.User, w.Text = cut(rest)
		ok = w.User != "" && w.Text != ""
	case "<user>":
		var more string
		w.User, more = cut(rest)
		ok = w.User != "" && more == ""
	default:
		w.Text = rest
		ok = rest != ""
	}
	if !ok {
		return Words{}, found.misused()
	}
	return w, nil
}

// cut splits off the first word; the rest begins with its next word and may have several lines.
func cut(s string) (word, rest string) {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[:i], strings.TrimSpace(s[i:])
	}
	return s, ""
}

func (v *verb) misused() error {
	if v.usage == "" {
		return sentence(fmt.Sprintf("%s stands alone: nothing else belongs to it.", v.name))
	}
	return sentence(fmt.Sprintf("%s %s, for example: %s", v.name, v.needs, v.example))
}

// unknownCommand suggests the same line with the nearest command in it.
func unknownCommand(word, rest string) error {
	var names []string
	for _, v := range verbs() {
		names = append(names, v.name)
	}
	near := nearest(strings.ToLower(word), names)
	if near == "" {
		return sentence(fmt.Sprintf("There is no command %s. Write help for the list.", shown(word)))
	}
	if rest = shorten(rest); rest != "" {
		near += " " + rest
	}
	return sentence(fmt.Sprintf("There is no command %s. Did you mean: %s", shown(word), near))
}

// maxShown is how many characters of what somebody typed are said back.
const maxShown = 40

// shown is a word in quotes, with whatever could disturb a screen made visible.
func shown(word string) string { return strconv.Quote(shorten(word)) }

// shorten is at most the beginning of s, in one line without anything that could disturb a screen.
func shorten(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n == maxShown {
			b.WriteString("…")
			break
		}
		n++
		switch {
		case r == '\n', r == '\r', r == '\t':
			b.WriteByte(' ')
		case !strconv.IsPrint(r) || r == utf8.RuneError:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// help is the list of the functions that are on.
func help(on func(verb string) bool) string {
	var b strings.Builder
	b.WriteString("Write to me:")
	for _, v := range verbs() {
		if on(v.name) {
			fmt.Fprintf(&b, "\n%s – %s", strings.TrimSpace(v.name+" "+v.usage), v.about)
		}
	}
	return b.String()
}
