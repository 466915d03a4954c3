package xml

import (
	"bytes"
	"iter"
	"slices"
	"strings"
)

// Content is the inside of an element: checked bytes and an index of the direct children. It is an immutable value;
// the zero Content is empty. The package comment says what form the bytes have.
type Content struct {
	text  string
	space string // the default namespace in force inside
	kids  []kid
}

// kid is one direct child: text[start:end].
type kid struct {
	Name
	start, end int32
}

// In is the empty content of an element whose namespace, and thus default namespace inside, is space.
func In(space string) Content { return Content{space: space} }

// Empty tells whether there is nothing inside, neither elements nor text.
func (c Content) Empty() bool { return c.text == "" }

// Raw is the checked bytes. They rely on the default namespace of the element they were read from; AppendInside does not.
func (c Content) Raw() string { return c.text }

// Len is the number of direct child elements.
func (c Content) Len() int { return len(c.kids) }

// NameOf is the name of child i, which must be at least 0 and less than Len. Nothing is parsed.
func (c Content) NameOf(i int) Name { return c.kids[i].Name }

// Has tells whether there is a direct child of that name. Nothing is parsed.
func (c Content) Has(space, local string) bool { return c.find(space, local) >= 0 }

// Child is the first direct child of that name, parsed on demand; nil when there is none.
func (c Content) Child(space, local string) *Element {
	if i := c.find(space, local); i >= 0 {
		return c.element(i)
	}
	return nil
}

// ChildAttr is Child(space, local).Attr(attr) without making the child; "" when there is none.
func (c Content) ChildAttr(space, local, attr string) string {
	i := c.find(space, local)
	if i < 0 {
		return ""
	}
	text := c.text[c.kids[i].start:c.kids[i].end]
	r := borrow()
	defer r.giveBack()
	r.canonical = true
	var usual [128]byte
	r.run(append(usual[:0], text...), &Limits{}, false)
	for i := range r.attrs[:r.own] {
		if a := &r.attrs[i]; a.use < defaults && a.use != fixed && a.use != prefixed && text[a.local:a.name.to] == attr {
			return a.in(text)
		}
	}
	return ""
}

// First is the first direct child, nil when there is none.
func (c Content) First() *Element {
	if len(c.kids) == 0 {
		return nil
	}
	return c.element(0)
}

// Children yields the direct children in order, each parsed when its turn comes.
func (c Content) Children() iter.Seq[*Element] {
	return func(yield func(*Element) bool) {
		for i := range c.kids {
			if !yield(c.element(i)) {
				return
			}
		}
	}
}

// Text is the decoded character data directly inside, that of children left out.
func (c Content) Text() string {
	if len(c.kids) == 0 {
		return decode(c.text, false)
	}
	var b strings.Builder
	done := int32(0)
	for i := range c.kids {
		b.WriteString(decode(c.text[done:c.kids[i].start], false))
		done = c.kids[i].end
	}
	b.WriteString(decode(c.text[done:], false))
	return b.String()
}

// With is a copy with els appended; nil elements are left out.
func (c Content) With(els ...*Element) Content {
	text := append(make([]byte, 0, len(c.text)+128*len(els)), c.text...)
	kids := append(make([]kid, 0, len(c.kids)+len(els)), c.kids...)
	for _, e := range els {
		if e == nil {
			continue
		}
		start := int32(len(text))
		text = e.Append(text, c.space)
		kids = append(kids, kid{e.written(), start, int32(len(text))})
	}
	return Content{string(text), c.space, kids}
}

// withText is a copy with s appended as character data.
func (c Content) withText(s string) Content {
	text := append(make([]byte, 0, len(c.text)+len(s)+16), c.text...)
	if n := len(text); n > 0 && text[n-1] == '\r' {
		text[n-1] = '\n' // means the same, and takes no '\n' that follows for its second half
	}
	c.text = string(appendEscaped(text, s, false))
	return c
}

// Without is a copy that lacks the direct children for which drop returns true. Text stays.
func (c Content) Without(drop func(*Element) bool) Content {
	var text []byte
	var kids []kid
	done := int32(0) // c.text[:done] is in text or dropped
	dropped := false
	for i, k := range c.kids {
		if drop(c.element(i)) {
			if !dropped {
				dropped = true
				text = make([]byte, 0, len(c.text))
				kids = append(make([]kid, 0, len(c.kids)-1), c.kids[:i]...)
			}
			text = join(text, c.text[done:k.start])
			done = k.end
			continue
		}
		if dropped {
			text = join(text, c.text[done:k.end])
			n := int32(len(text))
			kids = append(kids, kid{k.Name, n - (k.end - k.start), n})
			done = k.end
		}
	}
	if !dropped {
		return c
	}
	return Content{string(join(text, c.text[done:])), c.space, kids}
}

// join appends s to dst, where a child between the two was cut out: their ends must not become a token together.
func join(dst []byte, s string) []byte {
	n := len(dst)
	if n > 0 && dst[n-1] == '\r' {
		dst[n-1] = '\n' // means the same
	}
	dst = append(dst, s...)
	from := max(0, n-2)
	if i := bytes.Index(dst[from:min(n+2, len(dst))], []byte("]]>")); i >= 0 {
		at := from + i + 2
		dst = slices.Replace(dst, at, at+1, []byte("&gt;")...)
	}
	return dst
}

// AppendInside appends the content as it has to stand inside an element whose default namespace is space.
func (c Content) AppendInside(dst []byte, space string) []byte {
	if c.space == space {
		return append(dst, c.text...)
	}
	done := int32(0)
	for i, k := range c.kids {
		if k.Space != c.space {
			continue // declares its namespace itself
		}
		dst = append(dst, c.text[done:k.start]...)
		dst = c.element(i).Append(dst, space)
		done = k.end
	}
	return append(dst, c.text[done:]...)
}

func (c Content) find(space, local string) int {
	for i := range c.kids {
		if k := &c.kids[i]; k.Local == local && k.Space == space {
			return i
		}
	}
	return -1
}

// element parses child i. Content is checked, so nothing can go wrong.
func (c Content) element(i int) *Element {
	k := &c.kids[i]
	text := c.text[k.start:k.end]
	r := borrow()
	defer r.giveBack()
	r.canonical = true
	r.run([]byte(text), &Limits{}, false)
	return r.build(text, c.space)
}
