package xml

import "slices"

// Name is a resolved name: the namespace, "" for none, and the name without prefix.
type Name struct{ Space, Local string }

// Attr is an attribute with its value decoded. Declarations of namespaces are never among an element's attributes.
type Attr struct {
	Name  Name
	Value string
}

// A is an attribute without namespace.
func A(local, value string) Attr { return Attr{Name{"", local}, value} }

// Element is one element: its start tag taken apart, its inside as text. It is immutable, and so is what its slices hold.
type Element struct {
	Name  Name
	Attrs []Attr
	Content
}

// New is an empty element.
func New(space, local string, attrs ...Attr) *Element {
	return &Element{Name: Name{space, local}, Attrs: attrs, Content: In(space)}
}

// Attr is the value of an attribute without namespace, "" when there is none.
func (e *Element) Attr(local string) string {
	for i := range e.Attrs {
		if a := &e.Attrs[i]; a.Name.Local == local && a.Name.Space == "" {
			return a.Value
		}
	}
	return ""
}

// Lang is the value of xml:lang (XML 1.0 §2.12), "" when there is none.
func (e *Element) Lang() string {
	for i := range e.Attrs {
		if a := &e.Attrs[i]; a.Name.Local == "lang" && a.Name.Space == Namespace {
			return a.Value
		}
	}
	return ""
}

// With is a copy with els appended to its content.
func (e *Element) With(els ...*Element) *Element {
	c := *e
	c.Content = e.inside().With(els...)
	return &c
}

// WithText is a copy with s appended to its content, escaped. What XML cannot carry becomes U+FFFD.
func (e *Element) WithText(s string) *Element {
	c := *e
	c.Content = e.inside().withText(s)
	return &c
}

// WithAttr is a copy with an attribute set or replaced.
func (e *Element) WithAttr(local, value string) *Element {
	c := *e
	c.Attrs = slices.Clone(e.Attrs)
	for i := range c.Attrs {
		if c.Attrs[i].Name == (Name{"", local}) {
			c.Attrs[i].Value = value
			return &c
		}
	}
	c.Attrs = append(c.Attrs, A(local, value))
	return &c
}

// inside is the content of e; when there is none yet, one that takes children of e's own namespace without declarations.
func (e *Element) inside() Content {
	if e.Empty() {
		return In(e.Name.Space)
	}
	return e.Content
}
