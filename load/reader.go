package load

import "bytes"

// blank is how much white space p begins with.
func blank(p []byte) int {
	for i, c := range p {
		if c > ' ' {
			return i
		}
	}
	return len(p)
}

// frame is the length of the first complete first-level element in p, which begins with one; 0: it is not all there;
// -1: the stream is closed. It counts tags and checks nothing.
func frame(p []byte) int {
	depth, i := 0, 0
	for {
		j := bytes.IndexByte(p[i:], '<')
		if j < 0 {
			return 0
		}
		i += j
		if i+1 < len(p) && p[i+1] == '!' { // CDATA: XMPP has nothing else of that kind
			j := bytes.Index(p[i:], []byte("]]>"))
			if j < 0 {
				return 0
			}
			i += j
			continue
		}
		n := tag(p[i:])
		if n == 0 {
			return 0
		}
		switch end := i + n; {
		case p[i+1] == '/':
			if depth--; depth < 0 {
				return -1
			}
		case p[end-2] != '/':
			depth++
		}
		if i += n; depth == 0 {
			return i
		}
	}
}

// tag is the length of the tag that p begins with; 0: it is not all there.
func tag(p []byte) int {
	for i := 1; i < len(p); i++ {
		switch p[i] {
		case '>':
			return i + 1
		case '\'', '"':
			j := bytes.IndexByte(p[i+1:], p[i])
			if j < 0 {
				return 0
			}
			i += 1 + j
		}
	}
	return 0
}

// attr is the value of an attribute in the start tag of el, as it stands there; nil when there is none.
func attr(el []byte, name string) []byte {
	for p := el[:tag(el)]; ; {
		eq := bytes.IndexByte(p, '=')
		if eq < 0 {
			return nil
		}
		key, value := p[:eq], p[eq+1:]
		for len(key) > 0 && key[len(key)-1] <= ' ' {
			key = key[:len(key)-1]
		}
		for len(value) > 0 && value[0] <= ' ' {
			value = value[1:]
		}
		if len(value) == 0 {
			return nil
		}
		n := bytes.IndexByte(value[1:], value[0])
		if n < 0 {
			return nil
		}
		// Before the key stands the end of the attribute before, or the name of the element.
		if before := len(key) - len(name) - 1; before >= 0 && key[before] <= ' ' && string(key[before+1:]) == name {
			return value[1 : 1+n]
		}
		p = value[n+2:]
	}
}

// find is what el has from the start tag of the first element called name on; nil when there is none.
func find(el []byte, name string) []byte {
	for p := el; ; {
		i := bytes.IndexByte(p, '<')
		if i < 0 {
			return nil
		}
		if p = p[i:]; is(p, name) {
			return p
		}
		n := tag(p)
		if n == 0 {
			return nil
		}
		p = p[n:]
	}
}

// inside is the text that the first element called name begins with, somewhere in el; nil when there is none.
func inside(el []byte, name string) []byte { return textOf(find(el, name)) }

// textOf is what el begins with inside, up to the next tag; nil when there is nothing.
func textOf(el []byte) []byte {
	n := tag(el)
	if n == 0 || el[n-2] == '/' {
		return nil
	}
	end := bytes.IndexByte(el[n:], '<')
	if end < 0 {
		return nil
	}
	return el[n : n+end]
}

// local is the name of el without its prefix.
func local(el []byte) string {
	name := el[1:]
	if i := bytes.IndexAny(name, " \t\r\n/>"); i >= 0 {
		name = name[:i]
	}
	return string(name[bytes.IndexByte(name, ':')+1:])
}

// is tells whether an element has that name, with its prefix if it has one.
func is(el []byte, name string) bool {
	n := len(name) + 1
	return len(el) > n && string(el[1:n]) == name && (el[n] <= ' ' || el[n] == '>' || el[n] == '/')
}
