package tui

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// replacement stands for every character that is not shown: it is visible, so that nobody overlooks what was there.
const replacement = '\uFFFD'

// maxMarks is how many combining marks may sit on one character before the rest is left out: languages need four at
// most, and towers of them paint over the lines above.
const maxMarks = 8

// Clean makes text from the network fit for a terminal. Line breaks stay (CR and CR LF become LF), tabs become one
// space; control characters (C0, DEL, C1), controls of writing direction, line and paragraph separators, tag
// characters and bytes that are no UTF-8 become U+FFFD. Everything that people or servers wrote goes through here or
// through OneLine before it reaches any terminal, file or pipe.
func Clean(s string) string {
	if harmless(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	marks := 0
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '\r':
			if i+1 < len(s) && s[i+1] == '\n' {
				n++
			}
			r = '\n'
		case r == '\t':
			r = ' '
		case r == '\n':
		case hidden(r):
			r = replacement
		}
		i += n
		if unicode.Is(unicode.M, r) {
			if marks++; marks > maxMarks {
				continue
			}
		} else {
			marks = 0
		}
		b.WriteRune(r)
	}
	return b.String()
}

// OneLine is Clean for a single line of output that programs read: a line break becomes the two characters \n and a
// backslash is doubled, so that the original can be told exactly.
func OneLine(s string) string {
	s = Clean(s)
	if !strings.ContainsAny(s, "\\\n") {
		return s
	}
	return strings.NewReplacer("\\", `\\`, "\n", `\n`).Replace(s)
}

// harmless tells of text that has nothing to clean, which is most.
func harmless(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 && c != '\n' || c >= 0x7f {
			return false
		}
	}
	return true
}

// hidden tells of characters that command a terminal or disguise the text around them.
func hidden(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r <= 0x9f: // C0, DEL, C1: U+009B begins a control sequence on some terminals
		return true
	case r == 0x061c, r == 0x200e, r == 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x206f: // direction
		return true
	case r == 0x2028, r == 0x2029: // separators
		return true
	case r == 0xfeff, r >= 0xfff9 && r <= 0xfffb, r == 0xfffe, r == 0xffff: // byte order mark, annotations, no characters
		return true
	case r >= 0xe0000 && r <= 0xe0fff: // tags and what else is never seen
		return !variation(r)
	}
	return false
}

// variation tells of the selectors that choose between two pictures of a character.
func variation(r rune) bool { return r >= 0xe0100 && r <= 0xe01ef }
