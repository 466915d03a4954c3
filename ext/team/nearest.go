package team

import "github.com/hbollon/go-edlib"

// nearest is the candidate that word was most probably meant to be, "" when none is near: one slip is forgiven, two in
// words of six letters and more. A slip is a letter too many, one too few, a wrong one, or two that changed places.
func nearest(word string, candidates []string) string {
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
	return best
}
