package xml

import (
	"io"
	"strings"
	"testing"
)

// refused is what the Scanner must refuse inside a stream, each alone in place of a first-level element.
var refused = []struct {
	name string
	kind Kind
	in   string
}{
	{"end tag of another element", NotWellFormed, `<a></b>`},
	{"end tag of a longer name", NotWellFormed, `<a></ab>`},
	{"end tag of a shorter name", NotWellFormed, `<ab></a>`},
	{"wrong nesting", NotWellFormed, `<a><b></a></b>`},
	{"end tag with another prefix", NotWellFormed, `<stream:a></a>`},
	{"end tag with another prefix of the same namespace", NotWellFormed, `<s:a xmlns:s='http://etherx.jabber.org/streams'></stream:a>`},
	{"end tag with an attribute", NotWellFormed, `<a></a b=''>`},
	{"end tag with a quote", NotWellFormed, `<a></a'>`},
	{"space before the name of an end tag", NotWellFormed, `<a></ a>`},
	{"end tag with nothing", NotWellFormed, `<a></>`},
	{"end tag of an empty element", NotWellFormed, `<a></a/>`},
	{"end tag cut by another tag", NotWellFormed, `<a></a<b>`},
	{"the root's end tag with another prefix", NotWellFormed, `</stream>`},
	{"the root's end tag with a longer name", NotWellFormed, `</stream:streams>`},
	{"the root's end tag with an attribute", NotWellFormed, `</stream:stream a=''>`},
	{"another end tag", NotWellFormed, `</a>`},

	{"same attribute twice", NotWellFormed, `<a b='1' b='2'/>`},
	{"same attribute twice, others between", NotWellFormed, `<a b='1' c='' d='' e='' f='' b='2'/>`},
	{"same attribute twice of very many", NotWellFormed, `<a b='1' ` + manyAttrs(40) + ` b='2'/>`},
	{"same attribute twice, deeper", NotWellFormed, `<m><a b='1' b='1'/></m>`},
	{"same default declaration twice", NotWellFormed, `<a xmlns='x' xmlns='x'/>`},
	{"same prefix declared twice", NotWellFormed, `<a xmlns:p='x' xmlns:p='y'/>`},
	{"xml:lang twice", NotWellFormed, `<a xml:lang='en' xml:lang='en'/>`},
	{"same expanded name twice", NotWellFormed, `<a xmlns:p='x' xmlns:q='x' p:b='1' q:b='2'/>`},
	{"same expanded name twice, entity in the namespace", NotWellFormed, `<a xmlns:p='x&amp;' xmlns:q='x&#38;' p:b='1' q:b='2'/>`},
	{"same expanded name twice through the header", NotWellFormed, `<a xmlns:q='http://etherx.jabber.org/streams' stream:b='1' q:b='2'/>`},

	{"no space between attributes", NotWellFormed, `<a b='1'c='2'/>`},
	{"no space between attributes, other quotes", NotWellFormed, `<a b="1"c='2'/>`},
	{"value without quotes", NotWellFormed, `<a b=1/>`},
	{"attribute without value", NotWellFormed, `<a b/>`},
	{"attribute without value, then another", NotWellFormed, `<a b c='1'/>`},
	{"attribute without name", NotWellFormed, `<a ='1'/>`},
	{"quote out of place", NotWellFormed, `<a '/>'/>`},
	{"quote after the name", NotWellFormed, `<a'b'/>`},
	{"quotes that do not match", NotWellFormed, `<a b='1" c='2'/>`},
	{"'<' in a value", NotWellFormed, `<a b='<'/>`},
	{"tag in a value", NotWellFormed, `<a b='<c>'/>`},
	{"'<' in a tag", NotWellFormed, `<a <b/>`},
	{"'/' in a tag", NotWellFormed, `<a / b=''/>`},
	{"'/' and space", NotWellFormed, `<a / >`},
	{"two slashes", NotWellFormed, `<a//>`},
	{"space before the name", NotWellFormed, `< a/>`},
	{"tag without name", NotWellFormed, `<>`},
	{"empty tag without name", NotWellFormed, `</>`},

	{"digit begins a name", NotWellFormed, `<1a/>`},
	{"hyphen begins a name", NotWellFormed, `<-a/>`},
	{"dot begins a name", NotWellFormed, `<.a/>`},
	{"bad character in a name", NotWellFormed, `<a!b/>`},
	{"control character in a name", NotWellFormed, "<a\x01/>"},
	{"combining mark begins a name", NotWellFormed, "<\u0301a/>"},
	{"times sign in a name", NotWellFormed, "<a\u00d7/>"},
	{"name of the fifth edition only", NotWellFormed, "<\U00010400/>"},
	{"empty prefix", NotWellFormed, `<:a/>`},
	{"empty local part", NotWellFormed, `<stream:/>`},
	{"two colons", NotWellFormed, `<stream:a:b/>`},
	{"digit begins a local part", NotWellFormed, `<stream:1/>`},
	{"attribute with an empty prefix", NotWellFormed, `<a :b=''/>`},
	{"attribute with an empty local part", NotWellFormed, `<a xml:=''/>`},
	{"attribute beginning with a digit", NotWellFormed, `<a 1=''/>`},
	{"declaration of an empty prefix", NotWellFormed, `<a xmlns:='x'/>`},

	{"unknown entity", Restricted, `<a>&nbsp;</a>`},
	{"unknown entity, short", Restricted, `<a>&a;</a>`},
	{"unknown entity, long", Restricted, `<a>&abcdefghijklmnopqrstuvwxyz;</a>`},
	{"unknown entity in a value", Restricted, `<a b='&x;'/>`},
	{"entity in capitals", Restricted, `<a>&AMP;</a>`},
	{"bare ampersand", NotWellFormed, `<a>& </a>`},
	{"ampersand before a tag", NotWellFormed, `<a>&<b/></a>`},
	{"ampersand at the end of a value", NotWellFormed, `<a b='&'/>`},
	{"entity without semicolon", NotWellFormed, `<a>&amp </a>`},
	{"empty entity", NotWellFormed, `<a>&;</a>`},
	{"character reference to zero", NotWellFormed, `<a>&#0;</a>`},
	{"character reference to backspace", NotWellFormed, `<a>&#8;</a>`},
	{"character reference to escape in a value", NotWellFormed, `<a b='&#x1b;'/>`},
	{"character reference to a surrogate", NotWellFormed, `<a>&#xD800;</a>`},
	{"character reference to a pair of surrogates", NotWellFormed, `<a>&#xD83D;&#xDE00;</a>`},
	{"character reference to U+FFFE", NotWellFormed, `<a>&#xFFFE;</a>`},
	{"character reference to U+FFFF", NotWellFormed, `<a>&#65535;</a>`},
	{"character reference beyond Unicode", NotWellFormed, `<a>&#x110000;</a>`},
	{"character reference that wraps 32 bits", NotWellFormed, `<a>&#x100000041;</a>`},
	{"character reference with a capital X", NotWellFormed, `<a>&#X41;</a>`},
	{"character reference without digits", NotWellFormed, `<a>&#;</a>`},
	{"hexadecimal reference without digits", NotWellFormed, `<a>&#x;</a>`},
	{"character reference with letters", NotWellFormed, `<a>&#4a;</a>`},
	{"negative character reference", NotWellFormed, `<a>&#-1;</a>`},
	{"character reference without semicolon", NotWellFormed, `<a>&#65 </a>`},
	{"endless character reference", NotWellFormed, `<a>&#` + strings.Repeat("0", 100) + `65;</a>`},

	{"NUL in text", NotWellFormed, "<a>\x00</a>"},
	{"control character in text", NotWellFormed, "<a>hello \x1b[2J</a>"},
	{"control character in a value", NotWellFormed, "<a b='\x02'/>"},
	{"control character in CDATA", NotWellFormed, "<a><![CDATA[\x0b]]></a>"},
	{"U+FFFE in text", NotWellFormed, "<a>\uFFFE</a>"},
	{"U+FFFF in a value", NotWellFormed, "<a b='\uFFFF'/>"},
	{"U+FFFF in CDATA", NotWellFormed, "<a><![CDATA[\uFFFF]]></a>"},
	{"']]>' in text", NotWellFormed, `<a>]]></a>`},
	{"']]>' after brackets", NotWellFormed, `<a>x]]]]></a>`},
	{"']]>' after CDATA", NotWellFormed, `<a><![CDATA[x]]>]]></a>`},

	{"Latin-1", BadEncoding, "<a>caf\xe9</a>"},
	{"Latin-1 in a value", BadEncoding, "<a b='caf\xe9'/>"},
	{"Latin-1 in CDATA", BadEncoding, "<a><![CDATA[\xe9]]></a>"},
	{"Latin-1 in a name", BadEncoding, "<caf\xe9/>"},
	{"Latin-1 between elements", BadEncoding, "\xe9 "},
	{"overlong slash", BadEncoding, "<a>\xc0\xaf</a>"},
	{"overlong NUL", BadEncoding, "<a>\xc0\x80</a>"},
	{"overlong euro sign", BadEncoding, "<a>\xf0\x82\x82\xac</a>"},
	{"surrogate", BadEncoding, "<a>\xed\xa0\x80</a>"},
	{"beyond Unicode", BadEncoding, "<a>\xf4\x90\x80\x80</a>"},
	{"five bytes", BadEncoding, "<a>\xf8\x88\x80\x80\x80</a>"},
	{"continuation byte alone", BadEncoding, "<a>\x80</a>"},
	{"cut sequence", BadEncoding, "<a>\xe2\x82</a>"},

	{"comment", Restricted, `<!-- hello -->`},
	{"comment inside", Restricted, `<a><!-- hello --></a>`},
	{"processing instruction", Restricted, `<?php echo ?>`},
	{"processing instruction inside", Restricted, `<a><?b?></a>`},
	{"style sheet", Restricted, `<?xml-stylesheet href='x'?>`},
	{"second XML declaration", Restricted, `<?xml version='1.0'?>`},
	{"XML declaration inside", Restricted, `<a><?xml version='1.0'?></a>`},
	{"document type", Restricted, `<!DOCTYPE a>`},
	{"document type inside", Restricted, `<a><!DOCTYPE a></a>`},
	{"internal entity", Restricted, `<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`},
	{"external entity", Restricted, `<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>`},
	{"parameter entity", Restricted, `<!DOCTYPE a [<!ENTITY % b "c"> %b;]>`},
	{"billion laughs", Restricted, `<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><l>&b;</l>`},
	{"element declaration", Restricted, `<!ELEMENT a ANY>`},
	{"conditional section", Restricted, `<![INCLUDE[<a/>]]>`},
	{"CDATA in small letters", Restricted, `<a><![cdata[x]]></a>`},
	{"CDATA between elements", NotWellFormed, `<![CDATA[x]]>`},
	{"text between elements", NotWellFormed, `hello`},
	{"entity between elements", NotWellFormed, `&#32;`},
	{"U+FEFF between elements", NotWellFormed, "\uFEFF"},
	{"NUL between elements", NotWellFormed, "\x00"},

	{"undeclared prefix", BadPrefix, `<x:a/>`},
	{"undeclared prefix, deeper", BadPrefix, `<a><x:b/></a>`},
	{"undeclared prefix of an attribute", BadPrefix, `<a x:b='1'/>`},
	{"undeclared prefix of an attribute, deeper", BadPrefix, `<a><b x:c='1'/></a>`},
	{"prefix out of scope", BadPrefix, `<a><b xmlns:x='y'><x:c/></b><x:d/></a>`},
	{"prefix declared by a child", BadPrefix, `<x:a><b xmlns:x='y'/></x:a>`},
	{"empty prefix declaration", BadPrefix, `<a xmlns:p=''/>`},
	{"prefix taken back", BadPrefix, `<a xmlns:p='x'><b xmlns:p=''/></a>`},
	{"prefix xml bound to something", BadPrefix, `<a xmlns:xml='x'/>`},
	{"namespace of xml bound to another prefix", BadPrefix, `<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>`},
	{"namespace of xml as the default", BadPrefix, `<a xmlns='http://www.w3.org/XML/1998/namespace'/>`},
	{"the same with an entity", BadPrefix, `<a xmlns='http://www.w3.org/XML/1998/names&#x70;ace'/>`},
	{"prefix xmlns declared", BadPrefix, `<a xmlns:xmlns='x'/>`},
	{"prefix xmlns declared as what it is", BadPrefix, `<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>`},
	{"namespace of xmlns bound to a prefix", BadPrefix, `<a xmlns:p='http://www.w3.org/2000/xmlns/'/>`},
	{"namespace of xmlns as the default", BadPrefix, `<a xmlns='http://www.w3.org/2000/xmlns/'/>`},
	{"element with the prefix xmlns", BadPrefix, `<xmlns:a/>`},
	{"element with the prefix xml", BadPrefix, `<xml:a/>`},
	{"element with the prefix xml, deeper", BadPrefix, `<a><xml:a/></a>`},
}

func manyAttrs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" a" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + "='1'")
	}
	return b.String()
}

// TestRefused: each case is refused with its kind, however it was cut, in a stream and alone, and the refusal stays.
func TestRefused(t *testing.T) {
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			in := []byte("<ok/> \n" + c.in)
			els, err := everyWay(t, func() *Scanner { return inStream(t, wire) }, in)
			if kindOf(err) != c.kind || len(els) != 1 {
				t.Fatalf("%q: %d elements, then %v; want one, then %v", c.in, len(els), err, c.kind)
			}
			if at := err.(*Error).Offset; at < int64(len(streamHeader)+len("<ok/>")) || at > int64(len(streamHeader)+len(in)) {
				t.Errorf("%q: refused at byte %d of the stream", c.in, at)
			}
			s := inStream(t, wire)
			_, first := read(s, in)
			_, again := read(s, []byte("<ok/>"))
			if first != again {
				t.Errorf("%q: refused with %v, then %v", c.in, first, again)
			}
			if !strings.HasPrefix(c.in, "</stream:stream") && !strings.Contains(c.in, "stream:") {
				if e, err := Parse(c.in, "jabber:client", wire); err == nil {
					t.Errorf("Parse(%q) = %v", c.in, e)
				}
			}
		})
	}
}

// TestRefusedHeader: what may not open a stream.
func TestRefusedHeader(t *testing.T) {
	for _, c := range []struct {
		name string
		kind Kind
		in   string
	}{
		{"text", NotWellFormed, "GET / HTTP/1.1\r\n"},
		{"TLS", NotWellFormed, "\x16\x03\x01\x02\x00"},
		{"UTF-8 mark", NotWellFormed, "\uFEFF<a>"},
		{"UTF-16, low byte first", BadEncoding, "\xff\xfe<\x00a\x00"},
		{"UTF-16, high byte first", BadEncoding, "\xfe\xff\x00<"},
		{"UTF-16 without a mark", NotWellFormed, "\x00<\x00a"},
		{"UTF-7", NotWellFormed, "+ADw-a+AD4-"},
		{"Latin-1", BadEncoding, "<?xml version='1.0' encoding='ISO-8859-1'?><a>"},
		{"UTF-16 declared", BadEncoding, "<?xml version='1.0' encoding='UTF-16'?><a>"},
		{"US-ASCII", BadEncoding, "<?xml version='1.0' encoding='US-ASCII'?><a>"},
		{"XML 1.1", NotWellFormed, "<?xml version='1.1'?><a>"},
		{"no version", NotWellFormed, "<?xml encoding='UTF-8'?><a>"},
		{"empty declaration", NotWellFormed, "<?xml ?><a>"},
		{"empty encoding", NotWellFormed, "<?xml version='1.0' encoding=''?><a>"},
		{"broken standalone", NotWellFormed, "<?xml version='1.0' standalone='maybe'?><a>"},
		{"wrong order", NotWellFormed, "<?xml version='1.0' standalone='yes' encoding='UTF-8'?><a>"},
		{"no space", NotWellFormed, "<?xml version='1.0'encoding='UTF-8'?><a>"},
		{"something else", NotWellFormed, "<?xml version='1.0' a='b'?><a>"},
		{"no quotes", NotWellFormed, "<?xml version=1.0?><a>"},
		{"endless declaration", NotWellFormed, "<?xml version='1.0'" + strings.Repeat(" ", 300) + "?><a>"},
		{"two declarations", Restricted, "<?xml version='1.0'?><?xml version='1.0'?><a>"},
		{"declaration after white space", Restricted, "\n<?xml version='1.0'?><a>"},
		{"other instruction", Restricted, "<?xmlx version='1.0'?><a>"},
		{"instruction", Restricted, "<?a?><a>"},
		{"comment", Restricted, "<!-- a --><a>"},
		{"document type", Restricted, "<?xml version='1.0'?><!DOCTYPE a><a>"},
		{"CDATA", NotWellFormed, "<![CDATA[a]]>"},
		{"end tag", NotWellFormed, "</a>"},
		{"undeclared prefix", BadPrefix, "<stream:stream xmlns='jabber:client'>"},
		{"undeclared prefix of an attribute", BadPrefix, "<a b:c=''>"},
		{"same attribute twice", NotWellFormed, "<a b='' b=''>"},
		{"same expanded name twice", NotWellFormed, "<a xmlns:x='x' xmlns:y='x' x:b='' y:b=''>"},
		{"prefix xml", BadPrefix, "<xml:a>"},
		{"no quotes in the header", NotWellFormed, "<a b=c>"},
		{"entity in the header", Restricted, "<a b='&c;'>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			els, err := everyWay(t, func() *Scanner { return NewScanner(wire) }, []byte(c.in))
			if kindOf(err) != c.kind || len(els) != 0 {
				t.Errorf("%q: %v, then %v; want %v", c.in, els, err, c.kind)
			}
		})
	}
}

// TestLimits: each limit holds at its number and refuses one more.
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name     string
		limits   Limits
		in, over string
	}{
		{"bytes", Limits{Bytes: 200}, `<a>` + strings.Repeat("x", 193) + `</a>`, `<a>` + strings.Repeat("x", 194) + `</a>`},
		{"bytes of a tag", Limits{Bytes: 200}, `<a b='` + strings.Repeat("x", 191) + `'/>`, `<a b='` + strings.Repeat("x", 192) + `'/>`},
		{"bytes, unfinished", Limits{Bytes: 200}, `<a>` + strings.Repeat("x", 197), `<a>` + strings.Repeat("x", 198)},
		{"bytes, unfinished tag", Limits{Bytes: 200}, `<a b='` + strings.Repeat("x", 194), `<a b='` + strings.Repeat("x", 195)},
		{"bytes, unfinished name", Limits{Bytes: 200}, `<` + strings.Repeat("x", 199), `<` + strings.Repeat("x", 200)},
		{"bytes, resolved prefixes", Limits{Bytes: 200}, `<a xmlns:p='` + strings.Repeat("x", 150) + `'><p:b/></a>`, `<a xmlns:p='` + strings.Repeat("x", 150) + `'><p:b/><p:c/></a>`},
		{"depth", Limits{Depth: 3}, `<a><b><c/></b></a>`, `<a><b><c><d/></c></b></a>`},
		{"elements", Limits{Elements: 3}, `<a><b/><c/></a>`, `<a><b/><c/><d/></a>`},
		{"attributes", Limits{Attrs: 7}, `<a><b a='' b='' c='' d='' e='' f='' g='' xmlns='x' xmlns:y='z'/></a>`, `<a><b a='' b='' c='' d='' e='' f='' g='' h=''/></a>`},
		{"declarations", Limits{Declarations: 2}, `<a xmlns='x' xmlns:y='z'/>`, `<a xmlns='x' xmlns:y='z' xmlns:z='z'/>`},
		{"declarations in force", Limits{Declarations: 2}, `<a xmlns='x' xmlns:y='z'><b xmlns:x='y'/><b xmlns:x='y'/></a>`, `<a xmlns:y='z'><b xmlns:x='y'><c xmlns:z='z'/></b></a>`},
		{"name of an element", Limits{Name: 14}, `<abcdefghijklmn/>`, `<abcdefghijklmno/>`},
		{"name with its prefix", Limits{Name: 14}, `<stream:abcdefg/>`, `<stream:abcdefgh/>`},
		{"name of an attribute", Limits{Name: 14}, `<a abcdefghijklmn=''/>`, `<a abcdefghijklmno=''/>`},
		{"value", Limits{Value: 40}, `<a b='` + strings.Repeat("x", 40) + `'/>`, `<a b='` + strings.Repeat("x", 41) + `'/>`},
		{"value as written", Limits{Value: 40}, `<a b='&amp;` + strings.Repeat("x", 35) + `'/>`, `<a b='&amp;` + strings.Repeat("x", 36) + `'/>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			limited := func() *Scanner {
				s := inStream(t, Limits{})
				s.SetLimits(&c.limits)
				return s
			}
			spaces := strings.Repeat(" ", 1000)
			if _, err := everyWay(t, limited, []byte(spaces+c.in)); err != ErrMore {
				t.Errorf("at the limit: %v", err)
			}
			els, err := everyWay(t, limited, []byte(`<ok/>`+spaces+c.over))
			if kindOf(err) != TooLarge || len(els) != 1 {
				t.Errorf("over the limit: %v after %d elements", err, len(els))
			}
			if !strings.Contains(c.over, "stream:") {
				if _, err := Parse(c.over, "", c.limits); kindOf(err) != TooLarge {
					t.Errorf("Parse, over the limit: %v", err)
				}
			}
		})
	}
}

// TestLimitOfHeader: the header is limited like any element.
func TestLimitOfHeader(t *testing.T) {
	if _, err := everyWay(t, func() *Scanner { return NewScanner(Limits{Bytes: 100}) }, []byte(streamHeader)); kindOf(err) != TooLarge {
		t.Error(err)
	}
	if _, err := everyWay(t, func() *Scanner { return NewScanner(Limits{Attrs: 3}) }, []byte(streamHeader)); kindOf(err) != TooLarge {
		t.Error(err)
	}
	in := `<a></a` + strings.Repeat(" ", 1<<16)
	if _, err := everyWay(t, func() *Scanner { return NewScanner(wire) }, []byte(in)); kindOf(err) != TooLarge {
		t.Error("endless end tag of the root: ", err)
	}
}

// TestParseRefuses: what surrounds an element.
func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", " ", "x", "<a>", "<a", "<a></a", "<a/><b/>", "<a/>x", "x<a/>", "<?xml version='1.0'?><a/>", "<a/><!-- -->",
		"</a>", "<a/></a>", "<", "<a>]]", "<a>&amp", "\xff", "<a/>\x00", "<stream:error/>",
	} {
		if e, err := Parse(in, "x", Limits{}); err == nil {
			t.Errorf("Parse(%q) = %v", in, e)
		} else if err == ErrMore || err == io.EOF || kindOf(err) == 0 {
			t.Errorf("Parse(%q): %v", in, err)
		}
	}
	_, err := Parse("  <a><b></a>", "", Limits{})
	if e, ok := err.(*Error); !ok || e.Offset != 8 {
		t.Errorf("place of the error: %v", err)
	}
}
