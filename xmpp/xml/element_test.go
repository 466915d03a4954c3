package xml

import (
	"reflect"
	"strings"
	"testing"
)

// TestElement: making, asking, changing.
func TestElement(t *testing.T) {
	e := New(client, "message", A("to", "bob@example.org"), A("type", "chat")).
		With(New(client, "body").WithText("1 < 2 & 'x' \"y\" ]]> z"), New("urn:x", "a"), nil).
		WithText("\ttext\r\n")
	want := `<message xmlns='jabber:client' to='bob@example.org' type='chat'>` +
		`<body>1 &lt; 2 &amp; &apos;x&apos; "y" ]]&gt; z</body><a xmlns='urn:x'/>` + "\ttext&#xD;\n" + `</message>`
	if got := e.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if e.Len() != 2 || e.NameOf(1) != (Name{"urn:x", "a"}) || !e.Has("urn:x", "a") || e.Has(client, "a") || e.Child(client, "a") != nil {
		t.Error("wrong index")
	}
	if got := e.Child(client, "body").Text(); got != "1 < 2 & 'x' \"y\" ]]> z" {
		t.Errorf("body %q", got)
	}
	if e.Text() != "\ttext\r\n" || e.First().Name.Local != "body" || e.Attr("to") != "bob@example.org" || e.Attr("from") != "" {
		t.Error("wrong answers")
	}
	checkForm(t, e)

	f := e.WithAttr("to", "carol").WithAttr("id", "a\n\t\r'<&>\"")
	if f.Attr("to") != "carol" || e.Attr("to") != "bob@example.org" || len(e.Attrs) != 2 || f.Attr("id") != "a\n\t\r'<&>\"" {
		t.Error("WithAttr")
	}
	checkForm(t, f)
	if again := mustParse(t, f.String(), ""); again.Attr("id") != f.Attr("id") {
		t.Errorf("id %q", again.Attr("id"))
	}
	for kid := range e.Children() {
		if kid.Name.Local != "body" {
			t.Error("went on after break")
		}
		break
	}
	var zero Content
	if !zero.Empty() || zero.Len() != 0 || zero.First() != nil || zero.Child("", "") != nil || zero.ChildAttr("", "", "") != "" || zero.Text() != "" || zero.Raw() != "" {
		t.Error("zero Content")
	}
	if New("", "a").String() != "<a/>" || New("x", "a").String() != "<a xmlns='x'/>" || string(New("x", "a").Append(nil, "x")) != "<a/>" {
		t.Error("empty elements")
	}
}

// TestCopies: methods that change something leave alone what they were called on.
func TestCopies(t *testing.T) {
	e := mustParse(t, `<a xmlns='x' b='1'>t<c/>u<d/>v</a>`, "")
	before := story([]*Element{e}, nil)
	e.With(New("x", "e"))
	e.With(New("y", "f"))
	e.WithText("w")
	e.WithAttr("b", "2")
	e.WithAttr("c", "3")
	e.Without(func(k *Element) bool { return k.Name.Local == "c" })
	if after := story([]*Element{e}, nil); after != before {
		t.Errorf("was %s\nis  %s", before, after)
	}
}

// TestWithout: what is cut out leaves text behind that is well-formed.
func TestWithout(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`<a/>`, ``},
		{`<a><x/></a>`, ``},
		{`<a><x/><b/><x>y</x></a>`, `<b/>`},
		{`<a>t<x/>u<b>v</b>w<x/>z</a>`, `tu<b>v</b>wz`},
		{`<a><b><x/></b></a>`, `<b><x/></b>`},
		{`<a>]]<x/>></a>`, `]]&gt;`},
		{`<a>]<x/>]></a>`, `]]&gt;`},
		{`<a>]<x/>]<x/>></a>`, `]]&gt;`},
		{`<a>]]<x/><b/>></a>`, `]]<b/>>`},
		{`<a>x]<x/><x/>]>y<b/></a>`, `x]]&gt;y<b/>`},
		{`<a><![CDATA[]]]]><x/>></a>`, `<![CDATA[]]]]>>`},
		{`<a>]]<x/><![CDATA[>]]></a>`, `]]<![CDATA[>]]>`},
		{"<a>\r<x/>\n</a>", "\n\n"},
		{"<a>]\r<x/>]></a>", "]\n]>"},
	} {
		for _, space := range []string{"", "jabber:client"} {
			e := mustParse(t, c.in, space)
			d := *e
			d.Content = e.Without(func(k *Element) bool { return k.Name.Local == "x" })
			if d.Raw() != c.want {
				t.Errorf("%q: %q, want %q", c.in, d.Raw(), c.want)
			}
			checkForm(t, &d)
			if d.Text() != e.Text() {
				t.Errorf("%q: text %q, before %q", c.in, d.Text(), e.Text())
			}
		}
	}
}

// TestWithTextAfter: text that is appended stays apart from what is there.
func TestWithTextAfter(t *testing.T) {
	for _, in := range []string{"<a>\r</a>", "<a>]]</a>", "<a><![CDATA[x]]></a>", "<a>]</a>", "<a/>", "<a>b<c/></a>"} {
		for _, add := range []string{"\n", ">", "]>", "]]>", "&amp;", "\r", "", "<b/>"} {
			e := mustParse(t, in, "")
			f := e.WithText(add)
			checkForm(t, f)
			if f.Text() != e.Text()+add {
				t.Errorf("%q and %q: %q", in, add, f.Text())
			}
		}
	}
}

// TestElsewhere: content that goes into an element of another namespace keeps its meaning.
func TestElsewhere(t *testing.T) {
	m := mustParse(t, `<message>t<body>hi</body><x xmlns='urn:x'><y/></x>u<thread/></message>`, client)
	for _, space := range []string{client, "jabber:server", "", "urn:x"} {
		e := &Element{Name: Name{space, "outer"}, Content: m.Content}
		again := mustParse(t, e.String(), "")
		got, want := &node{kids: tree(t, again).kids}, &node{kids: tree(t, m).kids}
		if got.String() != want.String() {
			t.Errorf("in %q\ngot  %s\nwant %s", space, got, want)
		}
	}
	// A Content that was started without a namespace declares all that it holds.
	if c := (Content{}).With(m.First()); c.Raw() != `<body xmlns='jabber:client'>hi</body>` {
		t.Error(c.Raw())
	}
	if c := In(client).With(m.First()); c.Raw() != `<body>hi</body>` {
		t.Error(c.Raw())
	}
	outer := New("urn:xmpp:forward:0", "forwarded").With(m)
	if s := outer.String(); s != `<forwarded xmlns='urn:xmpp:forward:0'>`+m.String()+`</forwarded>` {
		t.Error(s)
	}
	checkForm(t, outer)
}

// hostile is what nobody should call anything.
var hostile = []string{
	"", " ", "a b", "a>", "<a", "a/", "a='b'", "a'", `a"`, "1a", "-", ".", "a:b", ":", "xmlns", "xmlns:a", "xml:lang", "xml", "a\x00", "\xff", "\u00d7", "é", "\u0301",
	"a\n", "]]>", "<!--", "<![CDATA[", "&lt;", "&", "&#0;", "\ufffe", "\U00010400", strings.Repeat("a", 300), Namespace, namespaceXMLNS, "urn:x", "urn:x\x01", "urn:x\ufffd",
}

// TestHostileNames: names and namespaces that are none never become markup, and elements and attributes stay apart.
func TestHostileNames(t *testing.T) {
	for i, a := range hostile {
		for j, b := range hostile {
			if (i+j)%4 != 0 {
				continue // enough in every run; FuzzSerializer has time for more
			}
			checkHostile(t, a, b, a+b, b)
			checkHostile(t, "ok", "urn:ok", a, b)
		}
	}
}

// checkHostile puts strings into every place that takes one.
func checkHostile(tb testing.TB, a, b, c, d string) {
	tb.Helper()
	e := &Element{Name: Name{b, a}, Attrs: []Attr{
		{Name{d, c}, a}, {Name{b, c}, b}, A(c, c), A(d, d), {Name{c, c}, d}, {Name{Namespace, d}, c}, {Name{d, c}, "again"}, {Name{b, d}, ""},
	}}
	e = e.WithText(c).With(New(b, c).WithText(d), New("", d), &Element{Name: Name{c, a}, Content: New(d, a).With(New(d, b), New(b, d)).Content})
	s := e.String()
	got, err := Parse(s, "", Limits{})
	if err != nil {
		tb.Fatalf("%q: %v", s, err)
	}
	if trees, err := stdTrees([]byte("<x>"+s+"</x>"), 2); err != nil {
		tb.Fatalf("%q: encoding/xml: %v", s, err)
	} else if g, w := blurred(tree(tb, got)), blurred(trees[1]); g != w {
		tb.Fatalf("%q\ngot  %s\nwant %s", s, g, w)
	}
	if got.Len() != 3 || got.Text() != cleanText(c) || got.NameOf(0).Local != cleanName(c) || got.First().Text() != cleanText(d) {
		tb.Fatalf("%q: %v", s, tree(tb, got))
	}
	for _, a := range got.Attrs {
		if a.Value == "again" {
			tb.Fatalf("%q: the second attribute of a name was written", s)
		}
	}
	if got.Attr(cleanName(c)) != cleanText(c) && cleanName(c) != "xmlns" && b != "" && d != "" {
		tb.Fatalf("%q: attribute %q is %q, not %q", s, cleanName(c), got.Attr(cleanName(c)), c)
	}
	checkForm(tb, got)
	d2 := *e
	d2.Content = e.Without(func(k *Element) bool { return k.Name.Local == cleanName(d) })
	checkForm(tb, mustParse(tb, d2.String(), ""))
	if !reflect.DeepEqual(tree(tb, got).attrs, tree(tb, mustParse(tb, got.String(), "")).attrs) {
		tb.Fatalf("%q: attributes change", s)
	}
}

// FuzzSerializer: no string gets out of the place it was put into.
func FuzzSerializer(f *testing.F) {
	for i, s := range hostile {
		f.Add(s, hostile[(i+1)%len(hostile)], hostile[(i+7)%len(hostile)], hostile[(i+11)%len(hostile)])
	}
	f.Fuzz(func(t *testing.T, a, b, c, d string) { checkHostile(t, a, b, c, d) })
}

// TestAppendEscaped: values come back as they were, in text and in attributes.
func TestAppendEscaped(t *testing.T) {
	for _, c := range []struct{ in, want, back string }{
		{"", "", ""},
		{"plain", "plain", "plain"},
		{`<&>'"]]>`, `&lt;&amp;&gt;&apos;"]]&gt;`, `<&>'"]]>`},
		{"\t\n\r", "&#x9;&#xA;&#xD;", "\t\n\r"},
		{"\x00\x1b\x7f", "\ufffd\ufffd\x7f", "\ufffd\ufffd\x7f"},
		{"caf\xe9", "caf\ufffd", "caf\ufffd"},
		{"\xed\xa0\x80", "\ufffd\ufffd\ufffd", "\ufffd\ufffd\ufffd"},
		{"\ufffe\uffff\ufffd\U0010ffff", "\ufffd\ufffd\ufffd\U0010ffff", "\ufffd\ufffd\ufffd\U0010ffff"},
		{"héllo <b>", "héllo &lt;b&gt;", "héllo <b>"},
	} {
		s := string(AppendEscaped([]byte("x"), c.in))
		if s != "x"+c.want {
			t.Errorf("%q: %q, want %q", c.in, s, c.want)
		}
		if cleanText(c.in) != c.back {
			t.Errorf("cleanText(%q) = %q", c.in, cleanText(c.in))
		}
		e := mustParse(t, "<a b='"+s[1:]+"'>"+s[1:]+"</a>", "")
		if e.Attr("b") != c.back || e.Text() != c.back {
			t.Errorf("%q came back as %q and %q", c.in, e.Attr("b"), e.Text())
		}
	}
}

// TestAppendEscapedEverywhere: a character is escaped wherever it stands.
func TestAppendEscapedEverywhere(t *testing.T) {
	for c := range 256 {
		one := string(AppendEscaped(nil, string([]byte{byte(c)})))
		for at := range 20 {
			before, behind := strings.Repeat("x", at), strings.Repeat("y", 19-at)
			if got := string(AppendEscaped(nil, before+string([]byte{byte(c)})+behind)); got != before+one+behind {
				t.Errorf("%#x at %d: %q", c, at, got)
			}
		}
	}
}

// TestKind: every kind has words.
func TestKind(t *testing.T) {
	for k := NotWellFormed; k <= TooLarge; k++ {
		if strings.HasPrefix(k.String(), "kind") {
			t.Error(k)
		}
	}
	if Kind(99).String() != "kind 99" {
		t.Error(Kind(99))
	}
}
