package xml

// build makes the element that r has read; text is its bytes, space the default namespace around it. Everything in the
// element is a part of text, or a decoded copy where decoding was needed.
func (r *reader) build(text, space string) *Element {
	e := allocate(r.counted(), len(r.kids))
	r.fill(e, text, space)
	return e
}

// root is build for the start tag of a root, which declares its prefixes itself. It is nil for one that has to be brought into canonical form
// first, because an attribute has a prefix, or is refused then.
func (r *reader) root(text string, decls []declaration) *Element {
	for i := range r.attrs[:r.own] {
		if r.attrs[i].use == prefixed {
			return nil
		}
	}
	e := r.build(text, "")
	if t := &r.top; t.local != t.name.from {
		space, ok := lookup(decls, []byte(text[t.name.from:t.local-1]))
		if !ok {
			return nil
		}
		e.Name.Space = space
	}
	return e
}

// lend is build in r's own memory, but for what a Content has: that can be kept.
func (r *reader) lend(text, space string) *Element {
	e := &r.lent
	if n := r.counted(); n <= len(r.lent0) {
		e.Attrs = r.lent0[:n]
	} else {
		e.Attrs = make([]Attr, n)
	}
	e.kids = make([]kid, len(r.kids))
	r.fill(e, text, space)
	return e
}

// counted is how many attributes the element has, declarations apart.
func (r *reader) counted() (n int) {
	for i := range r.attrs[:r.own] {
		if r.attrs[i].use < defaults {
			n++
		}
	}
	return n
}

// fill makes e, which has room for it, the element that r has read.
func (r *reader) fill(e *Element, text, space string) {
	t := &r.top
	attrs := r.attrs[:r.own]
	for i := range attrs {
		if attrs[i].use == defaults {
			space = attrs[i].in(text)
		}
	}
	e.Name = Name{space, text[t.local:t.name.to]}
	n := 0
	for i := range attrs {
		a := &attrs[i]
		if a.use >= defaults {
			continue
		}
		to := &e.Attrs[n]
		to.Name.Local = text[a.local:a.name.to]
		switch a.use {
		case fixed:
			to.Name.Space = Namespace
		case prefixed:
			to.Name.Space = r.declared(text, text[a.name.from:a.local-1])
		}
		to.Value = a.in(text)
		n++
	}
	e.space = space
	if t.empty {
		return
	}
	e.text = text[t.to:r.end]
	for i := range r.kids {
		c := &r.kids[i]
		k := &e.kids[i]
		k.start, k.end = c.from-t.to, c.to-t.to
		k.Local = text[c.from+1 : c.name]
		switch {
		case c.space.from > 0:
			k.Space = c.space.in(text)
		case c.space.from < 0:
			k.Space = decode(text[-c.space.from:-c.space.to], true)
		default:
			k.Space = space
		}
	}
}

// in is the value of the attribute.
func (a *attr) in(text string) string {
	if v := a.value.in(text); !a.coded {
		return v
	} else {
		return decode(v, true)
	}
}

// declared is what the element itself declares prefix p as.
func (r *reader) declared(text, p string) string {
	for i := range r.attrs[:r.own] {
		if a := &r.attrs[i]; a.use == declares && text[a.local:a.name.to] == p {
			return a.in(text)
		}
	}
	return ""
}

// allocate makes an element with room for its attributes and children, in one piece when they are as few as usual.
func allocate(attrs, kids int) *Element {
	switch {
	case attrs == 0 && kids == 0:
		return new(Element)
	case attrs <= 2 && kids <= 1:
		b := new(struct {
			e     Element
			attrs [2]Attr
			kids  [1]kid
		})
		b.e.Attrs, b.e.kids = b.attrs[:attrs:attrs], b.kids[:kids:kids]
		return &b.e
	case attrs <= 6 && kids <= 2:
		b := new(struct {
			e     Element
			attrs [6]Attr
			kids  [2]kid
		})
		b.e.Attrs, b.e.kids = b.attrs[:attrs:attrs], b.kids[:kids:kids]
		return &b.e
	case attrs <= 6 && kids <= 6:
		b := new(struct {
			e     Element
			attrs [6]Attr
			kids  [6]kid
		})
		b.e.Attrs, b.e.kids = b.attrs[:attrs:attrs], b.kids[:kids:kids]
		return &b.e
	}
	e := &Element{Attrs: make([]Attr, attrs)}
	e.kids = make([]kid, kids)
	return e
}
