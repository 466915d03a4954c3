package config

import (
	"strings"

	"github.com/hbollon/go-edlib"
)

// Error is a fault in the settings, in words for the person who gave them: what is wrong, why (may be empty) and
// what to do.
type Error struct {
	What, Why, Fix string
	Usage          bool // the fault is on the command line, not in the file or the environment
}

// Error returns the three parts on one line.
func (e *Error) Error() string {
	parts := []string{e.What}
	if e.Why != "" {
		parts = append(parts, e.Why)
	}
	if e.Fix != "" {
		parts = append(parts, e.Fix)
	}
	return strings.Join(parts, "; ")
}

// Nearest returns the word of the list that is most probably meant by the given one, or "" when none is near: at
// most one slip of the keyboard in three letters (but one in any word), where swapped neighbours are one slip.
func Nearest(word string, list []string) string {
	best, bestSlips := "", max(1, len([]rune(word))/3)+1
	for _, candidate := range list {
		if n := edlib.OSADamerauLevenshteinDistance(strings.ToLower(word), strings.ToLower(candidate)); n < bestSlips {
			best, bestSlips = candidate, n
		}
	}
	return best
}
