package xml

// Parse reads s, one complete element with nothing but white space around it; space is the default namespace in force
// there. It answers with an *Error what a Scanner would refuse, and an XML declaration.
func Parse(s, space string, l Limits) (*Element, error) {
	from, to := 0, len(s)
	for from < to && class[s[from]]&isSpace != 0 {
		from++
	}
	for to > from && class[s[to-1]]&isSpace != 0 {
		to--
	}
	e, err := parse(s[from:to], space, &l)
	if err != nil {
		err.Offset += int64(from)
		return nil, err
	}
	return e, nil
}

func parse(s, space string, l *Limits) (*Element, *Error) {
	if s == "" || s[0] != '<' {
		return nil, bad(NotWellFormed, 0, "element expected")
	}
	r := borrow()
	defer r.giveBack()
	b := []byte(s)
	if err := r.read(b, l, false); err == more {
		return nil, bad(NotWellFormed, len(s), "element without end")
	} else if err != nil {
		return nil, err
	}
	if r.pos != len(s) {
		return nil, bad(NotWellFormed, r.pos, "something after the element")
	}
	if !r.prefixed {
		return r.build(s, space), nil
	}
	text, err := r.settle(b, space, nil, l)
	if err != nil {
		return nil, err
	}
	return r.build(text, space), nil
}
