package load

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestBody(t *testing.T) {
	for _, b := range []body{
		{}, {run: 0x7f3a09c2, seq: 42, sent: 123456789}, {run: math.MaxUint32, seq: math.MaxUint32, sent: math.MaxInt64},
	} {
		for _, size := range []int{0, minBody, minBody + 1, 64, 1000} {
			p := b.append([]byte("x"), size)
			if got, ok := parseBody(p[1:]); !ok || got != b || len(p) != 1+max(size, minBody) {
				t.Errorf("%v in %d bytes: %v, %v, %d bytes", b, size, got, ok, len(p)-1)
			}
		}
	}
	if got := string(body{run: 0x7f3a09c2, seq: 42, sent: 123456789}.append(nil, 40)); got != "7f3a09c2 0000002a 00000000075bcd15......" {
		t.Errorf("%s", got)
	}
	for _, s := range []string{"", "hello", strings.Repeat("x", 64), "7f3a09c2 0000002a 00000000075bcd1", "7F3a09c2 0000002a 00000000075bcd15"} {
		if b, ok := parseBody([]byte(s)); ok {
			t.Errorf("%q: %v", s, b)
		}
	}
}

func TestMessage(t *testing.T) {
	b := body{run: 1, seq: 7, sent: time.Second}
	m := appendMessage(nil, "a@b/c", "chat", b, 50)
	if frame(m) != len(m) || string(attr(m, "to")) != "a@b/c" || string(attr(m, "id")) != "7" || string(attr(m, "type")) != "chat" {
		t.Errorf("%s", m)
	}
	if got, ok := parseBody(inside(m, "body")); !ok || got != b || len(inside(m, "body")) != 50 {
		t.Errorf("%s: %v, %v", m, got, ok)
	}
}

func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name                     string
		came                     []uint32
		sent                     uint32
		lost, doubled, reordered int
	}{
		{"nothing", nil, 0, 0, 0, 0},
		{"all", []uint32{0, 1, 2}, 3, 0, 0, 0},
		{"none", nil, 3, 3, 0, 0},
		{"without the first", []uint32{1, 2}, 3, 1, 0, 0},
		{"without two in the middle", []uint32{0, 3}, 4, 2, 0, 0},
		{"without the last", []uint32{0, 1}, 3, 1, 0, 0},
		{"the last twice", []uint32{0, 1, 1}, 2, 0, 1, 0},
		{"an old one again", []uint32{0, 1, 2, 0}, 3, 0, 1, 0},
		{"exchanged", []uint32{1, 0, 2}, 3, 0, 0, 1},
		{"a late one, twice", []uint32{0, 2, 1, 1}, 3, 0, 1, 1},
		{"backwards", []uint32{3, 2, 1, 0}, 4, 0, 0, 3},
		{"of everything one", []uint32{0, 2, 1, 4, 4}, 6, 2, 1, 1},
	} {
		var o order
		for _, n := range c.came {
			o.came(n)
		}
		if o.lost(c.sent) != c.lost || o.doubled != c.doubled || o.reordered != c.reordered {
			t.Errorf("%s: lost %d, doubled %d, reordered %d; want %d, %d, %d", c.name, o.lost(c.sent), o.doubled, o.reordered, c.lost, c.doubled, c.reordered)
		}
	}
}

func TestAccounts(t *testing.T) {
	for _, c := range []struct {
		in, err string
		want    []Account
	}{
		{"", "", nil},
		{"a:b\n", "", []Account{{"a", "b"}}},
		{"# people\r\n\r\n  a:b:c\r\n\tb: d\n", "", []Account{{"a", "b:c"}, {"b", " d"}}},
		{"a:b\nbob\n", "line 2 is not name:password", nil},
		{"\n:b\n", "line 2 is not name:password", nil},
		{"a:\n", "line 1 is not name:password", nil},
		{strings.Repeat("x", 1<<20), "read accounts: bufio.Scanner: token too long", nil},
	} {
		got, err := ReadAccounts(strings.NewReader(c.in))
		if (err == nil) != (c.err == "") || err != nil && err.Error() != c.err || len(got) != len(c.want) {
			t.Errorf("%.20q: %v, %v", c.in, got, err)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%q: %v", c.in, got)
			}
		}
	}
	made := Made("m", 3)
	if len(made) != 3 || made[2] != (Account{"m2", "measured-m2"}) {
		t.Errorf("%v", made)
	}
}

// TestArchiveRead: what is missing in an archive, or there twice, is found each time that it is read to the end.
func TestArchiveRead(t *testing.T) {
	r := &run{cfg: &Config{Messages: 4}, id: 7, counting: true}
	c := new(conn)
	for _, seqs := range [][]uint32{{0, 1, 2, 3}, {0, 1, 3}, {1, 0, 2, 3, 3}, {}} {
		for _, seq := range seqs {
			for _, id := range []uint32{6, 7} { // an earlier run's is an entry too
				m := appendMessage(nil, "a", "chat", body{run: id, seq: seq}, 40)
				r.entry(c, []byte("<message><result><forwarded>"+string(m)+"</forwarded></result></message>"))
			}
		}
		r.entry(c, []byte("<message><result><forwarded><message><body>hello</body></message></forwarded></result></message>"))
		r.entry(c, []byte("<message><received/></message>"))
		r.readAll(c)
	}
	if r.units != 2*12+4 || r.result.Lost != 1+4 || r.result.Doubled != 1 || r.result.Reordered != 1 {
		t.Errorf("%d entries, %+v", r.units, r.result)
	}
}
