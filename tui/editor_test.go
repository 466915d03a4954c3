package tui

import (
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

func TestEditor(t *testing.T) {
	w := width{}
	var e editor
	for _, s := range []string{"m", "essage ", "bób", "e", "\u0301", " 👨\u200d👩\u200d👧", "日"} {
		e.insert(w, s)
	}
	const all = "message bóbe\u0301 👨\u200d👩\u200d👧日"
	if e.text != all || e.at != len(all) {
		t.Fatalf("%+v", e)
	}
	e.erase(w, -1, false)
	e.erase(w, -1, false)
	if e.text != "message bóbe\u0301 " {
		t.Errorf("after two steps back %q", e.text)
	}
	e.erase(w, -1, true)
	if e.text != "message " {
		t.Errorf("after a word back %q", e.text)
	}
	e.move(w, -1, true)
	e.insert(w, "x ")
	e.move(w, 1, true)
	e.erase(w, 1, false)
	if e.text != "x message" || e.at != len(e.text) {
		t.Errorf("%+v", e)
	}
	e.move(w, 1, false)
	e.move(w, -100, false)
	e.at = 0
	e.erase(w, -1, false)
	e.erase(w, 1, true)
	if e.text != " message" || e.at != 0 {
		t.Errorf("%+v", e)
	}
	e.insert(w, strings.Repeat("x", maxTyped))
	if len(e.text) > maxTyped {
		t.Error("the line grows without bounds")
	}
}

func TestLayout(t *testing.T) {
	for _, c := range []struct {
		text string
		at   int
		rows string
		x, y int
	}{
		{"", 0, "> ", 2, 0},
		{"hi", 2, "> hi", 4, 0},
		{"hi", 0, "> hi", 2, 0},
		{"12345678", 8, "> 12345678|", 0, 1},
		{"123456789", 9, "> 12345678|9", 1, 1},
		{"日本語日本", 15, "> 日本語日|本", 2, 1},
		{"a\nb", 3, "> a↵|b", 1, 1},
		{"a\n", 2, "> a↵|", 0, 1},
		{strings.Repeat("x", 100), 0, "> xxxxxxxx|xxxxxxxxxx|xxxxxxxxxx|xxxxxxxxxx|xxxxxxxxxx|xxxxxxxxxx", 2, 0},
		{strings.Repeat("x", 100), 100, strings.Repeat("xxxxxxxxxx|", 5) + "xx", 2, 5},
	} {
		e := editor{c.text, c.at}
		rows, x, y := e.layout(width{}, "> ", 10)
		if strings.Join(rows, "|") != c.rows || x != c.x || y != c.y {
			t.Errorf("%q at %d: %q, cursor %d,%d", c.text, c.at, rows, x, y)
		}
	}
}

func TestWrap(t *testing.T) {
	w := width{}
	for _, c := range []struct {
		head, text string
		cols       int
		want       string
	}{
		{"14:05 ", "bob: hello", 40, "14:05 bob: hello"},
		{"14:05 ", "bob: one two three four five", 20, "14:05 bob: one two|      three four|      five"},
		{"14:05 ", "bob: a\n\nb", 40, "14:05 bob: a| |      b"},
		{"14:05 ", "bob: " + strings.Repeat("x", 30), 20, "14:05 bob: xxxxxxxxx|      xxxxxxxxxxxxxx|      xxxxxxx"},
		{"  ", "", 20, " "},
		{"", "", 20, " "},
		{strings.Repeat("n", 25) + ": ", "hi", 20, "nnnnnnnnnnnnnnnnnnnn|nnnnn:|          hi"},
		{"14:05 ", "one-two-three-four-five", 20, "14:05 one-two-three-|      four-five"},
	} {
		if got := strings.Join(w.wrap(c.head, c.text, w.of(c.head), c.cols), "|"); got != c.want {
			t.Errorf("wrap(%q, %q, %d) = %q, want %q", c.head, c.text, c.cols, got, c.want)
		}
	}
}

// Nothing is lost and nothing is wider than the terminal, whatever is written, in both ways of counting.
func FuzzWrap(f *testing.F) {
	for _, s := range []string{"hello world", "日本語 テスト", "🇫🇷🇯🇵🇵", "👨\u200d👩\u200d👧 along", "नमस्ते दुनिया", "e\u0301e\u0301", "☎\ufe0f", "a-b-c-d-e-f-g", "   "} {
		f.Add(s, 20, true)
		f.Add(s, 12, false)
	}
	f.Fuzz(func(t *testing.T, s string, cols int, graphemes bool) {
		cols = min(max(cols, 10), 200)
		w := width{}
		if graphemes {
			w.method = ansi.GraphemeWidth
		}
		clean := Clean(s)
		rows := w.wrap("14:05 ", clean, 6, cols)
		for _, r := range rows {
			if w.of(r) > cols || strings.Contains(r, "\n") || r == "" {
				t.Fatalf("row %q has %d cells of %d", r, w.of(r), cols)
			}
		}
		keep := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if got := keep(strings.Join(rows, " ")); got != keep("14:05 "+clean) {
			t.Fatalf("%q in %d cells lost text: %q", clean, cols, rows)
		}
		e := editor{text: clean, at: len(clean)}
		shown, x, y := e.layout(w, "> ", cols)
		if x > cols || y >= len(shown) || slices.ContainsFunc(shown, func(r string) bool { return w.of(r) > cols }) {
			t.Fatalf("%q: %q, cursor %d,%d", clean, shown, x, y)
		}
	})
}

func TestHistory(t *testing.T) {
	var h history
	if _, ok := h.step(-1, ""); ok {
		t.Error("there is something before the beginning")
	}
	for _, s := range []string{"a", "b", "b"} {
		h.add(s)
	}
	var got []string
	for _, n := range []int{-1, -1, -1, 1, 1, 1} {
		s, ok := h.step(n, "draft")
		if !ok {
			s = "-"
		}
		got = append(got, s)
	}
	if strings.Join(got, " ") != "b a - b draft -" {
		t.Errorf("%q", got)
	}
	for range 1000 {
		h.add("x")
		h.add("y")
	}
	if len(h.lines) != maxHistory {
		t.Errorf("%d lines", len(h.lines))
	}
}
