package xml

import (
	"encoding/base64"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// accepted is what the Scanner must take, each in place of a first-level element.
var accepted = []string{
	chatMessage,
	`<a/>`, `<a />`, "<a\n\t\r>\n</a\n>", `<a.b-c_1/>`, `<_/>`, "<\u00e9l\u00e9ment \u4e00='\u00b7' a\u0301=''/>", `<xmlns/>`, `<xml/>`,
	`<a b="'" c='"' d='>' e='/>' f=']]>'/>`, "<a b = 'c'\r\nd\t=\n\"e\"/>", "<a b='1\t2\n3\r\n4\r5'/>", `<a b='&#9;&#xA;&#13;&#x20;'/>`,
	`<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x41;&#x1f600;&#0000000065;</a>`,
	"<a>1\r\n2\r3\n4\t5&#13;&#10;\r\r\n\n</a>", `<a>]] ] ]>&gt; ]]&gt;</a>`, `<a>></a>`, `<a>'"</a>`, "<a>\u007f\u0085\u009b\u2028\ufeff\ufffd\U0010ffff</a>",
	`<a><![CDATA[]]></a>`, `<a><![CDATA[<b>&amp;]]]]><![CDATA[>]]></a>`, "<a>x<![CDATA[\r\n&#65;\r]]>y<b/>\r\nz</a>", `<a><![CDATA[]]]]]]></a>`,
	`<a><b><c><d/></c></b><b/>text<c>more</c>text</a>`, `<a><a><a></a></a></a>`,
	`<a xml:lang='de' xml:space='preserve' xml:id='x'><b xml:lang=''/></a>`,
	`<a xmlns=''><b xmlns='x'><c xmlns=''/></b><d/></a>`, `<a xmlns='x&amp;y&#x27;'><b xmlns="it's"><c xmlns='"'/></b></a>`, "<a xmlns=' x\ty '><b xmlns='\n'/></a>",
	`<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`,
	`<stream:features/>`, `<a stream:b='c'><d stream:e='f' g='h'/></a>`, `<a><stream:b>t<c/>u</stream:b><d/></a>`,
	`<p:a xmlns:p='x'/>`, `<p:a xmlns:p='jabber:client'><b/><p:c/></p:a>`, `<p:a xmlns:p='x' xmlns='y'><b/><p:c><d/></p:c></p:a>`,
	`<a xmlns:p='x'><p:b xmlns:p='y'><p:c/></p:b><p:d/></a>`, `<a xmlns:p='x' xmlns:q='x'><p:b/><q:c/></a>`, `<a xmlns:p='unused'/>`,
	`<a xmlns:p='x' xmlns:q='y' p:b='1' q:b='2' b='3' xml:b='4' p:c="'" q:c='"'><d p:e='&amp;&#10;' q:f='&lt;'/></a>`,
	`<a xmlns:n0='x' xmlns:n1='y' n1:a='1' n0:b='2' n1:c='3'/>`, `<a xmlns:stream='other'><stream:b/></a>`, `<stream:a xmlns:stream='other'/>`,
	`<a xmlns:p='&#x3c;&amp;&apos;"' p:b=''><p:c/></a>`, `<a xmlns='x' xmlns:p='x' p:b='' b=''/>`,
	`<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='en'/>`, `<a><b xmlns:p='x' p:c='1'><d/></b></a>`, `<a><p:b xmlns:p='x'>&amp;<![CDATA[<p:c>]]></p:b ></a>`,
	`<stream:a><b xmlns='http://etherx.jabber.org/streams'/><stream:c/></stream:a>`, `<xmlfoo:a xmlns:xmlfoo='x'/>`,
	"<p:a xmlns:p='x'\n>\r\n<p:b\t/>]]</p:a\r\n>", `<a b='1'/>`,
}

// TestAccepted: each is accepted however it was cut, with the meaning that encoding/xml sees in it, and in canonical form.
func TestAccepted(t *testing.T) {
	for _, in := range accepted {
		checkStream(t, streamHeader, []byte(in+"<ok/>"), 3)
	}
}

// checkStream reads header and in every way, checks all that is accepted, and that it is n elements (n < 0: any number).
func checkStream(tb testing.TB, header string, in []byte, n int) {
	tb.Helper()
	in = append([]byte(header), in...)
	els, err := everyWay(tb, func() *Scanner { return NewScanner(wire) }, in)
	if n >= 0 && (len(els) != n || !atEnd(err)) {
		tb.Fatalf("%q: %d elements, then %v", in, len(els), err)
	}
	checkAgainstStandard(tb, in, els)
	for _, e := range els {
		checkForm(tb, e)
	}
}

// TestNames: what a name may be made of, all other XML readers agree on.
func TestNames(t *testing.T) {
	taken := 0
	for r := rune(0x80); r < 0x11000; r++ {
		if r >= 0xD800 && r < 0xE000 {
			continue
		}
		for _, name := range []string{string(r), "a" + string(r)} {
			in := []byte("<x><" + name + "/></x>")
			s := NewScanner(Limits{})
			els, err := read(s, in)
			if len(els) == 2 && err == io.EOF {
				taken++
				checkAgainstStandard(t, in, els)
				if cleanName(name) != name {
					t.Fatalf("%q is accepted, but not written", name)
				}
			} else if cleanName(name) == name {
				t.Fatalf("%q is written, but not accepted", name)
			}
		}
	}
	if taken < 50000 {
		t.Errorf("only %d names were accepted", taken)
	}
}

// corpus returns the stanzas in testdata/corpus by file name, none when there is no such folder.
func corpus(tb testing.TB) map[string][]byte {
	tb.Helper()
	dir := filepath.Join("testdata", "corpus")
	if _, err := os.Stat(dir); err != nil {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.xml"))
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		all[filepath.Base(f)] = text
	}
	return all
}

// TestCorpus: what real software sends is accepted and keeps its meaning.
func TestCorpus(t *testing.T) {
	all := corpus(t)
	if all != nil && len(all) < 300 {
		t.Errorf("the corpus has %d stanzas, fewer than 300", len(all))
	}
	for name, text := range all {
		t.Run(name, func(t *testing.T) { checkStream(t, streamHeader, text, 2) })
	}
}

// TestMutated: stanzas with a few bytes changed are accepted or refused, and never mean two things.
func TestMutated(t *testing.T) {
	var seeds [][]byte
	for _, s := range accepted {
		seeds = append(seeds, []byte(s))
	}
	for _, c := range refused {
		seeds = append(seeds, []byte(c.in))
	}
	r := rand.New(rand.NewPCG(7, 7))
	const alphabet = "<>/='\"&;#x! ?[]:pab\n\r\tCDATA-\x00\xc3\xa9"
	for range 3000 {
		in := append([]byte(nil), seeds[r.IntN(len(seeds))]...)
		for range 1 + r.IntN(3) {
			at := r.IntN(len(in) + 1)
			switch r.IntN(4) {
			case 0:
				in = append(in[:at], append([]byte{alphabet[r.IntN(len(alphabet))]}, in[at:]...)...)
			case 1:
				if at < len(in) {
					in[at] = alphabet[r.IntN(len(alphabet))]
				}
			case 2:
				in = append(in[:at], in[min(len(in), at+1+r.IntN(3)):]...)
			case 3:
				other := seeds[r.IntN(len(seeds))]
				from := r.IntN(len(other))
				piece := other[from : from+r.IntN(min(len(other)-from, 20))]
				in = append(in[:at], append(append([]byte(nil), piece...), in[at:]...)...)
			}
		}
		checkStream(t, streamHeader, in, -1)
	}
}

// FuzzScanner: what the Scanner accepts it accepts however it was cut, encoding/xml accepts it with the same meaning, its
// form is canonical, and memory stays in proportion to the input.
func FuzzScanner(f *testing.F) {
	for _, s := range accepted {
		f.Add(true, []byte(s))
	}
	for _, c := range refused {
		f.Add(true, []byte(c.in))
	}
	for _, text := range corpus(f) {
		f.Add(true, text)
	}
	for _, s := range []string{streamHeader + "<a/></stream:stream>", "<a>", "<?xml version='1.0'?><a xmlns='b'><c/>", "<p:a xmlns:p='b' p:c=''/>"} {
		f.Add(false, []byte(s))
	}
	f.Fuzz(func(t *testing.T, inside bool, in []byte) {
		header := ""
		if inside {
			header = streamHeader
		}
		checkStream(t, header, in, -1)
		if len(in) < 1<<10 {
			return // the constant part of the bound covers it
		}
		s := NewScanner(wire)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s.Feed([]byte(header))
		drain(s)
		s.Feed(in)
		drain(s)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 32*uint64(len(in))+64<<10 {
			t.Errorf("%d bytes allocated for %d (%s)", n, len(in), base64.StdEncoding.EncodeToString(in[:100]))
		}
	})
}

// FuzzRoundTrip: what Parse accepts it accepts again from String, as the same.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range accepted {
		f.Add(strings.ReplaceAll(s, "stream:", ""), "jabber:client")
	}
	for _, text := range corpus(f) {
		f.Add(string(text), "")
	}
	f.Fuzz(func(t *testing.T, in, space string) {
		e, err := Parse(in, space, wire)
		if err != nil {
			return
		}
		if space != cleanText(space) || space == Namespace || space == namespaceXMLNS {
			return // no namespace that can be in force
		}
		checkForm(t, e)
		again, err := Parse(e.String(), "", Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := story([]*Element{again}, nil), story([]*Element{e}, nil); got != want {
			t.Fatalf("%q\ngot  %s\nwant %s", in, got, want)
		}
	})
}
