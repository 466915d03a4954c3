package tui

import (
	"fmt"
	"strings"

	"github.com/hbollon/go-edlib"
)

// command is one line that somebody typed, understood.
type command struct {
	verb string // one of verbs
	user string // message, block, unblock: as typed
	text string // message, broadcast: the text; whoelsesince: the time
}

// verb is one of the functions.
type verb struct {
	name    string
	usage   string // what follows the name in the list of help
	about   string
	example string
	needs   string // why a line with a wrong number of words is refused
}

// verbs are the functions in the order of help.
var verbs = []verb{
	{"message", "<user> <text>", "write to one person (kept if offline)", "message bob hi", "needs a user and a text"},
	{"broadcast", "<text>", "write to everyone online", "broadcast lunch in 5 minutes", "needs a text"},
	{"whoelse", "", "who else is online", "whoelse", "stands alone"},
	{"whoelsesince", "<time>", "who was here: 60 (seconds), 15m, 2h, 3d", "whoelsesince 15m", "needs a number of seconds"},
	{"block", "<user>", "stop messages from a person", "block bob", "needs one user"},
	{"unblock", "<user>", "allow them again", "unblock bob", "needs one user"},
	{"logout", "", "leave", "logout", "stands alone"},
	{"help", "", "this list", "help", "stands alone"},
}

// parse reads a line that is not blank. The error is a sentence for the person who typed it, without "error: ".
func parse(line string) (command, error) {
	line = strings.TrimSpace(line)
	word, rest := cut(strings.TrimPrefix(line, "/"))
	c := command{verb: strings.ToLower(word)}
	v := findVerb(c.verb)
	if v == nil {
		return c, unknownCommand(word, rest)
	}
	switch c.verb {
	case "message":
		c.user, c.text = cut(rest)
		if c.user == "" || c.text == "" {
			return c, v.misused()
		}
	case "broadcast":
		if c.text = rest; rest == "" {
			return c, v.misused()
		}
	case "whoelsesince":
		if c.text = rest; !isTime(rest) {
			return c, v.misused()
		}
	case "block", "unblock":
		if c.user = rest; rest == "" || strings.ContainsAny(rest, " \t") {
			return c, v.misused()
		}
	default:
		if rest != "" {
			return c, v.misused()
		}
	}
	return c, nil
}

// cut splits off the first word; the rest begins with its next word.
func cut(s string) (word, rest string) {
	s = strings.TrimLeft(s, " \t")
	i := strings.IndexAny(s, " \t\n")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimSpace(s[i:])
}

func findVerb(name string) *verb {
	for i := range verbs {
		if verbs[i].name == name {
			return &verbs[i]
		}
	}
	return nil
}

func (v *verb) misused() error {
	if v.usage == "" {
		return fmt.Errorf("%s %s: no other words belong to it", v.name, v.needs)
	}
	return fmt.Errorf("%s %s, for example: %s", v.name, v.needs, v.example)
}

// unknownCommand suggests the same line with the nearest command in it.
func unknownCommand(word, rest string) error {
	shown := OneLine(word)
	var names []string
	for i := range verbs {
		names = append(names, verbs[i].name)
	}
	near := nearest(strings.ToLower(word), names)
	if near == "" {
		return fmt.Errorf("no command %q. Type help for the list", shown)
	}
	return fmt.Errorf("no command %q. Did you mean: %s", shown, strings.TrimSpace(near+" "+OneLine(rest)))
}

// isTime tells whether s is a length of time as the server takes it: seconds, or a number with s, m, h or d.
func isTime(s string) bool {
	digits := strings.TrimRight(s, "smhd")
	if len(s)-len(digits) > 1 || digits == "" || len(digits) > 9 || strings.Trim(digits, "0123456789") != "" {
		return false
	}
	return strings.Trim(digits, "0") != ""
}

// nearest is the candidate that word was probably meant to be, "" when none is close: at most one change in short
// words and two in longer ones, where a change is a letter too many, too few, another, or swapped with its neighbour.
func nearest(word string, candidates []string) string {
	best, least := "", 3
	if len(word) < 6 {
		least = 2
	}
	for _, c := range candidates {
		if len(word) < 3 && len(c) < 3 {
			continue
		}
		if len(word) > 64 || len(c) > 64 {
			continue
		}
		if d := edlib.OSADamerauLevenshteinDistance(word, c); d < least && d < len([]rune(c)) {
			best, least = c, d
		}
	}
	if best == "" && len(word) >= 3 {
		for _, c := range candidates {
			if strings.HasPrefix(c, word) {
				return c
			}
		}
	}
	return best
}

// helpLines is the list of functions.
func helpLines() []string {
	var lines []string
	for _, v := range verbs {
		lines = append(lines, fmt.Sprintf("  %-25s %s", strings.TrimSpace(v.name+" "+v.usage), v.about))
	}
	return lines
}
