package load

import "bytes"

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
	head := el[:tag(el)]
	for i := 0; i < len(head); {
		eq := bytes.IndexByte(head[i:], '=')
		if eq < 0 || i+eq+1 >= len(head) {
			return nil
		}
		eq += i
		quote := head[eq+1]
		end := bytes.IndexByte(head[eq+2:], quote)
		if end < 0 {
			return nil
		}
		key := head[bytes.LastIndexByte(head[:eq], ' ')+1 : eq]
		if string(key) == name {
			return head[eq+2 : eq+2+end]
		}
		i = eq + 2 + end + 1
	}
	return nil
}

// inside is the text of the first element called name somewhere in el; nil when there is none.
func inside(el []byte, name string) []byte {
	for p := el; ; {
		i := bytes.IndexByte(p, '<')
		if i < 0 {
			return nil
		}
		p = p[i:]
		n := tag(p)
		if n == 0 {
			return nil
		}
		if is(p, name) && p[n-2] != '/' {
			if end := bytes.IndexByte(p[n:], '<'); end >= 0 {
				return p[n : n+end]
			}
			return nil
		}
		p = p[n:]
	}
}

// is tells whether an element has that name, with its prefix if it has one.
func is(el []byte, name string) bool {
	n := len(name) + 1
	return len(el) > n && string(el[1:n]) == name && (el[n] == ' ' || el[n] == '>' || el[n] == '/')
}
