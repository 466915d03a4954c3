package xml

import "strings"

// maxDeclaration bounds the length of an XML declaration, which no limit covers.
const maxDeclaration = 256

// xmlDeclaration reads the XML declaration (XML 1.0 §2.8, RFC 6120 §11.5) that the stream b may begin with, and returns
// its length, 0 when there is none.
func xmlDeclaration(b []byte) (int, *Error) {
	const open = "<?xml"
	n := min(len(open), len(b))
	switch {
	case string(b[:n]) != open[:n]:
		return 0, nil
	case len(b) <= len(open):
		return 0, more
	case class[b[n]]&isSpace == 0:
		return 0, nil // another processing instruction
	}
	s := string(b[:min(len(b), maxDeclaration)])
	end := strings.Index(s, "?>")
	if end < 0 {
		if len(b) > maxDeclaration {
			return 0, bad(NotWellFormed, 0, "XML declaration without end")
		}
		return 0, more
	}
	s = s[len(open):end]
	version, s := pseudoAttribute(s, "version")
	encoding, s := pseudoAttribute(s, "encoding")
	standalone, s := pseudoAttribute(s, "standalone")
	switch {
	case strings.Trim(s, " \t\r\n") != "", standalone != "" && standalone != "yes" && standalone != "no":
		return 0, bad(NotWellFormed, 0, "broken XML declaration")
	case version != "1.0":
		return 0, bad(NotWellFormed, 0, "another version of XML than 1.0")
	case encoding != "" && !strings.EqualFold(encoding, "UTF-8"):
		return 0, bad(BadEncoding, 0, "another encoding than UTF-8 declared")
	}
	return end + len("?>"), nil
}

// pseudoAttribute takes an attribute called name from the beginning of s, if it stands there, and returns the rest.
func pseudoAttribute(s, name string) (value, rest string) {
	const space = " \t\r\n"
	t := strings.TrimLeft(s, space)
	if len(t) == len(s) || !strings.HasPrefix(t, name) {
		return "", s
	}
	t, found := strings.CutPrefix(strings.TrimLeft(t[len(name):], space), "=")
	t = strings.TrimLeft(t, space)
	if !found || t == "" || t[0] != '\'' && t[0] != '"' {
		return "", s
	}
	value, rest, found = strings.Cut(t[1:], t[:1])
	if !found || value == "" {
		return "", s
	}
	return value, rest
}
