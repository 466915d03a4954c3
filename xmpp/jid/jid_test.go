package jid

import (
	"errors"
	"strings"
	"sync"
	"testing"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct{ in, local, domain, resource string }{
		// RFC 7622 §3.5, table 1.
		{"juliet@example.com", "juliet", "example.com", ""},
		{"juliet@example.com/foo", "juliet", "example.com", "foo"},
		{"juliet@example.com/foo bar", "juliet", "example.com", "foo bar"},
		{"juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar"},
		{`foo\20bar@example.com`, `foo\20bar`, "example.com", ""},
		{"fussball@example.com", "fussball", "example.com", ""},
		{"fu\u00dfball@example.com", "fu\u00dfball", "example.com", ""},
		{"\u03c0@example.com", "\u03c0", "example.com", ""},
		{"\u03a3@example.com/foo", "\u03c3", "example.com", "foo"},
		{"\u03c3@example.com/foo", "\u03c3", "example.com", "foo"},
		{"\u03c2@example.com/foo", "\u03c2", "example.com", "foo"},
		{"king@example.com/\u265a", "king", "example.com", "\u265a"},
		{"example.com", "", "example.com", ""},
		{"example.com/foobar", "", "example.com", "foobar"},
		{"a.example.com/b@example.net", "", "a.example.com", "b@example.net"},
		// Table 2 has this one, but no rule forbids it: OpaqueString (RFC 8265 §4.2.2) allows spaces anywhere.
		{"juliet@example.com/ foo", "juliet", "example.com", " foo"},
		// Case and width.
		{"Juliet@Example.COM/Balcony", "juliet", "example.com", "Balcony"},
		{"\uff2a\uff55liet@example.com", "juliet", "example.com", ""},
		{"JULIÉT@BÜCHER.example", "juliét", "bücher.example", ""},
		{"e\u0301@example.com/e\u0301", "\u00e9", "example.com", "\u00e9"},
		{"juliet@example.com/a\u00a0b", "juliet", "example.com", "a b"},
		// Domains.
		{"example.com.", "", "example.com", ""},
		{"juliet@example.com./x", "juliet", "example.com", "x"},
		{"example\u3002com\u3002", "", "example.com", ""},
		{"xn--bcher-kva.example", "", "bücher.example", ""},
		{"XN--BCHER-KVA.example", "", "bücher.example", ""},
		{"xn--strae-oqa.example", "", "straße.example", ""},
		{"localhost", "", "localhost", ""},
		{"a-b.example", "", "a-b.example", ""},
		{"192.0.2.1", "", "192.0.2.1", ""},
		{"juliet@192.0.2.1/x", "juliet", "192.0.2.1", "x"},
		{"[2001:DB8:0::1]", "", "[2001:db8::1]", ""},
		{"juliet@[::1]/x", "juliet", "[::1]", "x"},
		// Resources may hold anything printable.
		{"example.com//", "", "example.com", "/"},
		{"juliet@example.com/@/x", "juliet", "example.com", "@/x"},
		// Exactly the longest parts.
		{strings.Repeat("l", MaxPart) + "@" + strings.Repeat("d", MaxPart) + "/" + strings.Repeat("r", MaxPart),
			strings.Repeat("l", MaxPart), strings.Repeat("d", MaxPart), strings.Repeat("r", MaxPart)},
	} {
		j, err := Parse(tc.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", tc.in, err)
			continue
		}
		if j.Local() != tc.local || j.Domain() != tc.domain || j.Resource() != tc.resource {
			t.Errorf("Parse(%q) = %q %q %q, want %q %q %q", tc.in, j.Local(), j.Domain(), j.Resource(), tc.local, tc.domain, tc.resource)
		}
		if again, err := Parse(j.String()); err != nil || again != j {
			t.Errorf("Parse(%q) again = %q, %v", j, again, err)
		}
		if made, err := New(tc.local, tc.domain, tc.resource); err != nil || made != j {
			t.Errorf("New of the parts of %q = %q, %v", j, made, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	long := strings.Repeat("x", MaxPart+1)
	for _, tc := range []struct {
		in   string
		part Part
	}{
		// RFC 7622 §3.5, table 2.
		{`"juliet"@example.com`, Local},
		{"foo bar@example.com", Local},
		{"@example.com/", Local},
		{"henry\u2163@example.com", Local},
		{"\u265a@example.com", Local},
		{"juliet@", Domain},
		{"/foobar", Domain},
		{"", Domain},
		// The other excluded characters, those too that fold to them.
		{"a&b@example.com", Local},
		{"a'b@example.com", Local},
		{"a:b@example.com", Local},
		{"a<b@example.com", Local},
		{"a>b@example.com", Local},
		{"a\uff20b@example.com", Local},
		{"a\uff0fb@example.com", Local},
		{"a\x7f@example.com", Local},
		{"a\u200db@example.com", Local},
		{"a\u202eb@example.com", Local},
		{"\u02b0@example.com", Local},
		{"a\xff@example.com", Local},
		{"a\u05d0@example.com", Local},
		{long + "@example.com", Local},
		{strings.Repeat("é", 512) + "@example.com", Local},
		{"juliet@@example.com", Domain},
		{"juliet@exa mple.com", Domain},
		{"juliet@ex_ample.com", Domain},
		{"juliet@-example.com", Domain},
		{"juliet@example-.com", Domain},
		{"juliet@ab--cd.com", Domain},
		{".example.com", Domain},
		{"a..b", Domain},
		{"example.com..", Domain},
		{".", Domain},
		{"xn--a.example", Domain},
		{"xn--ab-r13a.example", Domain}, // hides a full stop (U+3002) in a label
		{"xn--abc-.example", Domain},
		{"xn--\uff0e.example", Domain},
		{"::1", Domain},
		{"[::1", Domain},
		{"[::1%eth0]", Domain},
		{"[192.0.2.1]", Domain},
		{"[::1].example", Domain},
		{"exa\xffmple.com", Domain},
		{long, Domain},
		{"example.com/", Resource},
		{"juliet@example.com/", Resource},
		{"example.com/a\x00b", Resource},
		{"example.com/a\tb", Resource},
		{"example.com/\u0085", Resource},
		{"example.com/\xc3", Resource},
		{"example.com/" + long, Resource},
		{"example.com/" + strings.Repeat("é", 4096), Resource},
	} {
		j, err := Parse(tc.in)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("Parse(%.60q) = %q, %v, want an *Error", tc.in, j, err)
		} else if e.Part != tc.part || e.Reason == "" || !j.IsZero() {
			t.Errorf("Parse(%.60q): %v, want the %s to be blamed", tc.in, err, tc.part)
		}
	}
}

func TestParts(t *testing.T) {
	full := MustParse("juliet@capulet.example/balcony")
	bare, server := MustParse("juliet@capulet.example"), MustParse("capulet.example")
	for _, tc := range []struct {
		name                 string
		j                    JID
		bare, server         JID
		zero, isBare, isServ bool
	}{
		{"full", full, bare, server, false, false, false},
		{"bare", bare, bare, server, false, true, false},
		{"server", server, server, server, false, true, true},
		{"server with resource", MustParse("capulet.example/x"), server, server, false, false, false},
		{"zero", JID{}, JID{}, JID{}, true, true, false},
	} {
		if tc.j.Bare() != tc.bare || tc.j.Server() != tc.server {
			t.Errorf("%s: bare %q, server %q", tc.name, tc.j.Bare(), tc.j.Server())
		}
		if tc.j.IsZero() != tc.zero || tc.j.IsBare() != tc.isBare || tc.j.IsServer() != tc.isServ {
			t.Errorf("%s: zero %v, bare %v, server %v", tc.name, tc.j.IsZero(), tc.j.IsBare(), tc.j.IsServer())
		}
	}
	if j, err := full.WithResource("e\u0301"); err != nil || j != MustParse("juliet@capulet.example/\u00e9") {
		t.Errorf("with resource: %q, %v", j, err)
	}
	if j, err := full.WithResource(""); err != nil || j != bare {
		t.Errorf("with no resource: %q, %v", j, err)
	}
	if j, err := full.WithResource("a\x01"); err == nil {
		t.Errorf("with a bad resource: %q", j)
	}
	if j, err := (JID{}).WithResource("a"); err == nil {
		t.Errorf("a resource alone: %q", j)
	}
	if full.Compare(bare) <= 0 || bare.Compare(full) >= 0 || full.Compare(MustParse(full.String())) != 0 {
		t.Error("compare")
	}
	if _, err := New("a", "", "b"); err == nil {
		t.Error("New without a domain")
	}
}

func TestLocalpart(t *testing.T) {
	for in, want := range map[string]string{"bob": "bob", "Bob": "bob", "ÉMILE": "émile"} {
		if got, err := Localpart(in); err != nil || got != want {
			t.Errorf("Localpart(%q) = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "a b", "a@b", "\xff", "a/b"} {
		if got, err := Localpart(in); err == nil {
			t.Errorf("Localpart(%q) = %q", in, got)
		}
	}
}

// TestCanonicalBytes: for every ASCII byte in every part the fast way and the slow one agree.
func TestCanonicalBytes(t *testing.T) {
	for c := 0; c < 0x80; c++ {
		for _, in := range []string{"x" + string(rune(c)) + "x@d", "x" + string(rune(c)) + "x", "d/x" + string(rune(c)) + "x"} {
			agree(t, in)
		}
	}
}

// agree checks that what the fast way takes, the slow one takes in the same way and unchanged.
func agree(t *testing.T, in string) {
	t.Helper()
	fast, ok := parseCanonical(in)
	if !ok {
		return
	}
	slow := JID{}
	rest, resource, hasResource := strings.Cut(in, "/")
	local, domain, hasLocal := strings.Cut(rest, "@")
	if !hasLocal {
		local, domain = "", rest
	}
	var err error
	if hasLocal {
		local, err = normalise(Local, local, localProfile)
	}
	if err == nil {
		domain, err = normalise(Domain, domain, hostname)
	}
	if err == nil && hasResource {
		resource, err = normalise(Resource, resource, resourceProfile)
	}
	if err == nil {
		slow = join(local, domain, resource)
	}
	if err != nil || slow != fast || fast.String() != in {
		t.Errorf("%q: fast %q, slow %q, %v", in, fast, slow, err)
	}
}

func TestNoAllocations(t *testing.T) {
	for _, in := range []string{"juliet@capulet.example/balcony", "juliet@capulet.example", "capulet.example"} {
		if n := testing.AllocsPerRun(100, func() {
			j, err := Parse(in)
			if err != nil || j.Bare().IsZero() || j.Server().IsZero() || j.String() == "" || j.Resource() == "x" {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%q: %v allocations", in, n)
		}
	}
}

func TestParallel(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if j, err := Parse("ΣÉ@BÜCHER.example/a\u00a0b"); err != nil || j.String() != "σé@bücher.example/a b" {
					t.Errorf("%q, %v", j, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzJID(f *testing.F) {
	for _, s := range []string{"juliet@capulet.example/balcony", "BÜCHER.example", "[::1]/x", "Σ@x.y.", "xn--bcher-kva.de/\u00a0",
		"a@b@c", "ａ＠b", "a\u0308\u0304@x", "\u1e9e@\u1e9e", "\u0345@a", "x@xn--0.b-uia", "\u03a9\u0300@d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		agree(t, s)
		j, err := Parse(s)
		if err != nil {
			if !j.IsZero() {
				t.Fatalf("an address together with an error: %q", j)
			}
			return
		}
		again, err := Parse(j.String())
		if err != nil || again != j {
			t.Fatalf("Parse(%q) = %q, parsed again %q, %v", s, j, again, err)
		}
		for _, part := range []string{j.Local(), j.Domain(), j.Resource()} {
			if len(part) > MaxPart {
				t.Fatalf("a part of %d bytes", len(part))
			}
		}
		made, err := New(j.Local(), j.Domain(), j.Resource())
		if err != nil || made != j {
			t.Fatalf("put together again %q: %q, %v", j, made, err)
		}
		if bare, err := Parse(j.Bare().String()); err != nil || bare != j.Bare() {
			t.Fatalf("bare of %q: %q, %v", j, bare, err)
		}
		if server, err := Parse(j.Server().String()); err != nil || server != j.Server() || !server.IsServer() {
			t.Fatalf("server of %q: %q, %v", j, server, err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for name, in := range map[string]string{"ascii": "juliet@capulet.example/balcony", "mixedcase": "Juliet@Capulet.example/balcony", "unicode": "jülïet@bücher.example/bälcony"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
