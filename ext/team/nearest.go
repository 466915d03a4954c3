package team

// nearest is the candidate that word was most probably meant to be, "" when none is near: one slip is forgiven, two in
// words of six letters and more. A slip is a letter too many, one too few, a wrong one, or two that changed places.
func nearest(word string, candidates []string) string {
	w := []rune(word)
	allowed := 1
	if len(w) >= 6 {
		allowed = 2
	}
	best := ""
	for _, c := range candidates {
		if n := len(c); n > 4*(len(w)+allowed) || len(w) > n+allowed {
			continue // too long or too short in any case; most of a long list ends here
		}
		r := []rune(c)
		if d := slips(w, r, allowed); d <= allowed && d < len(r) {
			best, allowed = c, d-1
		}
	}
	return best
}

// slips counts the slips between two words, each letter taking part in one at most; more than limit counts as limit+1.
func slips(a, b []rune, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit || limit < 0 {
		return limit + 1
	}
	// Row i holds the slips between a[:i] and every b[:j].
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		least := limit + 1
		for j := 1; j <= len(b); j++ {
			d := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				d++
			}
			d = min(d, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
			least = min(least, d)
		}
		if least > limit && (i == 1 || minOf(rows[i-1]) > limit) {
			return limit + 1
		}
	}
	return rows[len(a)][len(b)]
}

func minOf(row []int) int {
	least := row[0]
	for _, d := range row {
		least = min(least, d)
	}
	return least
}
