package xml

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
)

const (
	client  = "jabber:client"
	streams = "http://etherx.jabber.org/streams"
)

// TestStream reads a whole stream: header, elements of all forms, white space between them, end.
func TestStream(t *testing.T) {
	in := streamHeader + "\n <message to='bob@example.org'>\r\n<body a=\"'\">1 &lt; 2 &#x1F600;</body></message> \t\r\n" +
		"<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><x/></stream:features>" +
		"<presence/><iq ></iq\n></stream:stream >"
	els, err := everyWay(t, func() *Scanner { return NewScanner(wire) }, []byte(in))
	if err != io.EOF || len(els) != 5 {
		t.Fatalf("%d elements, then %v", len(els), err)
	}
	root := els[0]
	if root.Name != (Name{streams, "stream"}) || !root.Empty() || root.Attr("from") != "bob@example.org" || root.Lang() != "en" || len(root.Attrs) != 4 {
		t.Errorf("header: %v", root)
	}
	if m := els[1]; m.Name != (Name{client, "message"}) || m.Child(client, "body").Text() != "1 < 2 \U0001F600" || m.Text() != "\n" || m.Child(client, "body").Attr("a") != "'" {
		t.Errorf("message: %v", m)
	}
	if f := els[2]; f.Name != (Name{streams, "features"}) || f.Len() != 2 || f.NameOf(0).Local != "starttls" || f.NameOf(1) != (Name{client, "x"}) ||
		f.Raw() != "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><x xmlns='jabber:client'/>" {
		t.Errorf("features: %v", f)
	}
	if p := els[3]; p.Name.Local != "presence" || !p.Empty() || p.String() != "<presence xmlns='jabber:client'/>" {
		t.Errorf("presence: %v", p)
	}
	if q := els[4]; q.Name.Local != "iq" || !q.Empty() {
		t.Errorf("iq: %v", q)
	}
}

// TestHeader: forms that a header may have.
func TestHeader(t *testing.T) {
	for _, c := range []struct {
		in, space, def string
		end            error
	}{
		{"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>", streams, client, ErrMore},
		{"<stream xmlns='http://etherx.jabber.org/streams'>", streams, streams, ErrMore},
		{"<s:stream xmlns:s='http://etherx.jabber.org/streams'>", streams, "", ErrMore},
		{"<a/>", "", "", io.EOF},
		{"<s:a xmlns:s='x' xmlns='y' s:b='1' />\n", "x", "y", io.EOF},
		{"<a></a>", "", "", io.EOF},
		{" \r\n\t<a>", "", "", ErrMore},
		{`<?xml version="1.0"?><a>`, "", "", ErrMore},
		{"<?xml\tversion = '1.0'\r\nencoding='utf-8'\nstandalone=\"yes\" ?>\n<a>", "", "", ErrMore},
		{"<?xml version='1.0' standalone='no'?> <a>", "", "", ErrMore},
	} {
		els, err := everyWay(t, func() *Scanner { return NewScanner(wire) }, []byte(c.in))
		if err != c.end || len(els) != 1 || els[0].Name.Space != c.space || !els[0].Empty() {
			t.Errorf("%q: %v, %v", c.in, els, err)
		}
		s := NewScanner(wire)
		s.Feed([]byte(c.in))
		if s.Next(); s.Default() != c.def {
			t.Errorf("%q: default namespace %q", c.in, s.Default())
		}
	}
}

// TestEnd: nothing is read after the root was closed or something was refused.
func TestEnd(t *testing.T) {
	s := inStream(t, wire)
	els, err := read(s, []byte("</stream:stream><a/>"), []byte("<a/>"))
	if len(els) != 0 || err != io.EOF {
		t.Errorf("%v, %v", els, err)
	}
	els, err = read(s, []byte("<a/>"))
	if len(els) != 0 || err != io.EOF || s.Buffered() {
		t.Errorf("after the end: %v, %v", els, err)
	}
}

// TestCut: the first bytes of everything are no error.
func TestCut(t *testing.T) {
	in := `<?xml version='1.0' encoding="UTF-8"?><p:a xmlns:p='x' b='&lt;&#233;"'>` +
		`<c d="é" xml:lang='en'>é&amp;]] ]>&#x41;<![CDATA[<]]]]></c ></p:a>`
	for i := range in {
		if _, err := read(NewScanner(wire), []byte(in[:i])); err != ErrMore {
			t.Fatalf("%q: %v", in[:i], err)
		}
	}
}

// TestBuffered: what follows in the same read is visible before Next takes it.
func TestBuffered(t *testing.T) {
	for _, rest := range []string{"", " ", "<", "<iq/>", "\x16"} {
		s := inStream(t, wire)
		s.Feed([]byte("<starttls/>" + rest))
		if !s.Buffered() {
			t.Error("nothing there before Next")
		}
		if _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
		if got := s.Buffered(); got != (rest != "") {
			t.Errorf("%q after an element: Buffered() = %v", rest, got)
		}
	}
	s := inStream(t, wire)
	if read(s, []byte(" \n")); s.Buffered() {
		t.Error("white space stays")
	}
	if read(s, []byte("<a>")); !s.Buffered() {
		t.Error("an unfinished element is not there")
	}
}

// TestFeedTwice: what was fed before Next was called adds up.
func TestFeedTwice(t *testing.T) {
	s := inStream(t, wire)
	for _, p := range []string{"<a", "/><b>", "</b", "><c/"} {
		s.Feed([]byte(p))
	}
	if els, err := drain(s); len(els) != 2 || err != ErrMore {
		t.Errorf("%v, %v", els, err)
	}
	s.Feed([]byte(">"))
	s.Feed(nil)
	if els, err := drain(s); len(els) != 1 || err != ErrMore {
		t.Errorf("%v, %v", els, err)
	}
}

// TestIdle: between two elements a Scanner holds no memory but itself, whatever it read.
func TestIdle(t *testing.T) {
	for _, in := range []string{
		chatMessage, " \n", "<a>" + strings.Repeat("<b c='1' d='2'/>", 4000) + "</a>", "<stream:a>" + strings.Repeat("x", 1<<17) + "</stream:a>",
	} {
		s := inStream(t, wire)
		if _, err := read(s, each([]byte(in))...); err != ErrMore {
			t.Fatal(err)
		}
		if s.buf != nil || s.r != nil {
			t.Errorf("%.20q: %d bytes kept", in, cap(s.buf))
		}
	}
}

// TestSetLimits: other limits hold at once, also for an element that is half there.
func TestSetLimits(t *testing.T) {
	half := "<a b='" + strings.Repeat("x", 100) + "'>" + strings.Repeat("y", 100)
	for most := 1; most < 300; most++ {
		for _, cut := range []int{1, 20, 105, 108, 109, 150, len(half)} {
			s := inStream(t, wire)
			if _, err := read(s, []byte(half[:cut])); err != ErrMore {
				t.Fatal(err)
			}
			s.SetLimits(&Limits{Bytes: most})
			els, err := read(s, []byte(half[cut:]+"</a>"))
			if ok := len(half)+4 <= most; ok != (len(els) == 1) || !ok && kindOf(err) != TooLarge {
				t.Fatalf("limit %d after %d bytes: %v, %v", most, cut, els, err)
			}
		}
	}
}

// TestElementIsFresh: an element stays what it was when the bytes it came from change.
func TestElementIsFresh(t *testing.T) {
	s := inStream(t, wire)
	in := []byte(chatMessage + "<stream:a b='c'>d</stream:a>")
	s.Feed(in)
	els, err := drain(s)
	if err != ErrMore || len(els) != 2 {
		t.Fatal(els, err)
	}
	before := story(els, nil)
	clear(in)
	if after := story(els, nil); after != before {
		t.Errorf("was %s\nis  %s", before, after)
	}
}

// TestOffset: an error counts from the beginning of the stream.
func TestOffset(t *testing.T) {
	in := []byte("<a/> <b><c></b>")
	want := int64(len(streamHeader) + strings.Index(string(in), "</b>"))
	_, err := everyWay(t, func() *Scanner { return inStream(t, wire) }, in)
	if e, ok := err.(*Error); !ok || e.Offset != want || !strings.Contains(err.Error(), fmt.Sprint("byte ", want)) {
		t.Errorf("%v; want byte %d", err, want)
	}
}

// attributes is about n bytes of an element with very many attributes.
func attributes(n int) string {
	var b strings.Builder
	b.WriteString("<a>")
	for i := 0; b.Len() < n-600; {
		b.WriteString("<b")
		for range 60 {
			fmt.Fprintf(&b, " a%d='1'", i%977)
			i++
		}
		b.WriteString("/>")
	}
	b.WriteString("</a>")
	return b.String()
}

// heavy is about n bytes of elements that are hard for a Scanner, each in another way.
func heavy(n int) map[string]string {
	fill := func(open, part, end string) string {
		return open + strings.Repeat(part, (n-len(open)-len(end))/len(part)) + end
	}
	depth := n / 7
	return map[string]string{
		"one tag":           fill("<a b='", "x", "'/>"),
		"quotes":            fill(`<a b="`, "'", `"/>`),
		"space in a tag":    fill("<a ", " ", "/>"),
		"space before '='":  fill("<a b", " ", "='c'/>"),
		"space after '='":   fill("<a b=", " ", "'c'/>"),
		"space in end tag":  fill("<a></a", " ", ">"),
		"elements":          fill("<a>", "<b/>", "</a>"),
		"text":              fill("<a>", "x", "</a>"),
		"brackets":          fill("<a>", "]", "</a>"),
		"entities":          fill("<a>", "&#0000000000000000000000065;", "</a>"),
		"entities in value": fill("<a b='", "&lt;", "'/>"),
		"three-byte text":   fill("<a>", "\u4e00", "</a>"),
		"CDATA":             fill("<a><![CDATA[", "]]&", "]]></a>"),
		"CDATA sections":    fill("<a>", "<![CDATA[]]>", "</a>"),
		"line ends":         fill("<a>", "\r\n", "</a>"),
		"deep":              strings.Repeat("<a>", depth) + strings.Repeat("</a>", depth),
		"prefixes":          fill("<a xmlns:p='x'>", "<p:b/>", "</a>"),
		"long namespace":    fill("<a xmlns:p='"+strings.Repeat("x", 3000)+"'>", "<p:b/>", "</a>"),
		"declarations":      fill("<a>", "<p:b xmlns:p='x' p:c=''/>", "</a>"),
		"default spaces":    fill("<a>", "<b xmlns='x&amp;'/>", "</a>"),
		"many attributes":   "<a" + manyNames(n-10) + "/>",
		"many prefixed":     fill("<a xmlns:p='x'>", "<b"+strings.ReplaceAll(manyNames(300), " ", " p:")+"/>", "</a>"),
		"white space":       fill("", " ", "<a/>"),
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, " a%x=''", i)
	}
	return b.String()
}

// TestLinear: byte by byte costs a bounded number of looks at each byte, and memory in proportion.
func TestLinear(t *testing.T) {
	cases := heavy(64 << 10)
	cases["attributes"] = attributes(256 << 10)
	for name, in := range cases {
		size := uint64(len(in))
		t.Run(name, func(t *testing.T) {
			for _, way := range []string{"whole", "bytes"} {
				l := Limits{} // worse than any that is used
				s := inStream(t, l)
				pieces := [][]byte{[]byte(in)}
				if way == "bytes" {
					pieces = each([]byte(in))
				}
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				var last error
				n := 0
				for _, p := range pieces {
					s.Feed(p)
					for {
						var e *Element
						if e, last = s.Next(); last != nil {
							break
						}
						runtime.KeepAlive(e)
						n++
					}
				}
				runtime.ReadMemStats(&after)
				if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 32*size+64<<10 {
					t.Errorf("%s: %d bytes allocated, %.1f times the input", way, allocated, float64(allocated)/float64(size))
				}
				if s.work > 6*len(in) {
					t.Errorf("%s: %d looks at %d bytes", way, s.work, len(in))
				}
				if last != ErrMore && kindOf(last) != TooLarge || last == ErrMore && n != 1 {
					t.Errorf("%s: %d elements, then %v", way, n, last)
				}
			}
		})
	}
}

// TestLend: what is copied of an element that was lent stays good when the next one is read, and so do its strings.
func TestLend(t *testing.T) {
	s := inStream(t, wire)
	s.Feed([]byte("<message id='1'><body>one</body></message><message id='2' to='x'><subject/><thread/></message>"))
	first, err := s.Lend()
	if err != nil {
		t.Fatal(err)
	}
	id, content := first.Attr("id"), first.Content
	second, err := s.Lend()
	if err != nil || second.Attr("id") != "2" || second.Attr("to") != "x" || second.Len() != 2 {
		t.Errorf("then %v, %v", second, err)
	}
	if id != "1" || content.Len() != 1 || content.NameOf(0).Local != "body" || content.Child(client, "body").Text() != "one" {
		t.Errorf("id %q, content %s with %d children", id, content.Raw(), content.Len())
	}
	if _, err := s.Next(); err != ErrMore || s.r != nil {
		t.Errorf("%v; memory is held between two elements: %v", err, s.r != nil)
	}
}

// TestRoot: a root that is read as it stands is the same as in its canonical form.
func TestRoot(t *testing.T) {
	for _, text := range []string{
		strings.TrimPrefix(streamHeader, "<?xml version='1.0'?>"), "<a>", "<a/>", "<a b='c'>", "<a xmlns='x'>", "<p:a xmlns:p='x'>", "<p:a xmlns='y' xmlns:p='x'>", "<p:a xmlns='x' xmlns:p='x' b='&lt;'>",
		"<p:a xmlns:p='x' xml:lang='de' b='1'/>", "<a xmlns:p='x' p:b='1' c='2'>", "<p:a xmlns:p='x' xmlns:q='x' q:b='1' p:c='2'>", "<a xmlns:p='x' b='1'>",
		"<p:a>", "<a p:b='1'>", "<a xmlns:p='x' xmlns:q='x' p:b='1' q:b='2'>",
	} {
		s := NewScanner(Limits{})
		s.Feed([]byte(text))
		got, err := s.Next()

		slow, r, b := NewScanner(Limits{}), borrow(), []byte(text)
		if err := r.read(b, slow.limits, true); err != nil {
			t.Fatal(err)
		}
		slow.r = r
		slow.root(b)
		settled, slowErr := r.settle(b, slow.space, slow.decls, slow.limits)
		if slowErr != nil {
			if kindOf(err) != slowErr.Kind {
				t.Errorf("%s: %v, in canonical form %v", text, err, slowErr)
			}
			continue
		}
		want := r.build(settled, slow.space)
		inside := New("x", "inside")
		if err != nil || got.Name != want.Name || !slices.Equal(got.Attrs, want.Attrs) || got.With(inside).String() != want.With(inside).String() {
			t.Errorf("%s: %v, %v, in canonical form %v", text, got, err, want)
		}
	}
}
