package rsm_test

import (
	"errors"
	"testing"

	"parley/xmpp/stanza/rsm"
	"parley/xmpp/xml"
)

func in(t *testing.T, set string) *xml.Element {
	t.Helper()
	el, err := xml.Parse("<query xmlns='urn:x'>"+set+"</query>", "", xml.Limits{})
	if err != nil {
		t.Fatalf("%s: %v", set, err)
	}
	return el
}

const open = "<set xmlns='http://jabber.org/protocol/rsm'>"

func TestParse(t *testing.T) {
	for _, c := range []struct {
		set  string
		want rsm.Request
		err  error
	}{
		{"", rsm.Request{Max: -1}, nil},
		{"<set xmlns='urn:else'><max>3</max></set>", rsm.Request{Max: -1}, nil},
		{open + "</set>", rsm.Request{Max: -1}, nil},
		{open + "<max>10</max></set>", rsm.Request{Max: 10}, nil},
		{open + "<max>0</max></set>", rsm.Request{Max: 0}, nil},
		{open + "<max>4294967295</max></set>", rsm.Request{Max: 1<<31 - 1}, nil},
		{open + "<max>99999999999999999999999</max></set>", rsm.Request{Max: 1<<31 - 1}, nil},
		{open + "<max>-1</max></set>", rsm.Request{}, rsm.ErrMax},
		{open + "<max>ten</max></set>", rsm.Request{}, rsm.ErrMax},
		{open + "<max/></set>", rsm.Request{}, rsm.ErrMax},
		{open + "<index>3</index></set>", rsm.Request{}, rsm.ErrIndex},
		{open + "<after>a&lt;b</after></set>", rsm.Request{Max: -1, After: "a<b"}, nil},
		{open + "<after/></set>", rsm.Request{Max: -1}, nil},
		{open + "<before>x</before></set>", rsm.Request{Max: -1, Before: "x", Last: true}, nil},
		{open + "<before/></set>", rsm.Request{Max: -1, Last: true}, nil},
		{open + "<before/><after>x</after><max>2</max><else xmlns='urn:x'/></set>", rsm.Request{Max: 2, After: "x", Last: true}, nil},
	} {
		got, err := rsm.Parse(in(t, c.set))
		if !errors.Is(err, c.err) || err == nil && got != c.want {
			t.Errorf("%s: got %+v, %v", c.set, got, err)
		}
		if err != nil {
			continue
		}
		if again, err := rsm.Parse(in(t, got.Element().String())); err != nil || again != got {
			t.Errorf("%s became %s", c.set, got.Element())
		}
	}
}

func TestPage(t *testing.T) {
	for _, p := range []rsm.Page{
		{Count: -1}, {Count: 0}, {First: "a", Last: "b", Count: 17}, {First: "<a>", Last: "<a>", Count: -1}, {Last: "only"},
	} {
		if got, ok := rsm.ParsePage(in(t, p.Element().String())); !ok || got != p {
			t.Errorf("%s: got %+v, %v", p.Element(), got, ok)
		}
	}
	if _, ok := rsm.ParsePage(in(t, "")); ok {
		t.Error("a page out of nothing")
	}
	if p, ok := rsm.ParsePage(in(t, open+"<count>many</count></set>")); !ok || p.Count != -1 {
		t.Errorf("a strange count: %+v, %v", p, ok)
	}
}
