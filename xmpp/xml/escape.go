package xml

import (
	"strings"
	"unicode/utf8"
)

// AppendEscaped appends s so that it can stand as text and as the value of an attribute in single quotes, and reads
// back as s. What XML cannot carry (control characters, bytes that are not UTF-8) becomes U+FFFD.
func AppendEscaped(dst []byte, s string) []byte { return appendEscaped(dst, s, true) }

// appendEscaped leaves tabs and line feeds alone unless value is set: in the value of an attribute they would turn into spaces.
func appendEscaped(dst []byte, s string, value bool) []byte {
	done := 0 // s[:done] is in dst
	for i := plainString(s); i < len(s); {
		c := s[i]
		if class[c]&isClean != 0 {
			i++
			continue
		}
		n, by := 1, ""
		switch {
		case c == '&':
			by = "&amp;"
		case c == '<':
			by = "&lt;"
		case c == '>':
			by = "&gt;"
		case c == '\'':
			by = "&apos;"
		case c == '\r':
			by = "&#xD;"
		case c == '\n' && value:
			by = "&#xA;"
		case c == '\t' && value:
			by = "&#x9;"
		case c == '\n' || c == '\t':
		case c < utf8.RuneSelf:
			by = "\uFFFD"
		default:
			var r rune
			if r, n = utf8.DecodeRuneInString(s[i:]); n == 1 || !allowed(r) {
				by = "\uFFFD"
			}
		}
		if by != "" {
			dst = append(dst, s[done:i]...)
			dst = append(dst, by...)
			done = i + n
		}
		i += n
	}
	return append(dst, s[done:]...)
}

// cleanText is s with all that XML cannot carry replaced by U+FFFD.
func cleanText(s string) string {
	for _, r := range s {
		if r == utf8.RuneError || !allowed(r) {
			return strings.Map(func(r rune) rune {
				if !allowed(r) {
					return utf8.RuneError
				}
				return r
			}, s)
		}
	}
	return s
}

// decode is what s, checked bytes, stands for: the value of an attribute (XML 1.0 §3.3.3), or else character data and
// CDATA sections (§2.11). It returns s itself when there is nothing to do.
func decode(s string, value bool) string {
	special := "&\r<"
	if value {
		special = "&\r\n\t"
	}
	if !strings.ContainsAny(s, special) {
		return s
	}
	return string(appendDecoded(make([]byte, 0, len(s)), s, special))
}

func appendDecoded(dst []byte, s, special string) []byte {
	for {
		i := strings.IndexAny(s, special)
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		s = s[i:]
		switch s[0] {
		case '&':
			n, r, _ := reference([]byte(s[:min(len(s), maxReference+1)]), 0)
			dst = utf8.AppendRune(dst, r)
			s = s[max(n, 1):]
		case '\r':
			// A line ends as LF however it was written, and in the value of an attribute as a space.
			s = strings.TrimPrefix(s[1:], "\n")
			if special[len(special)-1] == '\t' {
				dst = append(dst, ' ')
			} else {
				dst = append(dst, '\n')
			}
		case '<':
			section, rest, _ := strings.Cut(strings.TrimPrefix(s, "<![CDATA["), "]]>")
			dst = appendDecoded(dst, section, "\r")
			s = rest
		default:
			dst = append(dst, ' ')
			s = s[1:]
		}
	}
}
