package xml

import "sync"

// child is a direct child of the element being read.
type child struct {
	from, to int32
	name     int32 // where its name ends; it begins after the '<'
	space    span  // value of its default declaration; places below 0 say that it needs decoding, zero that there is none
}

// reader reads one element. It is borrowed for that long, so that a connection between two stanzas holds none.
type reader struct {
	// How far it came; all places are relative to the element's first byte.
	pos      int  // everything before is read
	searched int  // a tag begins at pos and is cut: its end is not before here; 0 when none is cut
	quote    byte // the quote that is open there
	cdata    bool // pos is inside a CDATA section

	// What it found.
	top       tag     // the element's own start tag
	end       int32   // where the element's end tag begins
	own       int     // how many of attrs belong to top
	attrs     []attr  // of top, then of tag
	tag       tag     // the start tag read last
	open      []span  // names of the open elements
	kids      []child // direct children
	elements  int
	prefixed  bool // some element or attribute has a prefix, or one is declared
	canonical bool // set by who knows that the bytes are canonical: prefixes are no reason to rewrite them
	work      int  // bytes looked at; the tests hold it against the bytes read

	lent Element // see Scanner.Lend; cleared with reset

	// Memory for the usual case.
	attrs0 [16]attr
	open0  [16]span
	kids0  [16]child
	lent0  [8]Attr // of lent; those in use are cleared with it
}

// readers lends memory only.
var readers = sync.Pool{New: func() any {
	r := new(reader)
	r.reset()
	return r
}}

func borrow() *reader { return readers.Get().(*reader) }

func (r *reader) giveBack() {
	r.reset()
	r.work = 0
	readers.Put(r)
}

// reset prepares for another element and drops memory that an unusual one needed.
func (r *reader) reset() {
	r.pos, r.searched, r.quote, r.cdata = 0, 0, 0, false
	r.own, r.elements, r.prefixed, r.canonical = 0, 0, false, false
	r.attrs, r.open, r.kids = r.attrs0[:0], r.open0[:0], r.kids0[:0]
	clear(r.lent.Attrs)
	r.lent = Element{}
}

// read is run within the limit for bytes: what is beyond it is not looked at.
func (r *reader) read(b []byte, l *Limits, header bool) *Error {
	most := maxBytes
	if l.Bytes > 0 {
		most = min(most, l.Bytes)
	}
	err := more
	if r.pos <= most { // the limit may have been changed meanwhile
		err = r.run(b[:min(most, len(b))], l, header)
	}
	if err == more && len(b) > most {
		return bad(TooLarge, most, "length of an element")
	}
	return err
}

// settle returns the text of the element b that r has read, in canonical form; where that takes a rewriting, r has read
// the result when settle returns. The default namespace around the element is space, the prefixes there are decls.
func (r *reader) settle(b []byte, space string, decls []declaration, l *Limits) (string, *Error) {
	if !r.prefixed {
		return string(b), nil
	}
	header := len(r.open) > 0
	out, err := canonical(r, b, space, decls, l)
	if err != nil {
		return "", err
	}
	r.reset()
	r.canonical = true
	r.run(out, &Limits{}, header)
	return string(out), nil
}

// run reads on in b, which holds the element from its first byte and in any case more of it than the last time.
// It returns nil when the element is complete (it ends at r.pos), more when it is not. With header set, it stops after the start tag.
func (r *reader) run(b []byte, l *Limits, header bool) *Error {
	for {
		var err *Error
		from := r.pos
		if r.cdata {
			r.pos, err = cdata(b, r.pos)
			r.cdata = err != nil
		}
		if err == nil && len(r.open) > 0 {
			r.pos, err = text(b, r.pos)
		}
		r.work += r.pos - from
		if err != nil {
			return err
		}
		done, err := r.markup(b, l)
		if err != nil {
			return err
		}
		if done || header {
			return nil
		}
	}
}

// markup reads what begins with the '<' at r.pos and tells whether the element is complete.
func (r *reader) markup(b []byte, l *Limits) (done bool, err *Error) {
	if r.pos+1 >= len(b) {
		return false, more
	}
	switch b[r.pos+1] {
	case '!':
		return false, r.section(b)
	case '?':
		return false, bad(Restricted, r.pos, "processing instruction")
	}
	if r.searched > 0 && !r.search(b) {
		return false, more
	}
	end, err := r.oneTag(b, l)
	if err != nil {
		// What the start of a cut tag is refused for waits until all of the tag is there, so that the cuts make no difference.
		if r.searched == 0 {
			r.searched = r.pos + 1
			if !r.search(b) {
				return false, more
			}
		}
		if err == more {
			err = bad(NotWellFormed, r.pos, "tag without end")
		}
		return false, err
	}
	r.searched, r.quote = 0, 0
	r.pos = end
	return len(r.open) == 0, nil
}

// search looks for the end of the tag at r.pos, from where it stopped the last time. It also ends at what shows that
// the tag is none: a '<', and a quote anywhere but after a '='.
func (r *reader) search(b []byte) bool {
	i, q := r.searched, r.quote
	from := i
	for ; i < len(b); i++ {
		c := b[i]
		if c == '<' || q == 0 && (c == '>' || (c == '\'' || c == '"') && !r.afterEquals(b, i)) {
			break
		}
		if c == q {
			q = 0
		} else if q == 0 && (c == '\'' || c == '"') {
			q = c
		}
	}
	r.searched, r.quote = i, q
	r.work += i - from
	return i < len(b)
}

// afterEquals tells whether nothing but white space stands between b[i] and the last '=' in the tag at r.pos.
func (r *reader) afterEquals(b []byte, i int) bool {
	for i--; i > r.pos && class[b[i]]&isSpace != 0; i-- {
		r.work++
	}
	return b[i] == '='
}

// oneTag reads the start or end tag at r.pos and returns the place after it.
func (r *reader) oneTag(b []byte, l *Limits) (int, *Error) {
	if b[r.pos+1] == '/' {
		return r.endTag(b)
	}
	level := len(r.open)
	t := &r.tag
	if level == 0 {
		t = &r.top
	}
	end, err := r.startTag(b, r.pos, r.own, l, t)
	if err != nil {
		r.work += len(b) - r.pos
		return 0, err
	}
	r.work += end - r.pos
	r.elements++
	switch {
	case over(level+1, l.Depth):
		return 0, bad(TooLarge, r.pos, "depth of elements")
	case over(r.elements, l.Elements):
		return 0, bad(TooLarge, r.pos, "number of elements")
	}
	r.prefixed = r.prefixed || t.prefixed
	switch {
	case level == 0:
		r.own, r.end = len(r.attrs), t.to
	case level == 1 && (!r.prefixed || r.canonical):
		r.child(t)
	}
	if !t.empty {
		if level == cap(r.open) {
			r.open = grow(r.open)
		}
		r.open = append(r.open, t.name)
	}
	return end, nil
}

// child notes a direct child that begins with tag t.
func (r *reader) child(t *tag) {
	n := len(r.kids)
	if n == cap(r.kids) {
		r.kids = grow(r.kids)
	}
	r.kids = r.kids[:n+1]
	c := &r.kids[n]
	c.from, c.to, c.name = t.from, t.to, t.name.to
	c.space.from, c.space.to = 0, 0
	if t.defaults >= 0 {
		a := &r.attrs[r.own+int(t.defaults)]
		c.space.from, c.space.to = a.value.from, a.value.to
		if a.coded {
			c.space.from, c.space.to = -a.value.from, -a.value.to
		}
	}
}

// endTag reads the end tag at r.pos and returns the place after it.
func (r *reader) endTag(b []byte) (int, *Error) {
	top := len(r.open) - 1
	if top < 0 {
		return 0, bad(NotWellFormed, r.pos, "end tag without start tag")
	}
	name := r.open[top].of(b)
	i := r.pos + 2
	n := min(len(name), len(b)-i)
	if string(b[i:i+n]) != string(name[:n]) {
		return 0, bad(NotWellFormed, r.pos, "end tag of another element")
	}
	for i += n; i < len(b) && class[b[i]]&isSpace != 0; i++ {
	}
	r.work += i - r.pos
	if i == len(b) {
		return 0, more // the name may be cut too
	}
	if b[i] != '>' {
		return 0, bad(NotWellFormed, r.pos, "end tag of another element")
	}
	r.open = r.open[:top]
	switch top {
	case 0:
		r.end = int32(r.pos)
	case 1:
		if len(r.kids) > 0 {
			r.kids[len(r.kids)-1].to = int32(i + 1)
		}
	}
	return i + 1, nil
}

// section begins the CDATA section at r.pos.
func (r *reader) section(b []byte) *Error {
	const open = "<![CDATA["
	n := min(len(open), len(b)-r.pos)
	switch {
	case string(b[r.pos:r.pos+n]) != open[:n]:
		return bad(Restricted, r.pos, "comment or document type")
	case n < len(open):
		return more
	case len(r.open) == 0:
		return bad(NotWellFormed, r.pos, "character data outside of elements")
	}
	r.pos += n
	r.cdata = true
	return nil
}
