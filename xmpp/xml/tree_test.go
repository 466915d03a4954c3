package xml

import (
	"bytes"
	stdxml "encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// node is an element as everybody has to see it, whoever parsed it.
type node struct {
	name  Name
	attrs []Attr // sorted
	kids  []any  // *node and string in turn, no empty strings, no two strings in a row
}

func (n *node) String() string {
	var b strings.Builder
	n.write(&b, "")
	return b.String()
}

func (n *node) write(b *strings.Builder, indent string) {
	fmt.Fprintf(b, "%s%q %q\n", indent, n.name, n.attrs)
	for _, k := range n.kids {
		if kid, ok := k.(*node); ok {
			kid.write(b, indent+"\t")
		} else {
			fmt.Fprintf(b, "%s\t%q\n", indent, k)
		}
	}
}

func (n *node) text(s string) {
	if s == "" {
		return
	}
	if last := len(n.kids) - 1; last >= 0 {
		if before, ok := n.kids[last].(string); ok {
			n.kids[last] = before + s
			return
		}
	}
	n.kids = append(n.kids, s)
}

func (n *node) addAttrs(attrs []Attr) {
	n.attrs = slices.Clone(attrs)
	slices.SortFunc(n.attrs, func(a, b Attr) int {
		return strings.Compare(a.Name.Space+" "+a.Name.Local, b.Name.Space+" "+b.Name.Local)
	})
}

// tree is e as this package sees it, through what other packages can use of it. It checks the index on its way.
func tree(tb testing.TB, e *Element) *node {
	tb.Helper()
	n := &node{name: e.Name}
	n.addAttrs(e.Attrs)
	if e.space != e.Name.Space && !e.Empty() {
		tb.Fatalf("%v: default namespace inside is %q", e.Name, e.space)
	}
	done := int32(0)
	i := 0
	for kid := range e.Children() {
		k := e.kids[i]
		if k.Name != kid.Name || e.NameOf(i) != kid.Name || !e.Has(kid.Name.Space, kid.Name.Local) {
			tb.Fatalf("child %d of %v is %v in the index and %v parsed", i, e.Name, k.Name, kid.Name)
		}
		if k.start < done || k.end <= k.start || e.text[k.start] != '<' || e.text[k.end-1] != '>' {
			tb.Fatalf("child %d of %v: place %d to %d in %q", i, e.Name, k.start, k.end, e.text)
		}
		n.text(decode(e.text[done:k.start], false))
		n.kids = append(n.kids, tree(tb, kid))
		done = k.end
		i++
	}
	if i != e.Len() {
		tb.Fatalf("%v: %d children, Len is %d", e.Name, i, e.Len())
	}
	n.text(decode(e.text[done:], false))
	return n
}

// stdTrees is what encoding/xml sees in a stream: the root without content, and its first n elements.
func stdTrees(in []byte, n int) (trees []*node, err error) {
	d := stdxml.NewDecoder(bytes.NewReader(in))
	var open []*node
	for len(trees) < n {
		t, err := d.Token()
		if err != nil {
			return trees, err
		}
		switch t := t.(type) {
		case stdxml.StartElement:
			e := &node{name: Name(t.Name)}
			var attrs []Attr
			for _, a := range t.Attr {
				if a.Name.Space != "xmlns" && (a.Name.Space != "" || a.Name.Local != "xmlns") {
					attrs = append(attrs, Attr{Name(a.Name), a.Value})
				}
			}
			e.addAttrs(attrs)
			switch len(open) {
			case 0:
				trees = append(trees, &node{name: e.name, attrs: e.attrs})
			case 1:
			default:
				up := open[len(open)-1]
				up.kids = append(up.kids, e)
			}
			open = append(open, e)
		case stdxml.EndElement:
			e := open[len(open)-1]
			open = open[:len(open)-1]
			if len(open) == 1 {
				trees = append(trees, e)
			}
		case stdxml.CharData:
			if len(open) > 1 {
				open[len(open)-1].text(string(t))
			}
		case stdxml.ProcInst:
		default:
			return trees, fmt.Errorf("token %T", t)
		}
	}
	return trees, nil
}

// blurred is a tree in print without what encoding/xml leaves undone: white space in values, names of namespaces among
// them, becomes spaces (XML 1.0 §3.3.3), and an element may be called xmlns.
func blurred(n *node) string {
	spaces := strings.NewReplacer("\n", " ", "\t", " ")
	blur := func(n Name) Name {
		if n.Local == "xmlns" {
			return Name{"", n.Local}
		}
		return Name{spaces.Replace(n.Space), n.Local}
	}
	c := &node{name: blur(n.name)}
	for _, a := range n.attrs {
		if a.Name.Space == "xmlns" {
			continue // a namespace of that name looks like a declaration there
		}
		c.attrs = append(c.attrs, Attr{blur(a.Name), spaces.Replace(a.Value)})
	}
	for _, k := range n.kids {
		if kid, ok := k.(*node); ok {
			c.kids = append(c.kids, blurred(kid))
		} else {
			c.kids = append(c.kids, k)
		}
	}
	return c.String()
}

// checkAgainstStandard reads in, a stream, both ways: what the Scanner yields encoding/xml must yield too, with the same meaning.
func checkAgainstStandard(tb testing.TB, in []byte, els []*Element) {
	tb.Helper()
	trees, err := stdTrees(in, len(els))
	if err != nil {
		tb.Fatalf("encoding/xml refuses what was accepted, after %d of %d elements: %v\n%q", len(trees), len(els), err, in)
	}
	for i, e := range els {
		if got, want := blurred(tree(tb, e)), blurred(trees[i]); got != want {
			tb.Fatalf("element %d of %q\ngot  %s\nwant %s", i, in, got, want)
		}
	}
}

// checkForm checks that e is in canonical form and means the same wherever it is put.
func checkForm(tb testing.TB, e *Element) {
	tb.Helper()
	want := tree(tb, e).String()
	checkPrefixes(tb, e)
	for kid := range e.Children() {
		for _, a := range append(slices.Clone(kid.Attrs), Attr{Name: Name{Local: "absent"}}, Attr{Name: Name{Local: "xmlns"}}) {
			n := kid.Name
			if got, want := e.ChildAttr(n.Space, n.Local, a.Name.Local), e.Child(n.Space, n.Local).Attr(a.Name.Local); got != want {
				tb.Fatalf("attribute %s of %s in %q is %q and not %q", a.Name.Local, n.Local, e.Raw(), got, want)
			}
		}
	}
	for _, space := range []string{"", client, e.Name.Space, "urn:other"} {
		s := string(e.Append(nil, space))
		again, err := Parse(s, space, Limits{})
		if err != nil {
			tb.Fatalf("%q, written by Append: %v", s, err)
		}
		if got := tree(tb, again).String(); got != want {
			tb.Fatalf("%q in %q\ngot  %s\nwant %s", s, space, got, want)
		}
		if twice := string(again.Append(nil, space)); twice != s {
			tb.Fatalf("written %q, then %q", s, twice)
		}
		inside := `<x xmlns='` + string(AppendEscaped(nil, space)) + `'>` + string(e.AppendInside(nil, space)) + `</x>`
		x, err := Parse(inside, "", Limits{})
		if err != nil {
			tb.Fatalf("%q, content inside another element: %v", inside, err)
		}
		if got, want := (&node{kids: tree(tb, x).kids}).String(), (&node{kids: tree(tb, e).kids}).String(); got != want {
			tb.Fatalf("content in %q\ngot  %s\nwant %s", inside, got, want)
		}
	}
}

// checkPrefixes checks by other means than this package's that no element in the content of e has a prefix, and no attribute one from elsewhere.
func checkPrefixes(tb testing.TB, e *Element) {
	tb.Helper()
	d := stdxml.NewDecoder(strings.NewReader("<x>" + e.Raw() + "</x>"))
	for {
		t, err := d.RawToken()
		if err != nil {
			return
		}
		start, ok := t.(stdxml.StartElement)
		if !ok {
			continue
		}
		declared := []string{"", "xml", "xmlns"}
		for _, a := range start.Attr {
			if a.Name.Space == "xmlns" {
				declared = append(declared, a.Name.Local)
			}
		}
		for _, a := range start.Attr {
			if start.Name.Space != "" || !slices.Contains(declared, a.Name.Space) {
				tb.Fatalf("not canonical: <%s> in %q", start.Name, e.Raw())
			}
		}
	}
}
