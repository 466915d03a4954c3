package xml

import "unicode/utf8"

// The functions here read one token from the bytes at hand. Each answers the same however the bytes were cut: what it
// refuses no further byte could mend, and where one could, the answer is more.

// maxReference bounds the length of a reference, for leading zeros could make one endless.
const maxReference = 32

// text reads character data from b[i:] to the next '<' and returns its place; with more, the place to go on from.
func text(b []byte, i int) (int, *Error) {
	for {
		i = plainText(b, i)
		if i == len(b) {
			return i, more
		}
		switch c := b[i]; {
		case c == '<':
			return i, nil
		case c == '&':
			n, _, err := reference(b, i)
			if err != nil {
				return i, err
			}
			i += n
		case c == ']':
			n, err := brackets(b, i)
			if err != nil {
				return i, err
			}
			if n == 3 {
				return i, bad(NotWellFormed, i, "']]>' in character data")
			}
			i++
		case c >= utf8.RuneSelf:
			n, err := char(b, i)
			if err != nil {
				return i, err
			}
			i += n
		case class[c]&isSpace != 0:
			i++
		default:
			return i, bad(NotWellFormed, i, "control character")
		}
	}
}

// cdata reads the inside of a CDATA section from b[i:] and returns the place after its end; with more, the place to go on from.
func cdata(b []byte, i int) (int, *Error) {
	for {
		for i < len(b) && (class[b[i]]&isText != 0 || b[i] == '<' || b[i] == '&') {
			i++
		}
		if i == len(b) {
			return i, more
		}
		switch c := b[i]; {
		case c == ']':
			n, err := brackets(b, i)
			if err != nil {
				return i, err
			}
			if n == 3 {
				return i + 3, nil
			}
			i++
		case c >= utf8.RuneSelf:
			n, err := char(b, i)
			if err != nil {
				return i, err
			}
			i += n
		default:
			return i, bad(NotWellFormed, i, "control character")
		}
	}
}

// brackets returns 3 when ']]>' begins at b[i], which is a ']', and 1 when it does not.
func brackets(b []byte, i int) (int, *Error) {
	for k, c := range []byte("]]>") {
		if i+k == len(b) {
			return 0, more
		}
		if b[i+k] != c {
			return 1, nil
		}
	}
	return 3, nil
}

// reference reads the reference at b[i], which is a '&', and returns its length and what it stands for.
func reference(b []byte, i int) (n int, r rune, err *Error) {
	b = b[i:]
	if len(b) > 1 && b[1] == '#' {
		return charReference(b, i)
	}
	for n = 1; ; n++ {
		if n == len(b) {
			return 0, 0, more
		}
		if c := b[n]; class[c]&isName != 0 && c < utf8.RuneSelf && n <= len("&quot") {
			continue
		}
		break
	}
	switch {
	case n == 1:
		return 0, 0, bad(NotWellFormed, i, "'&' that begins no reference")
	case n > len("&quot"):
		return 0, 0, bad(Restricted, i, "reference to an entity that XML does not predefine")
	case b[n] != ';':
		return 0, 0, bad(NotWellFormed, i, "reference without ';'")
	}
	switch string(b[1:n]) {
	case "amp":
		r = '&'
	case "lt":
		r = '<'
	case "gt":
		r = '>'
	case "quot":
		r = '"'
	case "apos":
		r = '\''
	default:
		return 0, 0, bad(Restricted, i, "reference to an entity that XML does not predefine")
	}
	return n + 1, r, nil
}

// charReference reads a numeric reference; b begins with "&#", at is its place.
func charReference(b []byte, at int) (n int, r rune, err *Error) {
	n, base := 2, rune(10)
	if len(b) > 2 && b[2] == 'x' {
		n, base = 3, 16
	}
	first := n
	for ; n < len(b); n++ {
		d := digit(b[n])
		if d >= base {
			break
		}
		r = r*base + d
		if r > utf8.MaxRune || n >= maxReference {
			return 0, 0, bad(NotWellFormed, at, "character reference out of range")
		}
	}
	switch {
	case n == len(b):
		return 0, 0, more
	case n == first || b[n] != ';':
		return 0, 0, bad(NotWellFormed, at, "broken character reference")
	case !allowed(r):
		return 0, 0, bad(NotWellFormed, at, "reference to a character that XML does not have")
	}
	return n + 1, r, nil
}

// digit is the value of a hexadecimal digit, and 16 for any other byte.
func digit(c byte) rune {
	switch {
	case '0' <= c && c <= '9':
		return rune(c - '0')
	case 'a' <= c && c <= 'f':
		return rune(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return rune(c-'A') + 10
	}
	return 16
}

// allowed is the production Char (XML 1.0 §2.2).
func allowed(r rune) bool {
	switch {
	case r < 0x20:
		return r == '\t' || r == '\n' || r == '\r'
	case 0xD800 <= r && r < 0xE000, r == 0xFFFE, r == 0xFFFF:
		return false
	}
	return r <= utf8.MaxRune
}
