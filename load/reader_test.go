package load

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"parley/xmpp/xml"
)

// TestFrame cuts what comes at every byte: nothing is complete before its last one, and what follows is not part of it.
func TestFrame(t *testing.T) {
	for _, el := range []string{
		"<a/>", "<a />", "<a></a>", "<a>text</a>", "<a\n b='1'/>", "<a><b/><c>d</c></a>", "<a><a><a/></a></a>",
		"<stream:error><x/></stream:error>", "<a b='/'></a>", "<a b='/>'>'</a>", `<a b=">" c='"'/>`, "<a b='</a>'><c d='<'/>\"</a>",
		"<a><![CDATA[</a>'\"]]]></a>", "<message to='a@b/c'><body>1 &gt; 2</body></message >",
	} {
		for n := range len(el) {
			if got := frame([]byte(el[:n])); got != 0 {
				t.Errorf("%q: %d", el[:n], got)
			}
		}
		for _, behind := range []string{"", " ", "<", "</", "<b/>", "</stream:stream>"} {
			if got := frame([]byte(el + behind)); got != len(el) {
				t.Errorf("%q: %d, want %d", el+behind, got, len(el))
			}
		}
	}
	for _, end := range []string{"</stream:stream>", "</a >"} {
		for n := range len(end) {
			if got := frame([]byte(end[:n])); got != 0 {
				t.Errorf("%q: %d", end[:n], got)
			}
		}
		if got := frame([]byte(end)); got != -1 {
			t.Errorf("%q: %d, want -1", end, got)
		}
	}
}

// TestTake hands a stream over in pieces of every size: the elements are always the same.
func TestTake(t *testing.T) {
	const in = " <message a='>'><body>1</body></message>\n\r\t<presence/><r xmlns='urn:xmpp:sm:3'/><iq><x/></iq> </stream:stream>"
	want := []string{"<message a='>'><body>1</body></message>", "<presence/>", "<iq><x/></iq>"}
	for size := 1; size <= len(in); size++ {
		var got []string
		var err error
		c := new(conn)
		for p := range slices.Chunk([]byte(in), size) {
			p = bytes.Clone(p) // it is borrowed
			if err = c.take(p, func(_ *conn, el []byte) { got = append(got, string(el)) }); err != nil {
				break
			}
			clear(p)
		}
		if !slices.Equal(got, want) || !errors.Is(err, errEnded) || string(c.out) != "<a xmlns='urn:xmpp:sm:3' h='2'/>" {
			t.Errorf("pieces of %d: %q, %v, %s", size, got, err, c.out)
		}
	}
	c := new(conn)
	if err := c.take([]byte("<stream:error><conflict xmlns='x'/></stream:error>"), nil); err == nil || !strings.Contains(err.Error(), "conflict") {
		t.Errorf("an error of the stream: %v", err)
	}
}

func TestAttr(t *testing.T) {
	for _, c := range []struct{ el, name, want string }{
		{"<a b='1'/>", "b", "1"},
		{"<a b='1' c='2'>", "c", "2"},
		{"<a\n\tb = '1'\r c=\"2\"/>", "b", "1"},
		{"<a\n\tb = '1'\r c=\"2\"/>", "c", "2"},
		{`<a b="it's = 'c'" c='"'>`, "c", `"`},
		{`<a b="it's = 'c'" c='"'>`, "b", "it's = 'c'"},
		{"<a xml:b='1' b='2'/>", "b", "2"},
		{"<a xml:b='1' b='2'/>", "xml:b", "1"},
		{"<a bb='1' b='2'/>", "b", "2"},
		{"<a b=''/>", "b", ""},
		{"<a c='>' b='1'/>", "b", "1"},
		{"<a><b b='1'/></a>", "b", "none"},
		{"<a/>", "a", "none"},
		{"<a", "b", "none"},
		{"<a b='1'", "b", "none"},
		{"<a b=>", "b", "none"},
		{"<a b>", "b", "none"},
		{"", "b", "none"},
	} {
		got := attr([]byte(c.el), c.name)
		if c.want == "none" && got != nil || c.want != "none" && (got == nil || string(got) != c.want) {
			t.Errorf("%s of %s: %q, want %q", c.name, c.el, got, c.want)
		}
	}
}

func TestInside(t *testing.T) {
	for _, c := range []struct{ el, name, want string }{
		{"<a>1</a>", "a", "1"},
		{"<a><b>1</b><b>2</b></a>", "b", "1"},
		{"<a><bb>1</bb><b c='>'>2</b></a>", "b", "2"},
		{"<a><x:b>1</x:b><b\n>2</b></a>", "b", "2"},
		{"<a><x:b>1</x:b></a>", "x:b", "1"},
		{"<a><b></b></a>", "b", ""},
		{"<a><b/></a>", "b", "none"},
		{"<a><b/><b>1</b></a>", "b", "none"},
		{"<a>b</a>", "b", "none"},
		{"<a><b>1", "b", "none"},
		{"<a><b", "b", "none"},
		{"", "b", "none"},
	} {
		got := inside([]byte(c.el), c.name)
		if c.want == "none" && got != nil || c.want != "none" && (got == nil || string(got) != c.want) {
			t.Errorf("%s in %s: %q, want %q", c.name, c.el, got, c.want)
		}
	}
}

func TestIs(t *testing.T) {
	for el, want := range map[string]bool{
		"<r/>": true, "<r>": true, "<r a='1'>": true, "<r\n>": true, "<r": false, "<": false, "": false, "<rr/>": false,
		"<x:r/>": false, "<s/>": false, "</r>": false,
	} {
		if got := is([]byte(el), "r"); got != want {
			t.Errorf("%q: %v", el, got)
		}
	}
}

// FuzzFrame: whatever the scanner of the protocol takes, frame cuts into the same elements.
func FuzzFrame(f *testing.F) {
	for _, s := range []string{
		"<a/>", " <a b='>'>c<d/></a>\n<e></e>", "<a><![CDATA[</a>]]>]]&gt;</a><b/>", "<p:a xmlns:p='x'><p:b/></p:a >", "<a b=\"'/\"/></stream>",
		"<a><b/", "<a>'</a><b c='\"'>\"</b>", "<a><![CDATA[<!-- -->]]></a>",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		s := xml.NewScanner(xml.Limits{})
		s.Feed([]byte("<stream xmlns='jabber:client'>"))
		if _, err := s.Next(); err != nil {
			t.Fatal(err)
		}
		// Byte by byte, so that it is known where the scanner sees an end.
		rest := []byte(in)
		for begin, n := 0, 1; n <= len(in); n++ {
			s.Feed([]byte(in[n-1 : n]))
			_, err := s.Next()
			for len(rest) > 0 && begin < n && blank(rest) > 0 {
				begin += 1
				rest = rest[1:]
			}
			switch {
			case errors.Is(err, xml.ErrMore):
				continue
			case errors.Is(err, io.EOF):
				if got := frame(rest[:n-begin]); got != -1 {
					t.Errorf("the end in %q: %d", in, got)
				}
				return
			case err != nil:
				return // nothing is promised
			}
			if got := frame(rest); got != n-begin {
				t.Fatalf("%q at %d: %d, want %d", in, begin, got, n-begin)
			}
			if got := frame(rest[:n-begin-1]); got != 0 {
				t.Fatalf("%q at %d, without its last byte: %d", in, begin, got)
			}
			rest, begin = rest[n-begin:], n
		}
	})
}
