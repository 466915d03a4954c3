package tui

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

func TestClean(t *testing.T) {
	const bad = "\uFFFD"
	for _, c := range []struct{ in, clean, line string }{
		{"hello", "hello", "hello"},
		{"", "", ""},
		{"a\nb", "a\nb", `a\nb`},
		{"a\r\nb\rc", "a\nb\nc", `a\nb\nc`},
		{`C:\new`, `C:\new`, `C:\\new`},
		{"a\\\nb", "a\\\nb", `a\\\nb`},
		{"tab\there", "tab here", "tab here"},
		{"\x1b[2J", bad + "[2J", bad + "[2J"},
		{"\u009b2J\u009dtitle\u0085", bad + "2J" + bad + "title" + bad, bad + "2J" + bad + "title" + bad},
		{"del\x7f bell\x07", "del" + bad + " bell" + bad, "del" + bad + " bell" + bad},
		{"\u202eexe.txt\u2066x\u2069", bad + "exe.txt" + bad + "x" + bad, bad + "exe.txt" + bad + "x" + bad},
		{"\u200e\u200f\u061c\u2028\u2029", strings.Repeat(bad, 5), strings.Repeat(bad, 5)},
		{"\U000E0067\U000E007F", bad + bad, bad + bad},
		{"\xff\xc3", bad + bad, bad + bad},
		{"café 日本語 שלום", "café 日本語 שלום", "café 日本語 שלום"},
		{"👨\u200d👩\u200d👧 ☎\ufe0f", "👨\u200d👩\u200d👧 ☎\ufe0f", "👨\u200d👩\u200d👧 ☎\ufe0f"},
		{"a" + strings.Repeat("\u0301", 50), "a" + strings.Repeat("\u0301", 8), "a" + strings.Repeat("\u0301", 8)},
	} {
		if got := Clean(c.in); got != c.clean {
			t.Errorf("Clean(%q) = %q, want %q", c.in, got, c.clean)
		}
		if got := OneLine(c.in); got != c.line {
			t.Errorf("OneLine(%q) = %q, want %q", c.in, got, c.line)
		}
	}
}

// FuzzSanitize: nothing that a parser of terminal sequences takes for a command survives, and one line stays one
// line from which the text can be had back.
func FuzzSanitize(f *testing.F) {
	for _, s := range []string{"hi", "\x1b]0;title\x07", "\u009b31m", "a\r\nb", `\n`, "\\\n", "\u202e", "e\u0301", "\xf0\x9f", "\x1bP$q\x1b\\", "\U000E0041"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		clean := Clean(s)
		if !utf8.ValidString(clean) || Clean(clean) != clean {
			t.Fatalf("Clean(%q) = %q is not stable", s, clean)
		}
		text := strings.ReplaceAll(clean, "\n", " ")
		if stripped := ansi.Strip(text); stripped != text {
			t.Fatalf("Clean(%q) leaves commands for a terminal: %q, without them %q", s, clean, stripped)
		}
		for _, r := range clean {
			if r != '\n' && hidden(r) {
				t.Fatalf("Clean(%q) leaves %U", s, r)
			}
		}
		line := OneLine(s)
		if strings.ContainsAny(line, "\n\r\t") {
			t.Fatalf("OneLine(%q) = %q is more than a line", s, line)
		}
		if back := undo(line); back != clean {
			t.Fatalf("OneLine(%q) = %q, read back %q, want %q", s, line, back, clean)
		}
	})
}

// undo reads the text back from one line.
func undo(line string) string {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		if line[i] != '\\' || i+1 == len(line) {
			b.WriteByte(line[i])
			continue
		}
		if i++; line[i] == 'n' {
			b.WriteByte('\n')
		} else {
			b.WriteByte(line[i])
		}
	}
	return b.String()
}
