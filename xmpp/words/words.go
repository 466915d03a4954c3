// Package words understands the lines that people type: to the terminal client, and as chat to a server's own address
// (docs/protocol.md, "The contact Parley"). Both sides of the wire have the same words, and each says in its own way what
// is wrong with a line.
//
//	message bob hi   →   Line{Verb: "message", User: "bob", Text: "hi"}
package words

import (
	"fmt"
	"strings"

	"github.com/hbollon/go-edlib"
)

// Line is a line, understood.
type Line struct {
	Verb string // the Name of one of the verbs
	User string // message, block, unblock: as typed
	Text string // message, broadcast: the text; whoelsesince: the time, as typed
}

// Verb is one of the functions.
type Verb struct {
	Name    string
	Usage   string // what follows the name: "", or of <user>, <text> and <seconds>
	About   string // for the list of help
	Needs   string // what is said when it does not follow
	Example string
}

// Verbs are the functions in the order of help.
func Verbs() []Verb {
	return []Verb{
		{"message", "<user> <text>", "write to one person (kept if offline)", "needs a user and a text", "message bob hi"},
		{"broadcast", "<text>", "write to everyone online", "needs a text", "broadcast lunch in 5 minutes"},
		{"whoelse", "", "who else is online", "stands alone", "whoelse"},
		{"whoelsesince", "<seconds>", "who was here in the last seconds (or 15m, 2h, 3d)", "needs a number of seconds", "whoelsesince 3600"},
		{"block", "<user>", "stop messages from a person", "needs one user", "block bob"},
		{"unblock", "<user>", "allow them again", "needs one user", "unblock bob"},
		{"logout", "", "leave", "stands alone", "logout"},
		{"help", "", "this list", "stands alone", "help"},
	}
}

// UnknownError says that a line begins with none of the verbs.
type UnknownError struct {
	Word string // as typed
	Near string // the verb that was probably meant, "" if none is near
	Rest string // of the line
}

// Error is for logs; who shows it to a person cleans the word first.
func (e *UnknownError) Error() string { return fmt.Sprintf("words: no command %q", e.Word) }

// MisuseError says that what follows a verb is not what belongs to it.
type MisuseError struct{ Verb Verb }

// Error is a sentence for the person who typed the line; nothing of the line is in it.
func (e *MisuseError) Error() string {
	if e.Verb.Usage == "" {
		return e.Verb.Name + " stands alone: nothing else belongs to it"
	}
	return e.Verb.Name + " " + e.Verb.Needs + ", for example: " + e.Verb.Example
}

// Parse understands a line: one of the verbs in any case, perhaps after a slash, and what belongs to it. Errors:
// *UnknownError, *MisuseError; the Line is empty then.
func Parse(line string, verbs []Verb) (Line, error) {
	word, rest := cut(strings.TrimPrefix(strings.TrimSpace(line), "/"))
	l := Line{Verb: strings.ToLower(word)}
	var names []string
	for _, v := range verbs {
		if v.Name == l.Verb {
			if !l.follow(v.Usage, rest) {
				return Line{}, &MisuseError{v}
			}
			return l, nil
		}
		names = append(names, v.Name)
	}
	return Line{}, &UnknownError{Word: word, Near: Nearest(l.Verb, names), Rest: rest}
}

// follow takes what follows the verb, and tells whether it is what belongs to it.
func (l *Line) follow(usage, rest string) bool {
	switch usage {
	case "":
		return rest == ""
	case "<user> <text>":
		l.User, l.Text = cut(rest)
		return l.User != "" && l.Text != ""
	case "<user>":
		more := ""
		l.User, more = cut(rest)
		return l.User != "" && more == ""
	}
	l.Text = rest
	return rest != ""
}

// cut splits off the first word; the rest begins with its next word and may have several lines.
func cut(s string) (word, rest string) {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[:i], strings.TrimSpace(s[i:])
	}
	return s, ""
}

// Nearest is the candidate that word was most probably meant to be: the one with the fewest slips, of which one is
// forgiven, and two in words of six letters and more; else the first that begins with the word; else "". A slip is a
// letter too many, one too few, a wrong one, or two that changed places.
func Nearest(word string, candidates []string) string {
	best, allowed := "", 1
	if len([]rune(word)) >= 6 {
		allowed = 2
	}
	for _, c := range candidates {
		if len(c) > 4*(len(word)+allowed) || len(word) > 4*(len(c)+allowed) {
			continue // too long or too short in any case
		}
		if d := edlib.OSADamerauLevenshteinDistance(word, c); d <= allowed && d < len([]rune(c)) {
			best, allowed = c, d-1
		}
	}
	if best != "" || len(word) < 3 {
		return best
	}
	for _, c := range candidates {
		if strings.HasPrefix(c, word) {
			return c
		}
	}
	return ""
}
