package xml

import "strconv"

// Append appends the element as it has to stand where the default namespace is space. What it appends is well-formed
// whatever the strings in e are: names that are none are repaired, an attribute that repeats the name of one before it
// is left out, and so is one called xmlns.
func (e *Element) Append(dst []byte, space string) []byte {
	name := e.written()
	dst = append(dst, '<')
	dst = append(dst, name.Local...)
	if name.Space != space {
		dst = append(dst, " xmlns='"...)
		dst = AppendEscaped(dst, name.Space)
		dst = append(dst, '\'')
	}
	for i := range e.Attrs {
		dst = e.appendAttr(dst, i)
	}
	if e.Empty() {
		return append(dst, '/', '>')
	}
	dst = append(dst, '>')
	dst = e.AppendInside(dst, name.Space)
	dst = append(dst, '<', '/')
	dst = append(dst, name.Local...)
	return append(dst, '>')
}

// String is the element as it has to stand where there is no default namespace.
func (e *Element) String() string { return string(e.Append(nil, "")) }

// written is the name that Append writes.
func (e *Element) written() Name {
	n := Name{cleanText(e.Name.Space), cleanName(e.Name.Local)}
	if n.Space == Namespace || n.Space == namespaceXMLNS {
		n.Space = "" // they cannot be declared as the default namespace
	}
	return n
}

// writtenAttr is the name that appendAttr writes, and whether it writes any.
func (e *Element) writtenAttr(i int) (Name, bool) {
	n := cleanAttr(e.Attrs[i].Name)
	if n.Space == namespaceXMLNS || n.Space == "" && n.Local == "xmlns" {
		return n, false
	}
	for j := range i {
		if cleanAttr(e.Attrs[j].Name) == n {
			return n, false
		}
	}
	return n, true
}

func cleanAttr(n Name) Name { return Name{cleanText(n.Space), cleanName(n.Local)} }

// appendAttr appends attribute i with a space before it, and the declaration of its prefix where it is the first to use that.
func (e *Element) appendAttr(dst []byte, i int) []byte {
	name, ok := e.writtenAttr(i)
	if !ok {
		return dst
	}
	dst = append(dst, ' ')
	switch name.Space {
	case "":
	case Namespace:
		dst = append(dst, "xml:"...)
	default:
		n := e.prefix(i, name.Space)
		if n == i {
			dst = append(appendPrefix(append(dst, "xmlns:"...), n), "='"...)
			dst = AppendEscaped(dst, name.Space)
			dst = append(dst, '\'', ' ')
		}
		dst = append(appendPrefix(dst, n), ':')
	}
	dst = append(dst, name.Local...)
	dst = append(dst, '=', '\'')
	dst = AppendEscaped(dst, e.Attrs[i].Value)
	return append(dst, '\'')
}

// prefix is the number of the prefix for space, the namespace of attribute i: the first attribute in that namespace.
func (e *Element) prefix(i int, space string) int {
	for j := range i {
		if name, ok := e.writtenAttr(j); ok && name.Space == space {
			return j
		}
	}
	return i
}

// appendPrefix appends the prefix number n. All prefixes are made here: n0, n1 and so on.
func appendPrefix(dst []byte, n int) []byte { return strconv.AppendInt(append(dst, 'n'), int64(n), 10) }
