package tui

import (
	"slices"
	"strings"

	"parley/xmpp/words"
)

// completion is what Tab offers: the candidates for the word before the cursor, and which one stands there now.
type completion struct {
	before     string // the line up to that word
	typed      string
	after      string
	candidates []string
	at         int // -1: as typed
}

// complete finds candidates for the word that ends at the cursor: a command in first place, a name after the commands
// that take one.
func complete(e editor, names []string) *completion {
	head := e.text[:e.at]
	i := strings.LastIndexAny(head, " \t\n") + 1
	c := &completion{before: head[:i], typed: head[i:], after: e.text[e.at:], at: -1}
	var from []string
	switch before := strings.Fields(strings.TrimPrefix(c.before, "/")); {
	case len(before) == 0:
		slash := ""
		if strings.HasPrefix(c.typed, "/") {
			slash = "/"
		}
		for _, v := range words.Verbs() {
			from = append(from, slash+v.Name)
		}
	case len(before) == 1 && slices.Contains([]string{"message", "block", "unblock"}, before[0]):
		from = names
	}
	for _, f := range from {
		if strings.HasPrefix(f, c.typed) {
			c.candidates = append(c.candidates, f)
		}
	}
	if len(c.candidates) == 0 {
		return nil
	}
	return c
}

// step goes to the next candidate (1) or the one before (-1) and returns the line with it.
func (c *completion) step(n int) editor {
	c.at += n
	switch {
	case c.at < 0:
		c.at = len(c.candidates) - 1
	case c.at >= len(c.candidates):
		c.at = 0
	}
	word := c.candidates[c.at]
	if len(c.candidates) == 1 && c.after == "" {
		word += " "
	}
	return editor{text: c.before + word + c.after, at: len(c.before + word)}
}

// undo is the line as it was typed.
func (c *completion) undo() editor {
	return editor{text: c.before + c.typed + c.after, at: len(c.before + c.typed)}
}
