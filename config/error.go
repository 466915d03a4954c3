package config

import "strings"

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
		if n := slips(strings.ToLower(word), strings.ToLower(candidate)); n < bestSlips {
			best, bestSlips = candidate, n
		}
	}
	return best
}

// slips counts the insertions, deletions, replacements and swaps of neighbours between two words (restricted
// Damerau-Levenshtein distance).
func slips(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}
