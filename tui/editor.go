package tui

import "strings"

// maxTyped bounds the line that is being typed, in bytes.
const maxTyped = 64 << 10

// editor is the line that is being typed: its text, which may hold line breaks from a paste, and where the cursor is.
type editor struct {
	text string
	at   int // byte offset, between two clusters
}

func (e *editor) set(s string) { e.text, e.at = s, len(s) }

// insert puts clean text at the cursor.
func (e *editor) insert(w width, s string) {
	if len(e.text)+len(s) > maxTyped {
		return
	}
	e.text = e.text[:e.at] + s + e.text[e.at:]
	e.at += len(s)
	// A combining mark joins the character before it, and what was inserted may join what follows.
	pos := 0
	for _, c := range w.clusters(e.text) {
		if pos >= e.at {
			break
		}
		pos += len(c)
	}
	e.at = pos
}

// move goes by clusters, or by words, to the left (n < 0) or to the right.
func (e *editor) move(w width, n int, words bool) { e.at = e.target(w, n, words) }

// erase removes what a move would pass over.
func (e *editor) erase(w width, n int, words bool) {
	to := e.target(w, n, words)
	from := e.at
	if to < from {
		from, to = to, from
	}
	e.text, e.at = e.text[:from]+e.text[to:], from
}

func (e *editor) target(w width, n int, words bool) int {
	if n < 0 {
		left := w.clusters(e.text[:e.at])
		k := len(left) - 1
		if words {
			for k >= 0 && blank(left[k]) {
				k--
			}
			for k >= 0 && !blank(left[k]) {
				k--
			}
			k++
		}
		return len(strings.Join(left[:max(k, 0)], ""))
	}
	right := w.clusters(e.text[e.at:])
	k := 1
	if words {
		for k = 0; k < len(right) && blank(right[k]); k++ {
		}
		for k < len(right) && !blank(right[k]) {
			k++
		}
	}
	return e.at + len(strings.Join(right[:min(k, len(right))], ""))
}

func blank(cluster string) bool { return strings.TrimSpace(cluster) == "" }

// maxPromptRows is how many rows of a long line are shown, those around the cursor.
const maxPromptRows = 6

// layout draws the line behind a prompt in rows of at most cols cells and says where the cursor is.
func (e *editor) layout(w width, prompt string, cols int) (rows []string, x, y int) {
	cols = max(cols, 4)
	row, used, pos := prompt, w.of(prompt), 0
	x = -1
	next := func() {
		rows = append(rows, row)
		row, used = "", 0
	}
	for _, c := range w.clusters(e.text) {
		shown, breaks := c, false
		if strings.Contains(c, "\n") {
			shown, breaks = "↵", true
		}
		for i, piece := range w.pieces(shown, cols) {
			if w.of(row+piece) > cols {
				next()
			}
			if i == 0 && pos == e.at {
				x, y = used, len(rows)
			}
			row += piece
			used = w.of(row)
		}
		pos += len(c)
		if breaks {
			next()
		}
	}
	if x < 0 {
		if used >= cols {
			next()
		}
		x, y = used, len(rows)
	}
	rows = append(rows, row)
	if len(rows) > maxPromptRows {
		top := min(max(0, y-maxPromptRows/2), len(rows)-maxPromptRows)
		rows, y = rows[top:top+maxPromptRows], y-top
	}
	return rows, x, y
}

// history is what was typed before; arrow-up brings it back.
type history struct {
	lines []string
	at    int    // len(lines): the line that is being typed
	draft string // that line, while an older one is shown
}

// maxHistory is how many lines are remembered.
const maxHistory = 500

func (h *history) add(line string) {
	if n := len(h.lines); n == 0 || h.lines[n-1] != line {
		h.lines = append(h.lines, line)
	}
	if len(h.lines) > maxHistory {
		h.lines = h.lines[1:]
	}
	h.at, h.draft = len(h.lines), ""
}

// step goes to an older (-1) or a younger (1) line; false when there is none.
func (h *history) step(n int, current string) (string, bool) {
	to := h.at + n
	if to < 0 || to > len(h.lines) {
		return "", false
	}
	if h.at == len(h.lines) {
		h.draft = current
	}
	if h.at = to; to == len(h.lines) {
		return h.draft, true
	}
	return h.lines[to], true
}
