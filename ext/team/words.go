package team

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"parley/xmpp/words"
)

// verbs are the functions that the contact has: one does not log out of a conversation.
func verbs() []words.Verb {
	return slices.DeleteFunc(words.Verbs(), func(v words.Verb) bool { return v.Name == "logout" })
}

// sentence is an error for the person who typed the line, as it is said to him.
type sentence string

func (s sentence) Error() string { return string(s) }

func sentencef(format string, args ...any) error { return sentence(fmt.Sprintf(format, args...)) }

// ParseWords understands a line that somebody typed to the contact. The error is one sentence for him.
func ParseWords(line string) (words.Line, error) {
	l, err := words.Parse(line, verbs())
	var unknown *words.UnknownError
	var misuse *words.MisuseError
	switch {
	case errors.As(err, &misuse) && misuse.Verb.Usage == "":
		return l, sentence(misuse.Error() + ".")
	case errors.As(err, &misuse):
		return l, misuse
	case !errors.As(err, &unknown):
		return l, err
	case unknown.Near == "":
		return l, sentencef("There is no command %s. Write help for the list.", shown(unknown.Word))
	}
	return l, sentencef("There is no command %s. Did you mean: %s", shown(unknown.Word), strings.TrimSpace(unknown.Near+" "+shorten(unknown.Rest)))
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
		if on(v.Name) {
			fmt.Fprintf(&b, "\n%s – %s", strings.TrimSpace(v.Name+" "+v.Usage), v.About)
		}
	}
	return b.String()
}
