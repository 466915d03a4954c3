package tui

import (
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// width is the one place that knows how many cells a text takes. Terminals count code points (wcwidth) until they say
// that they count what people see as one character (mode 2027); drawing and wrapping must follow the same rule, or
// text vanishes at the right edge.
type width struct{ method ansi.Method } // zero: WcWidth

// of is the number of cells of a text without line breaks.
func (w width) of(s string) int { return w.method.StringWidth(s) }

// clusters splits a text into what people see as one character each.
func (w width) clusters(s string) []string {
	var out []string
	for s != "" {
		c, _ := ansi.FirstGraphemeCluster(s, w.method)
		if c == "" {
			c = s[:1]
		}
		out = append(out, c)
		s = s[len(c):]
	}
	return out
}

// pieces are the clusters, and the code points of those that do not fit into room cells even alone.
func (w width) pieces(s string, room int) []string {
	var out []string
	for _, c := range w.clusters(s) {
		if w.of(c) <= room {
			out = append(out, c)
			continue
		}
		for _, r := range c {
			out = append(out, string(r))
		}
	}
	return out
}

// wrap lays a clean text out in rows of at most cols cells: head, then the text with its line breaks, every further
// row indented by as many cells as hang. It breaks at spaces, and inside words that are longer than a row. No row is
// empty. (ansi.Wrap makes rows that are too wide around hyphens, so this is our own.)
func (w width) wrap(head, text string, hang, cols int) []string {
	cols = max(cols, 10)
	hang = min(hang, cols/2)
	p := paper{w: w, cols: cols, indent: strings.Repeat(" ", hang), row: head}
	if w.of(head) > cols-4 { // a very long name: it has rows of its own
		p.row = ""
		p.cut(head, "")
		p.turn()
	}
	for i, part := range strings.Split(text, "\n") {
		if i > 0 {
			p.turn()
		}
		for word := range strings.SplitAfterSeq(part, " ") {
			p.word(word)
		}
	}
	p.rows = append(p.rows, trimRow(p.row))
	return p.rows
}

// paper is where wrap writes. The width of a row is always measured as a whole: characters join across words, too.
type paper struct {
	w      width
	cols   int
	indent string
	rows   []string
	row    string
}

// turn begins a new row.
func (p *paper) turn() {
	p.rows = append(p.rows, trimRow(p.row))
	p.row = p.indent
}

func (p *paper) fits(s string) bool { return p.w.of(p.row+s) <= p.cols }

// word writes a word with the space behind it, if there is one.
func (p *paper) word(s string) {
	core := strings.TrimSuffix(s, " ")
	switch {
	case p.fits(core):
		p.row += core
	case p.w.of(p.indent+core) <= p.cols:
		p.turn()
		p.row += core
	default:
		p.cut(core, p.indent)
	}
	if core != s && p.fits(" ") {
		p.row += " "
	}
}

// cut writes what is longer than a row.
func (p *paper) cut(s, indent string) {
	for _, c := range p.w.pieces(s, p.cols-len(indent)) {
		if !p.fits(c) && p.row != indent {
			p.turn()
			p.row = indent
		}
		p.row += c
	}
}

// trimRow leaves at least a space, because an empty row would not be printed.
func trimRow(s string) string {
	if s = strings.TrimRight(s, " "); s == "" {
		return " "
	}
	return s
}

// pad fills s up with spaces to n cells.
func (w width) pad(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-w.of(s)))
}
