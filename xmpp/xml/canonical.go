package xml

import (
	"bytes"
	"slices"
)

// declaration binds a prefix.
type declaration struct{ prefix, uri string }

// The canonical form of an element may be longer than what was written, since a namespace is declared anew wherever it
// changes. These bound it where Limits do not.
const (
	canonicalFactor = 6
	canonicalExtra  = 16 << 10
)

// canon rewrites one element so that it relies on no prefix from around it; see the package comment for the form.
type canon struct {
	// fixed
	b      []byte // the element, checked
	limits *Limits
	max    int // bytes that out may have

	// state
	r      *reader
	scopes []scope
	decls  []declaration // in force, the innermost last
	outer  int           // how many of them come from around the element
	out    []byte
	seen   map[Name]int // attributes with a prefix in the tag at hand; under a name without local part, the number of the namespace's prefix
}

// scope is one open element.
type scope struct {
	in    string // default namespace inside, as written
	out   string // the same in the canonical form: the element's own namespace
	decls int    // declarations in force around it
}

// canonical is the canonical form of the element b that r has read. The default namespace around it, before and after,
// is space; decls are the prefixes in force around it.
func canonical(r *reader, b []byte, space string, decls []declaration, l *Limits) ([]byte, *Error) {
	c := &canon{b: b, limits: l, r: r, decls: slices.Clip(decls), outer: len(decls)}
	c.max = canonicalFactor*len(b) + canonicalExtra
	if l.Bytes > 0 {
		c.max = min(c.max, l.Bytes)
	}
	c.scopes = append(make([]scope, 0, 8), scope{in: space, out: space, decls: len(decls)})
	c.out = make([]byte, 0, min(c.max, len(b)+len(b)/4+64))
	for i := 0; i < len(b); {
		var err *Error
		if i, err = c.token(i); err != nil {
			return nil, err
		}
	}
	return c.out, nil
}

// token copies the token at c.b[i] and returns the place after it.
func (c *canon) token(i int) (int, *Error) {
	if cap(c.out)-len(c.out) < 256 {
		c.out = slices.Grow(c.out, min(len(c.out), c.max-len(c.out))+256)
	}
	b := c.b
	end := 0
	switch {
	case b[i] != '<':
		end = i + bytes.IndexByte(b[i:], '<')
		c.out = append(c.out, b[i:end]...)
	case b[i+1] == '!':
		end = i + bytes.Index(b[i:], []byte("]]>")) + len("]]>")
		c.out = append(c.out, b[i:end]...)
	case b[i+1] == '/':
		end = i + bytes.IndexByte(b[i:], '>') + 1
		name := bytes.TrimRight(b[i+len("</"):end-1], " \t\r\n")
		c.out = append(append(append(c.out, '<', '/'), name[bytes.IndexByte(name, ':')+1:]...), '>')
		c.close()
	default:
		var err *Error
		if end, err = c.r.startTag(b, i, 0, &Limits{}, &c.r.tag); err != nil {
			return 0, err
		}
		if err = c.open(); err != nil {
			return 0, err
		}
	}
	if len(c.out) > c.max {
		return 0, bad(TooLarge, i, "length of an element once its prefixes are resolved")
	}
	return end, nil
}

func (c *canon) close() {
	top := &c.scopes[len(c.scopes)-1]
	c.decls = c.decls[:top.decls]
	c.scopes = c.scopes[:len(c.scopes)-1]
}

// open writes the start tag that c.r has read and enters its scope.
func (c *canon) open() *Error {
	t, around := &c.r.tag, c.scopes[len(c.scopes)-1]
	s := scope{in: around.in, decls: len(c.decls)}
	for i := range c.r.attrs {
		switch a := &c.r.attrs[i]; a.use {
		case defaults:
			s.in = a.copy(c.b)
		case declares:
			c.decls = append(c.decls, declaration{string(c.b[a.local:a.name.to]), a.copy(c.b)})
		}
	}
	if over(len(c.decls)-c.outer, c.limits.Declarations) {
		return bad(TooLarge, int(t.from), "number of prefixes in force")
	}
	s.out = s.in
	written := t.defaults >= 0 // a default that was declared here stays, needed or not
	if t.local != t.name.from {
		var ok bool
		if s.out, ok = lookup(c.decls, c.b[t.name.from:t.local-1]); !ok {
			return bad(BadPrefix, int(t.from), "element with an undeclared prefix")
		}
		written = false
	}
	c.out = append(append(c.out, '<'), c.b[t.local:t.name.to]...)
	if written || s.out != around.out {
		c.out = append(AppendEscaped(append(c.out, " xmlns='"...), s.out), '\'')
	}
	if err := c.attributes(); err != nil {
		return err
	}
	c.scopes = append(c.scopes, s)
	if t.empty {
		c.out = append(c.out, '/')
		c.close()
	}
	c.out = append(c.out, '>')
	return nil
}

// attributes writes the attributes of the tag that c.r has read. Values stay as they were written.
func (c *canon) attributes() *Error {
	clear(c.seen)
	n := -1 // number of the attribute, declarations apart
	for i := range c.r.attrs {
		a := &c.r.attrs[i]
		if a.use >= defaults {
			continue
		}
		n++
		c.out = append(c.out, ' ')
		if a.use != prefixed {
			c.out = append(c.out, a.name.of(c.b)...)
		} else if err := c.prefixed(a, n); err != nil {
			return err
		}
		quote := c.b[a.value.from-1]
		c.out = append(append(append(c.out, '=', quote), a.value.of(c.b)...), quote)
	}
	return nil
}

// prefixed writes the name of attribute number n, and the declaration of its prefix where it is the first to use that.
func (c *canon) prefixed(a *attr, n int) *Error {
	uri, ok := lookup(c.decls, c.b[a.name.from:a.local-1])
	if !ok {
		return bad(BadPrefix, int(a.name.from), "attribute with an undeclared prefix")
	}
	if c.seen == nil || len(c.seen) > 64 {
		c.seen = map[Name]int{}
	}
	name := Name{uri, string(c.b[a.local:a.name.to])}
	if _, twice := c.seen[name]; twice {
		return bad(NotWellFormed, int(a.name.from), "two attributes of the same name")
	}
	c.seen[name] = n
	first, known := c.seen[Name{uri, ""}]
	if !known {
		first = n
		c.seen[Name{uri, ""}] = n
		c.out = append(appendPrefix(append(c.out, "xmlns:"...), n), "='"...)
		c.out = append(AppendEscaped(c.out, uri), '\'', ' ')
	}
	c.out = append(append(appendPrefix(c.out, first), ':'), name.Local...)
	return nil
}

// lookup finds what prefix p is bound to, the innermost declaration first.
func lookup(decls []declaration, p []byte) (uri string, ok bool) {
	for i := len(decls) - 1; i >= 0; i-- {
		if decls[i].prefix == string(p) {
			return decls[i].uri, true
		}
	}
	return "", false
}

// copy is the value of the attribute, in memory of its own.
func (a *attr) copy(b []byte) string {
	s := string(a.value.of(b))
	if a.coded {
		s = decode(s, true)
	}
	return s
}
