package tui

import (
	"errors"
	"fmt"
	"strings"

	"parley/xmpp/words"
)

// parse reads a line that is not blank. The error is a *complaint, without "error: ".
func parse(line string) (words.Line, error) {
	l, err := words.Parse(line, words.Verbs())
	var unknown *words.UnknownError
	switch {
	case errors.As(err, &unknown) && unknown.Near == "":
		return l, complain("unknown-command", "no command %q. Type help for the list", OneLine(unknown.Word))
	case errors.As(err, &unknown):
		return l, complain("unknown-command", "no command %q. Did you mean: %s", OneLine(unknown.Word), strings.TrimSpace(unknown.Near+" "+OneLine(unknown.Rest)))
	case err != nil:
		return l, complain("wrong-words", "%s", err)
	case l.Verb != "whoelsesince":
		return l, nil
	}
	if _, err := words.Since(l.Text); err != nil {
		return l, complain("wrong-words", "whoelsesince needs a number of seconds, for example: whoelsesince 3600")
	}
	return l, nil
}

// helpLines is the list of functions, for somebody who knows of help already.
func helpLines() []string {
	var lines []string
	for _, v := range words.Verbs() {
		if v.Name != "help" {
			lines = append(lines, fmt.Sprintf("  %-25s %s", strings.TrimSpace(v.Name+" "+v.Usage), v.About))
		}
	}
	return lines
}
