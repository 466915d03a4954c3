package c2s_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"parley/imtest"
	"parley/xmpp/stream"
)

// forbidden is what RFC 6120 §11 does not allow, each alone in the place of a first-level element, with the stream error
// that answers it (catalogue C1, C3).
var forbidden = []struct {
	name, text string
	condition  stream.Condition
}{
	{"DOCTYPE", "<!DOCTYPE a>", stream.RestrictedXML},
	{"DOCTYPE with an internal entity", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", stream.RestrictedXML},
	{"DOCTYPE with an external entity", "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>", stream.RestrictedXML},
	{"DOCTYPE with a parameter entity", "<!DOCTYPE a [<!ENTITY % b SYSTEM 'http://127.0.0.1:1/'> %b;]>", stream.RestrictedXML},
	{"external DTD", "<!DOCTYPE a SYSTEM 'http://127.0.0.1:1/a.dtd'>", stream.RestrictedXML},
	{"public DTD", "<!DOCTYPE a PUBLIC '-//A//B' 'http://127.0.0.1:1/a.dtd'>", stream.RestrictedXML},
	{"billion laughs", laughs(), stream.RestrictedXML},
	{"quadratic blow-up", "<!DOCTYPE a [<!ENTITY b '" + strings.Repeat("x", 1000) + "'>]><a>" + strings.Repeat("&b;", 1000) + "</a>", stream.RestrictedXML},
	{"ENTITY alone", "<!ENTITY a 'b'>", stream.RestrictedXML},
	{"ELEMENT", "<!ELEMENT a ANY>", stream.RestrictedXML},
	{"ATTLIST", "<!ATTLIST a b CDATA 'c'>", stream.RestrictedXML},
	{"NOTATION", "<!NOTATION a SYSTEM 'b'>", stream.RestrictedXML},
	{"conditional section", "<![INCLUDE[<a/>]]>", stream.RestrictedXML},
	{"comment", "<!-- a -->", stream.RestrictedXML},
	{"comment without end", "<!-- a", stream.RestrictedXML},
	{"processing instruction", "<?a b?>", stream.RestrictedXML},
	{"stylesheet", "<?xml-stylesheet href='http://127.0.0.1:1/'?>", stream.RestrictedXML},
	{"entity that nobody declared", "<a b='&nbsp;'/>", stream.RestrictedXML},
	{"entity with a long name", "<a b='&" + strings.Repeat("x", 300) + ";'/>", stream.RestrictedXML},
	{"UTF-16 with its mark", "\xfe\xff\x00<\x00a\x00/\x00>", stream.UnsupportedEncoding},
	{"UTF-16, little", "\xff\xfe<\x00a\x00/\x00>\x00", stream.UnsupportedEncoding},
	{"UTF-32", "\x00\x00\xfe\xff\x00\x00\x00<", stream.NotWellFormed},
	{"Latin-1", "<a b='\xe9'/>", stream.UnsupportedEncoding},
	{"overlong", "<a b='\xc0\xbc'/>", stream.UnsupportedEncoding},
	{"surrogate", "<a b='\xed\xa0\x80'/>", stream.UnsupportedEncoding},
	{"UTF-7", "+ADw-a/+AD4-", stream.NotWellFormed},
	{"NUL", "<a b='\x00'/>", stream.NotWellFormed},
	{"escape", "<a b='\x1b[2J'/>", stream.NotWellFormed},
	{"reference to NUL", "<a b='&#0;'/>", stream.NotWellFormed},
	{"reference to escape", "<a b='&#27;'/>", stream.NotWellFormed},
	{"U+FFFF", "<a b='\uffff'/>", stream.NotWellFormed},
	{"attribute twice", "<a b='1' b='2'/>", stream.NotWellFormed},
	{"attribute twice by two prefixes", "<a xmlns:p='x' xmlns:q='x' p:b='1' q:b='2'/>", stream.NotWellFormed},
	{"no space between attributes", "<a b='1'c='2'/>", stream.NotWellFormed},
	{"'<' in a value", "<a b='<'/>", stream.NotWellFormed},
	{"wrong nesting", "<a><b></a></b>", stream.NotWellFormed},
	{"end tag of nothing", "</a>", stream.NotWellFormed},
	{"text", "hello", stream.NotWellFormed},
	{"text of a record of TLS", "\x16\x03\x01\x02\x00\x01", stream.NotWellFormed},
	{"CDATA", "<![CDATA[a]]>", stream.NotWellFormed},
	{"HTTP", "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", stream.NotWellFormed},
	{"prefix that nobody declared", "<a:b/>", stream.BadNamespacePrefix},
	{"attribute's prefix that nobody declared", "<a b:c='d'/>", stream.BadNamespacePrefix},
	{"xml bound to something else", "<a xmlns:xml='x'/>", stream.BadNamespacePrefix},
	{"xmlns bound", "<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>", stream.BadNamespacePrefix},
	{"prefix undeclared", "<a xmlns:p=''/>", stream.BadNamespacePrefix},
}

func laughs() string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE l [<!ENTITY l0 'ha'>")
	for i := range 9 {
		fmt.Fprintf(&b, "<!ENTITY l%d '%s'>", i+1, strings.Repeat(fmt.Sprintf("&l%d;", i), 10))
	}
	return b.String() + "]><l>&l9;</l>"
}

// headers are what is wrong only where a stream begins.
var headers = []struct {
	name, text string
	condition  stream.Condition
}{
	{"encoding", "<?xml version='1.0' encoding='latin1'?>" + header, stream.UnsupportedEncoding},
	{"UTF-16 in UTF-8", "<?xml version='1.0' encoding='UTF-16'?>" + header, stream.UnsupportedEncoding},
	{"XML 1.1", "<?xml version='1.1'?>" + header, stream.NotWellFormed},
	{"two declarations", "<?xml version='1.0'?><?xml version='1.0'?>" + header, stream.RestrictedXML},
	{"DOCTYPE behind the declaration", "<?xml version='1.0'?><!DOCTYPE stream:stream>" + header, stream.RestrictedXML},
	{"comment behind the declaration", "<?xml version='1.0'?><!-- -->" + header, stream.RestrictedXML},
}

// TestForbiddenXML: what RFC 6120 §11 forbids ends the stream with the right error, wherever it comes and whatever
// carries it, and nothing else happens.
func TestForbiddenXML(t *testing.T) {
	for _, tr := range imtest.Transports() {
		s := imtest.Start(t, imtest.Options{Transport: tr})
		s.Account("alice")
		for _, x := range points() {
			if !x.on(tr) {
				continue
			}
			t.Run(string(tr)+"/"+x.name, func(t *testing.T) {
				for _, c := range forbidden {
					p := dial(t, s)
					x.reach(p)
					p.send(c.text)
					if x.header && strings.HasPrefix(c.text, "<a>") {
						c.condition = stream.BadFormat // its first tag is enough
					}
					expect(t, p, c.name, c.condition)
				}
				if !x.header {
					return
				}
				for _, c := range headers {
					p := dial(t, s)
					x.reach(p)
					p.send(c.text)
					expect(t, p, c.name, c.condition)
				}
			})
		}
	}
}

// expect expects the end of a stream with this condition.
func expect(t *testing.T, p *peer, name string, condition stream.Condition) {
	t.Helper()
	got := p.end()
	if !strings.Contains(got, "<stream:error><"+string(condition)+" xmlns='"+stream.NSError+"'/>") || !strings.HasSuffix(got, "</stream:error></stream:stream>") {
		t.Errorf("%s: closed with %q instead of %s (%v)", name, got, condition, p.err)
	}
}

// bomb is an element that grows until somebody stops it.
type bomb struct {
	name        string
	head, again string // the beginning, and what follows for ever
	pre         bool   // it is a limit that stops it, and not the grammar
}

var bombs = []bomb{
	{name: "body", head: "<message to='alice@localhost'><body>", again: strings.Repeat("x", 4096), pre: true},
	{name: "body of references", head: "<message to='alice@localhost'><body>", again: strings.Repeat("&lt;", 1024), pre: true},
	{name: "CDATA", head: "<message><body><![CDATA[", again: strings.Repeat("]", 4096), pre: true},
	{name: "depth", head: "<message>", again: strings.Repeat("<a>", 1024), pre: true},
	{name: "depth, each with a namespace", head: "<message>", again: strings.Repeat("<a xmlns='x'><b xmlns='y'>", 128), pre: true},
	{name: "depth, each with a prefix", head: "<message>", again: strings.Repeat("<a xmlns:p='x'>", 128), pre: true},
	{name: "siblings", head: "<message>", again: strings.Repeat("<a/>", 1024), pre: true},
	{name: "siblings with attributes", head: "<message>", again: strings.Repeat("<a b='' c='' d='' e=''/>", 128), pre: true},
	{name: "first-level white space in a tag", head: "<message", again: strings.Repeat(" ", 4096), pre: true},
	{name: "name", head: "<", again: strings.Repeat("x", 4096), pre: true},
	{name: "name of an attribute", head: "<message ", again: strings.Repeat("x", 4096), pre: true},
	{name: "name of an end tag", head: "<message></", again: strings.Repeat("x", 4096)},
	{name: "value", head: "<message to='", again: strings.Repeat("x", 4096), pre: true},
	{name: "value of references", head: "<message to='", again: strings.Repeat("&#x41;", 512), pre: true},
	{name: "namespace", head: "<message xmlns:p='", again: strings.Repeat("x", 4096), pre: true},
	{name: "character reference", head: "<message><body>&#", again: strings.Repeat("0", 4096)},
	{name: "entity", head: "<message><body>&", again: strings.Repeat("x", 4096)},
	{name: "prefix", head: "<", again: strings.Repeat("x", 4096) + ":"},
}

// counted are bombs whose pieces must differ.
func counted() []bomb {
	var attrs, decls strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&attrs, " a%d=''", i)
		fmt.Fprintf(&decls, " xmlns:p%d='x'", i)
	}
	return []bomb{
		{name: "attributes", head: "<message" + attrs.String() + ">", pre: true},
		{name: "declarations", head: "<message" + decls.String() + ">", pre: true},
	}
}

// blast sends a bomb, 4 MiB at the most, and returns how many bytes were taken.
func (b bomb) blast(p *peer) <-chan int {
	first, left := b.head, 1024
	return p.pour(func() string {
		switch {
		case first != "":
			defer func() { first = "" }()
			return first
		case b.again == "" || left == 0:
			return ""
		}
		left--
		return b.again
	})
}

// TestBombs: whatever grows without end is stopped at its limit (catalogue C2, F14, F15).
func TestBombs(t *testing.T) {
	for _, tr := range imtest.Transports() {
		s := imtest.Start(t, imtest.Options{Transport: tr})
		s.Account("alice")
		for _, x := range points() {
			if !x.on(tr) {
				continue
			}
			t.Run(string(tr)+"/"+x.name, func(t *testing.T) {
				for _, b := range append(counted(), bombs...) {
					p := dial(t, s)
					x.reach(p)
					sent := b.blast(p)
					got := p.end()
					most := 300 << 10
					if !x.bound {
						most = 32 << 10
					}
					if tr == imtest.Memory { // elsewhere the system's buffers take more
						if n := <-sent; n > most {
							t.Errorf("%s: %d bytes were taken", b.name, n)
						}
					}
					condition := string(stream.PolicyViolation)
					switch {
					case x.header && strings.Contains(b.head, ">") && len(b.head) < 1000:
						condition = string(stream.BadFormat) // its first tag is enough
					case !b.pre:
						condition = "" // what it grows is no XML anyway
					}
					if !strings.Contains(got, "<stream:error><"+condition) || !strings.HasSuffix(got, "</stream:stream>") {
						t.Errorf("%s: closed with %q (%v)", b.name, got, p.err)
					}
				}
			})
		}
	}
}

// TestBombsTogether: a hundred attackers at once who never finish what they began cost no more than their limits, and
// somebody else is served meanwhile.
func TestBombsTogether(t *testing.T) {
	attackers := 20
	if os.Getenv("PARLEY_LONG") != "" {
		attackers = 100
	}
	s := imtest.Start(t, imtest.Options{Transport: imtest.Memory, Settings: map[string]string{"limits.sessions": "200"}})
	s.Account("alice", "bob")
	bob := dial(t, s)
	bob.toSASL()
	bob.signIn("bob")
	bob.bind("b")
	var peers []*peer
	for range attackers {
		p := dial(t, s)
		p.toSASL()
		p.signIn("alice")
		p.bind("")
		peers = append(peers, p)
	}
	for _, b := range []bomb{
		{name: "text", head: "<message to='bob@localhost'><body>", again: strings.Repeat("x", 4096)},
		{name: "elements", head: "<message to='bob@localhost'><x>", again: strings.Repeat("<a/>", 64)},
		{name: "attributes", head: "<message to='bob@localhost'><x>", again: strings.Repeat("<a b='' c='' d=''/>", 16)},
	} {
		before := heap()
		var work sync.WaitGroup
		total := 0
		for _, p := range peers {
			text := b.head + strings.Repeat(b.again, (250<<10-len(b.head))/len(b.again))
			if b.name != "text" {
				text = b.head + strings.Repeat(b.again, 3900/strings.Count(b.again, "<"))
			}
			total += len(text)
			work.Go(func() { p.send(text) })
		}
		work.Wait()
		bob.fence()
		after := heap()
		grown := int64(after) - int64(before) - int64(total/attackers) // the text itself is ours
		t.Logf("%s: %d attackers with %d KiB each: memory %+d KiB", b.name, attackers, total/attackers>>10, grown>>10)
		if os.Getenv("PARLEY_LONG") != "" && grown > int64(4*total)+8<<20 {
			t.Errorf("%s: memory grew by %d KiB", b.name, grown>>10)
		}
		work = sync.WaitGroup{}
		for i, p := range peers { // they finish, with an error, and come again
			work.Go(func() {
				p.send("</wrong>")
				p.refused(stream.NotWellFormed)
			})
			peers[i] = nil
		}
		work.Wait()
		for i := range peers {
			p := dial(t, s)
			p.toSASL()
			p.signIn("alice")
			p.bind("")
			peers[i] = p
		}
	}
}

// heap is what is in use, after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
