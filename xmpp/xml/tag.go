package xml

import (
	"bytes"
	"cmp"
	"slices"
	"unicode/utf8"
)

// The namespaces that are bound by XML itself (Namespaces in XML 1.0 §3).
const (
	// Namespace is what the prefix xml stands for, as in xml:lang.
	Namespace      = "http://www.w3.org/XML/1998/namespace"
	namespaceXMLNS = "http://www.w3.org/2000/xmlns/"
)

// span is a piece of the bytes being read, from its first byte to before to.
type span struct{ from, to int32 }

func (s span) of(b []byte) []byte    { return b[s.from:s.to] }
func (s span) in(text string) string { return text[s.from:s.to] }

// use says what an attribute is for.
type use uint8

const (
	plain    use = iota // no prefix
	fixed               // prefix xml
	prefixed            // another prefix
	defaults            // declares the default namespace
	declares            // declares a prefix
)

// attr is an attribute as written.
type attr struct {
	name  span
	value span  // between the quotes
	local int32 // where the name begins after its prefix
	use   use
	coded bool // the value holds references or white space to be normalised
}

// tag is a start tag as written; its attributes are kept apart.
type tag struct {
	from, to int32 // from '<' to after '>'
	name     span
	local    int32 // where the name begins after its prefix
	defaults int32 // which attribute declares the default namespace, -1 for none
	empty    bool  // <a/>
	prefixed bool  // has a prefix, declares one, or has an attribute with one other than xml
}

// startTag reads the start tag at b[i] into t and its attributes into r.attrs after the first keep. It returns the place after it.
func (r *reader) startTag(b []byte, i, keep int, l *Limits, t *tag) (int, *Error) {
	end, colon, err := qname(b, i+1)
	if err != nil {
		return 0, err
	}
	t.from, t.name.from, t.name.to = int32(i), int32(i+1), int32(end)
	t.local, t.defaults, t.empty, t.prefixed = int32(i+1), -1, false, false
	if over(end-i-1, l.Name) {
		return 0, bad(TooLarge, i, "name of an element")
	}
	if colon != 0 {
		t.local, t.prefixed = int32(colon+1), true
		if p := string(b[i+1 : colon]); p == "xml" || p == "xmlns" {
			return 0, bad(BadPrefix, i, "element in a namespace that XML keeps for itself")
		}
	}
	r.attrs = r.attrs[:keep]
	declared := 0
	var marks uint64 // one for each attribute's name; names that are the same have the same
	same := false
	for {
		j := skip(b, end, isSpace)
		if j == len(b) {
			return 0, more
		}
		switch {
		case b[j] == '>':
			t.to = int32(j + 1)
			return j + 1, r.unique(b, i, keep, same)
		case b[j] == '/':
			if j+1 == len(b) {
				return 0, more
			}
			if b[j+1] != '>' {
				return 0, bad(NotWellFormed, j, "'/' inside a tag")
			}
			t.to, t.empty = int32(j+2), true
			return j + 2, r.unique(b, i, keep, same)
		case j == end:
			return 0, bad(NotWellFormed, j, "white space expected between attributes")
		}
		a := r.room()
		if end, err = attribute(b, j, l, a); err != nil {
			return 0, err
		}
		mark := uint64(1) << ((b[j] ^ b[a.name.to-1]<<2 + byte(a.name.to-a.name.from)) & 63)
		same = same || marks&mark != 0
		marks |= mark
		switch a.use {
		case defaults:
			t.defaults = int32(len(r.attrs) - keep)
			declared++
		case declares:
			declared++
			t.prefixed = true
		case prefixed:
			t.prefixed = true
		}
		r.attrs = r.attrs[:len(r.attrs)+1]
		if over(declared, l.Declarations) {
			return 0, bad(TooLarge, j, "number of namespace declarations")
		}
		if over(len(r.attrs)-keep-declared, l.Attrs) {
			return 0, bad(TooLarge, j, "number of attributes")
		}
	}
}

// room returns the place after the last of r.attrs.
func (r *reader) room() *attr {
	n := len(r.attrs)
	if n == cap(r.attrs) {
		r.attrs = grow(r.attrs)
	}
	return &r.attrs[:n+1][n]
}

// attribute reads the attribute at b[i:] into a and returns the place after it.
func attribute(b []byte, i int, l *Limits, a *attr) (int, *Error) {
	end := i
	end = skip(b, end, isName)
	colon, from := 0, end+2
	var err *Error
	if end == i || from > len(b) || b[end] != '=' || b[end+1] != '\'' && b[end+1] != '"' || class[b[i]]&isFirst == 0 {
		// Not the usual name='value'.
		if end, colon, err = qname(b, i); err != nil {
			return 0, err
		}
		if from, err = equals(b, end); err != nil {
			return 0, err
		}
	}
	to := from
	to = plainValue(b, to)
	coded := false
	if q := b[from-1]; to == len(b) || b[to] != q {
		if to, coded, err = value(b, to, q); err != nil {
			return 0, err
		}
	}
	if over(end-i, l.Name) {
		return 0, bad(TooLarge, i, "name of an attribute")
	}
	if over(to-from, l.Value) {
		return 0, bad(TooLarge, from, "value of an attribute")
	}
	// One by one: to assign a composite literal goes through a copy of it and takes several times as long here.
	a.name.from, a.name.to = int32(i), int32(end)
	a.value.from, a.value.to = int32(from), int32(to)
	a.local, a.use, a.coded = int32(i), plain, coded
	if colon != 0 {
		a.local = int32(colon + 1)
		err = a.prefix(b, b[i:colon])
	} else if end-i == len("xmlns") && string(b[i:end]) == "xmlns" {
		a.use = defaults
		err = a.declare(b, nil)
	}
	return to + 1, err
}

// equals reads what stands between an attribute's name and the first byte of its value, and returns the place of that.
func equals(b []byte, i int) (int, *Error) {
	i = skip(b, i, isSpace)
	if i < len(b) && b[i] != '=' {
		return 0, bad(NotWellFormed, i, "'=' expected after the name of an attribute")
	}
	i++
	i = skip(b, i, isSpace)
	if i >= len(b) {
		return 0, more
	}
	if b[i] != '\'' && b[i] != '"' {
		return 0, bad(NotWellFormed, i, "attribute value without quotes")
	}
	return i + 1, nil
}

// value reads on in an attribute value up to its closing quote q, and returns the place of that and whether the value is coded.
func value(b []byte, i int, q byte) (end int, coded bool, err *Error) {
	for ; i < len(b); i++ {
		c := b[i]
		if class[c]&isValue != 0 {
			continue
		}
		switch {
		case c == q:
			return i, coded, nil
		case c == '\'' || c == '"':
		case c == '&':
			n, _, err := reference(b, i)
			if err != nil {
				return i, coded, err
			}
			i += n - 1
			coded = true
		case class[c]&isSpace != 0:
			coded = true
		case c >= utf8.RuneSelf:
			n, err := char(b, i)
			if err != nil {
				return i, coded, err
			}
			i += n - 1
		case c == '<':
			return i, coded, bad(NotWellFormed, i, "'<' in the value of an attribute")
		default:
			return i, coded, bad(NotWellFormed, i, "control character")
		}
	}
	return i, coded, more
}

// prefix finds out what an attribute with prefix p is for.
func (a *attr) prefix(b, p []byte) *Error {
	switch string(p) {
	case "xml":
		a.use = fixed
	case "xmlns":
		a.use = declares
		return a.declare(b, b[a.local:a.name.to])
	default:
		a.use = prefixed
	}
	return nil
}

// declare checks a declaration of prefix p, empty for the default namespace (Namespaces in XML 1.0 §3 and §5).
func (a *attr) declare(b, p []byte) *Error {
	at := int(a.name.from)
	uri := a.value.of(b)
	if a.coded {
		uri = []byte(decode(string(uri), true))
	}
	switch {
	case string(p) == "xmlns":
		return bad(BadPrefix, at, "declaration of the prefix xmlns")
	case (string(p) == "xml") != (string(uri) == Namespace):
		return bad(BadPrefix, at, "the prefix xml and its namespace belong together")
	case string(uri) == namespaceXMLNS:
		return bad(BadPrefix, at, "declaration of the namespace of declarations")
	case len(p) > 0 && len(uri) == 0:
		return bad(BadPrefix, at, "prefix declared as nothing")
	}
	return nil
}

// unique checks that no two attributes after the first keep have the same name as written, unless it is known that none have.
func (r *reader) unique(b []byte, at, keep int, check bool) *Error {
	if !check {
		return nil
	}
	attrs := r.attrs[keep:]
	if len(attrs) > 16 {
		return uniqueMany(b, at, attrs)
	}
	for i := range attrs {
		for j := range i {
			if bytes.Equal(attrs[i].name.of(b), attrs[j].name.of(b)) {
				return bad(NotWellFormed, at, "two attributes of the same name")
			}
		}
	}
	return nil
}

// uniqueMany is unique in n log n steps.
func uniqueMany(b []byte, at int, attrs []attr) *Error {
	names := make([]span, len(attrs))
	for i := range attrs {
		names[i] = attrs[i].name
	}
	slices.SortFunc(names, func(x, y span) int {
		return cmp.Or(cmp.Compare(x.to-x.from, y.to-y.from), bytes.Compare(x.of(b), y.of(b)))
	})
	for i := 1; i < len(names); i++ {
		if bytes.Equal(names[i-1].of(b), names[i].of(b)) {
			return bad(NotWellFormed, at, "two attributes of the same name")
		}
	}
	return nil
}

// grow returns s with twice the room. The smaller steps of append would allocate several times as much in passing.
func grow[T any](s []T) []T {
	return append(make([]T, 0, 2*cap(s)), s...)
}
