package xml

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// What a byte may be; see class.
const (
	isName  = 1 << iota // stands in a name (ASCII, the colon apart)
	isFirst             // begins a name (ASCII)
	isSpace             // white space
	isText              // character data that needs no second look
	isValue             // attribute value that needs no second look
	isClean             // needs no escape anywhere
)

// class tells what each byte may be. Bytes above 0x7F are none of these: they need decoding first.
var class = classes()

func classes() [256]uint8 {
	var t [256]uint8
	for c := 0x20; c < 0x80; c++ {
		t[c] = isText | isValue | isClean
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
			t[c] |= isName | isFirst
		case '0' <= c && c <= '9', c == '-', c == '.':
			t[c] |= isName
		}
	}
	for _, c := range " \t\r\n" {
		t[c] |= isSpace | isText
	}
	for _, c := range "<&" {
		t[c] = 0
	}
	t[']'] &^= isText
	t['>'] &^= isClean
	t['"'] &^= isValue
	t['\''] &^= isValue | isClean
	return t
}

// skip returns the first place in b, from i on, whose byte is none of what.
func skip(b []byte, i int, what uint8) int {
	for uint(i) < uint(len(b)) && class[b[i]]&what != 0 {
		i++
	}
	return i
}

// nameChar tells whether r, a character beyond ASCII, may stand in a name, or begin one if first is set.
func nameChar(r rune, first bool) bool { return within(letters, r) || !first && within(marks, r) }

func within(table [][2]uint16, r rune) bool {
	i, found := slices.BinarySearchFunc(table, r, func(e [2]uint16, r rune) int { return cmp.Compare(rune(e[0]), r) })
	return found || i > 0 && r <= rune(table[i-1][1])
}

// char checks the character beyond ASCII at b[i] and returns its length.
func char(b []byte, i int) (int, *Error) {
	r, n := utf8.DecodeRune(b[i:])
	if r == utf8.RuneError && n <= 1 {
		if !utf8.FullRune(b[i:]) {
			return 0, more
		}
		return 0, bad(BadEncoding, i, "bytes that are not UTF-8")
	}
	if r == 0xFFFE || r == 0xFFFF {
		return 0, bad(NotWellFormed, i, "character that XML does not have")
	}
	return n, nil
}

// qname reads the name at b[i:], which may have one colon; colon is its place, 0 when there is none.
func qname(b []byte, i int) (end, colon int, err *Error) {
	j := skip(b, i, isName)
	if j < len(b) && b[j] != ':' && b[j] < utf8.RuneSelf && class[b[i]]&isFirst != 0 {
		return j, 0, nil // the usual case
	}
	part := i // where the part before or after the colon begins
	for j = i; ; {
		j = skip(b, j, isName)
		if j == len(b) {
			return j, colon, more
		}
		if b[j] >= utf8.RuneSelf {
			n, err := char(b, j)
			if err != nil {
				return j, colon, err
			}
			if r, _ := utf8.DecodeRune(b[j:]); !nameChar(r, j == part) {
				return j, colon, bad(NotWellFormed, j, "character that no name may have here")
			}
			j += n
			continue
		}
		if j == part || b[part] < utf8.RuneSelf && class[b[part]]&isFirst == 0 {
			return j, colon, bad(NotWellFormed, part, "name expected")
		}
		if b[j] != ':' {
			return j, colon, nil
		}
		if colon != 0 {
			return j, colon, bad(NotWellFormed, j, "second colon in a name")
		}
		colon = j
		j++
		part = j
	}
}

// cleanName returns s, or where it is no name without colon the nearest string that is one: names come from code, and
// a mistake there must not become markup.
func cleanName(s string) string {
	for i, r := range s {
		if !nameRune(r, i == 0) {
			return repairName(s)
		}
	}
	if s == "" {
		return "_"
	}
	return s
}

func nameRune(r rune, first bool) bool {
	if r >= utf8.RuneSelf {
		return nameChar(r, first)
	}
	if first {
		return class[r]&isFirst != 0
	}
	return class[r]&isName != 0
}

func repairName(s string) string {
	var out []rune
	for _, r := range s {
		if !nameRune(r, len(out) == 0) {
			r = '_'
		}
		out = append(out, r)
	}
	return string(out)
}
