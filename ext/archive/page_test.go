package archive

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/auth"
	"parley/ext/exttest"
	"parley/im"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/forward"
	"parley/xmpp/stanza/rsm"
	"parley/xmpp/xml"
)

// house is a hall with an archive.
type house struct {
	*exttest.Hall
	t       *testing.T
	archive *Archive
}

func build(t *testing.T, o Options, names ...string) *house {
	t.Helper()
	people := exttest.Everybody(names...)
	h := exttest.Over(t, exttest.Start(t, memory.New()), people)
	o.Always, o.Logger = true, slog.New(slog.DiscardHandler)
	o.Accounts = func() []auth.Account {
		var all []auth.Account
		for _, name := range people.Names() {
			owner, _ := people.Owner(name)
			all = append(all, auth.Account{Name: name, Owner: owner})
		}
		return all
	}
	a, err := New(context.Background(), h.Server, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Use(a.Extension()); err != nil {
		t.Fatal(err)
	}
	return &house{h, t, a}
}

// put appends messages to somebody's Log, as if they had come at that time.
func (h *house) put(name string, n int, peer string, at time.Time, sent bool) {
	h.t.Helper()
	account, err := h.Account(context.Background(), name)
	if err != nil {
		h.t.Fatal(err)
	}
	err = h.Within(context.Background(), nil, func(j store.Journey) error {
		for range n {
			st := stanza.New(stanza.Message, stanza.Chat, jid.MustParse(peer), account.JID(), stanza.Body("x"))
			e := store.Entry{Time: at, Peer: st.From.Bare().String(), Sent: sent, Body: st.Append(nil)}
			if _, err := h.Store().Log.Append(j, account.Owner(), e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// page is what a client gets for a query.
type page struct {
	texts, ids []string
	rsm.Page
	complete bool
}

func ask(t *testing.T, c *exttest.Client, form string, r rsm.Request, flip bool) page {
	t.Helper()
	if form != "" {
		form = "<x xmlns='jabber:x:data' type='submit'>" + form + "</x>"
	}
	if flip {
		form += "<flip-page/>"
	}
	answer := c.Ask("set", "", "<query xmlns='urn:xmpp:mam:2'>"+form+r.Element().String()+"</query>")
	fin := answer.Child(NS, "fin")
	if fin == nil {
		t.Fatalf("got %s", answer)
	}
	p := page{complete: fin.Attr("complete") == "true"}
	p.Page, _ = rsm.ParsePage(fin)
	for _, st := range c.Got() {
		result := st.Child(NS, "result")
		if result == nil {
			continue // a live copy
		}
		in, _, err := forward.Parse(result)
		if err != nil {
			t.Fatal(err)
		}
		p.texts, p.ids = append(p.texts, in.Body()), append(p.ids, result.Attr("id"))
	}
	return p
}

const withBob = "<field var='with'><value>bob@here</value></field>"

// TestPages pages through an archive with any size of page, in both directions, flipped or not, filtered or not, while
// messages keep arriving: every message comes exactly once, in order.
func TestPages(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	h := build(t, Options{}, "alice", "bob", "carol")
	alice, bob, carol := h.Join("alice", "a"), h.Join("bob", "b"), h.Join("carol", "c")
	var all, bobs []string // texts
	say := func(n int) {
		for range n {
			text := fmt.Sprint(len(all))
			all = append(all, text)
			switch rnd.IntN(3) {
			case 0:
				carol.Send("<message to='alice@here' type='chat'><body>" + text + "</body></message>")
			case 1:
				bob.Send("<message to='alice@here' type='chat'><body>" + text + "</body></message>")
				bobs = append(bobs, text)
			case 2:
				alice.Send("<message to='bob@here' type='chat'><body>" + text + "</body></message>")
				bobs = append(bobs, text)
			}
		}
		alice.Got()
	}
	say(40)
	for round := range 60 {
		size, flip, form, want := 1+rnd.IntN(45), rnd.IntN(2) == 0, "", &all
		if rnd.IntN(2) == 0 {
			form, want = withBob, &bobs
		}
		backward := round%2 == 0
		atFirst := len(*want)
		var got []string
		r := rsm.Request{Max: size, Last: backward}
		for {
			p := ask(t, alice, form, r, flip)
			if flip {
				slices.Reverse(p.texts)
				slices.Reverse(p.ids)
			}
			if len(p.texts) > size || len(p.ids) > 0 && (p.First != p.ids[0] || p.Last != p.ids[len(p.ids)-1]) {
				t.Fatalf("round %d: page of %d from %s to %s: %v", round, size, p.First, p.Last, p.ids)
			}
			if form == "" && p.Count != len(all) {
				t.Fatalf("round %d: count %d of %d", round, p.Count, len(all))
			}
			if backward {
				got = append(slices.Clone(p.texts), got...)
				r.Before = p.First
			} else {
				got = append(got, p.texts...)
				r.After = p.Last
			}
			if p.complete {
				break
			}
			if len(p.texts) != size {
				t.Fatalf("round %d: page of %d holds %d and is not the last", round, size, len(p.texts))
			}
			say(rnd.IntN(min(size, 3))) // fewer than a page, or going forward would not end
		}
		expect := *want
		if backward {
			expect = expect[:atFirst] // the last page was the last one when it was asked for
		}
		if !slices.Equal(got, expect) {
			t.Fatalf("round %d: size %d, backward %v, flip %v, form %q:\ngot  %v\nwant %v", round, size, backward, flip, form, got, expect)
		}
	}
}

// TestPageSizes: 50 unless the client says, 250 at most.
func TestPageSizes(t *testing.T) {
	h := build(t, Options{}, "alice")
	h.put("alice", 300, "bob@here/b", time.Now(), true)
	alice := h.Join("alice", "a")
	for _, c := range []struct{ max, want int }{{-1, 50}, {0, 0}, {1, 1}, {250, 250}, {251, 250}, {1 << 30, 250}} {
		if p := ask(t, alice, "", rsm.Request{Max: c.max}, false); len(p.texts) != c.want || p.complete || p.Count != 300 {
			t.Errorf("max %d: %d messages, complete %v, count %d", c.max, len(p.texts), p.complete, p.Count)
		}
	}
}

// TestPassed: a device that is hard to find costs bounded work, and is found in the end.
func TestPassed(t *testing.T) {
	h := build(t, Options{}, "alice")
	h.put("alice", 1, "bob@here/rare", time.Now(), true)
	h.put("alice", maxPassed+100, "bob@here/often", time.Now(), true)
	h.put("alice", 1, "bob@here/rare", time.Now(), true)
	alice := h.Join("alice", "a")
	rare := "<field var='with'><value>bob@here/rare</value></field>"
	for _, backward := range []bool{false, true} {
		r := rsm.Request{Max: 10, Last: backward}
		p := ask(t, alice, rare, r, false)
		if len(p.texts) != 1 || p.complete || p.Last == "" || p.Last == p.First {
			t.Fatalf("backward %v: first %+v", backward, p)
		}
		if r.After = p.Last; backward {
			r.After, r.Before = "", p.First
		}
		if p = ask(t, alice, rare, r, false); len(p.texts) != 1 || !p.complete {
			t.Fatalf("backward %v: then %+v", backward, p)
		}
	}
}

// TestPageGrows: what comes while a page is read is on it, and a page that does not have it is not the last one.
func TestPageGrows(t *testing.T) {
	h := build(t, Options{}, "alice")
	h.put("alice", 3, "bob@here/b", time.Now(), true)
	alice := h.Bind("alice", "a")
	for _, c := range []struct {
		max, comes, want int
		more             bool
	}{{10, 4, 7, false}, {5, 0, 5, true}, {7, 1, 7, true}, {9, 1, 9, false}} {
		q := &im.Query{Account: alice.Account(), Session: alice.Session}
		p, err := h.archive.open(t.Context(), q, &query{})
		if err != nil {
			t.Fatal(err)
		}
		var ids []store.ID
		f, err := p.scan(t.Context(), false, c.max, func(e *store.Entry) error {
			if ids = append(ids, e.ID); len(ids) <= c.comes {
				h.put("alice", 1, "bob@here/b", time.Now(), true)
			}
			return nil
		})
		want := make([]store.ID, c.want)
		for i := range want {
			want[i] = store.ID(i + 1)
		}
		if err != nil || f.more != c.more || !slices.Equal(ids, want) {
			t.Errorf("%+v: got %v, more %v, %v", c, ids, f.more, err)
		}
	}
}

// TestTimes compares a search by time with looking at every message.
func TestTimes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	h := build(t, Options{}, "alice")
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var times []time.Time
	for range 100 {
		at = at.Add(time.Duration(rnd.IntN(3)) * time.Second)
		h.put("alice", 1, "bob@here/b", at, true)
		times = append(times, at)
	}
	alice := h.Join("alice", "a")
	for range 100 {
		from := times[0].Add(time.Duration(rnd.IntN(200)-20) * time.Second)
		to := from.Add(time.Duration(rnd.IntN(100)) * time.Second)
		want := 0
		for _, x := range times {
			if !x.Before(from) && !x.After(to) {
				want++
			}
		}
		form := fmt.Sprintf("<field var='start'><value>%s</value></field><field var='end'><value>%s</value></field>", stanza.DateTime(from), stanza.DateTime(to))
		if p := ask(t, alice, form, rsm.Request{Max: 250}, false); len(p.texts) != want || p.Count != want || !p.complete {
			t.Errorf("%s to %s: %d messages, count %d, want %d", from, to, len(p.texts), p.Count, want)
		}
	}
}

// TestKeep: what is old goes, except what nobody was given yet.
func TestKeep(t *testing.T) {
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	h := build(t, Options{Keep: 10 * day}, "alice", "bob", "carol")
	for _, name := range []string{"alice", "bob"} {
		h.put(name, 5, "carol@here/c", now.Add(-30*day), false)
		h.put(name, 3, "carol@here/c", now.Add(-20*day), false)
		h.put(name, 2, "carol@here/c", now.Add(-day), false)
	}
	h.put("carol", 2, "bob@here/b", now.Add(-10*day), false) // not older than ten days
	alice, _ := h.Account(context.Background(), "alice")
	err := h.Within(context.Background(), nil, func(j store.Journey) error {
		// alice's devices were given the first five, before this server began
		return h.Store().KV.Set(j, alice.Owner(), "im/cursor", binary.BigEndian.AppendUint64(nil, 5))
	})
	if err != nil {
		t.Fatal(err)
	}
	fresh := build2(t, h)
	if err := fresh.tidy(context.Background(), now); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ first, last store.ID }{{6, 10}, {1, 10}, {1, 2}} {
		first, last, err := h.Store().Log.Bounds(context.Background(), store.Owner(i+1))
		if err != nil || first != want.first || last != want.last {
			t.Errorf("account %d: %d to %d (%v), want %+v", i+1, first, last, err, want)
		}
	}
	// Who has read up to something that is gone cannot know what was behind it: he is told.
	c := h.Bind("alice", "a")
	for id, want := range map[store.ID]string{5: "item-not-found", 6: "", 10: "", 11: "item-not-found"} {
		r := rsm.Request{Max: 10, After: h.Store().Log.WireID(alice.Owner(), id)}
		got := ""
		if answer := c.Ask("set", "", "<query xmlns='urn:xmpp:mam:2'>"+r.Element().String()+"</query>"); answer.Type == stanza.ErrorType {
			got = string(stanza.ErrorOf(answer).Condition)
		}
		if got != want {
			t.Errorf("behind %d: %q", id, got)
		}
	}
}

// build2 is an archive over the same store in a hall that has not read any account.
func build2(t *testing.T, h *house) *Archive {
	t.Helper()
	fresh := exttest.Over(t, h.Store(), exttest.Everybody("alice", "bob", "carol"))
	a, err := New(context.Background(), fresh.Server, h.archive.opts)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestErase: what is not wanted in the archive loses its content once it was delivered, and not before.
func TestErase(t *testing.T) {
	ctx := context.Background()
	h := build(t, Options{}, "alice", "bob")
	alice := h.Join("alice", "a")
	alice.Ask("set", "", "<prefs xmlns='urn:xmpp:mam:2' default='never'><always><jid>bob@here/kept</jid></always></prefs>")
	alice.Leave()
	bob, kept := h.Join("bob", "b"), h.Join("bob", "kept")
	kept.Send("<message to='alice@here' type='chat'><body>kept</body></message>")
	bob.Send("<message to='alice@here' type='chat'><body>passing</body></message>")
	bodies := func() (out []int) {
		for e, err := range h.Store().Log.Range(ctx, 1, store.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, min(len(e.Body), 1))
		}
		return out
	}
	if err := h.archive.tidy(ctx, time.Now()); err != nil || !slices.Equal(bodies(), []int{1, 1}) {
		t.Fatalf("before it was delivered: %v, %v", bodies(), err)
	}
	alice = h.Bind("alice", "a")
	alice.Send("<presence/>")
	if got := strings.Join(alice.Texts(), ""); !strings.Contains(got, "kept") || !strings.Contains(got, "passing") {
		t.Fatalf("delivered: %s", got)
	}
	if err := h.archive.tidy(ctx, time.Now()); err != nil || !slices.Equal(bodies(), []int{1, 0}) {
		t.Fatalf("after it was delivered: %v, %v", bodies(), err)
	}
	if p := ask(t, alice, "", rsm.Request{Max: 10}, false); !slices.Equal(p.texts, []string{"kept"}) || !p.complete {
		t.Errorf("in the archive: %+v", p)
	}
	kept.Send("<message to='alice@here' type='chat'><body>live</body></message>")
	alice.Got()
	alice.Leave()
	bob.Send("<message to='alice@here' type='chat'><body>later</body></message>")
	if err := h.archive.tidy(ctx, time.Now()); err != nil || !slices.Equal(bodies(), []int{1, 0, 1, 1}) {
		t.Fatalf("one more that was not delivered: %v, %v", bodies(), err)
	}
}

// TestRules: which preference counts.
func TestRules(t *testing.T) {
	h := build(t, Options{}, "alice", "bob")
	alice, err := h.Account(context.Background(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		p    prefs
		who  string
		want bool
	}{
		{prefs{Default: "always"}, "x@y/z", true},
		{prefs{Default: "never"}, "x@y/z", false},
		{prefs{Default: "roster"}, "x@y/z", false},
		{prefs{Default: "roster"}, "bob@here/z", true},
		{prefs{Default: "roster"}, "alice@here/z", true},
		{prefs{Default: "always", Never: []string{"x@y"}}, "x@y/z", false},
		{prefs{Default: "always", Never: []string{"x@y/other"}}, "x@y/z", true},
		{prefs{Default: "never", Always: []string{"x@y/z"}, Never: []string{"x@y"}}, "x@y/z", true},
		{prefs{Default: "never", Always: []string{"x@y"}, Never: []string{"x@y/z"}}, "x@y/z", false},
		{prefs{Default: "never", Always: []string{"x@y"}, Never: []string{"x@y"}}, "x@y/z", true},
	} {
		h.archive.rules[alice.Owner()] = c.p.rules()
		if got := h.archive.wants(alice, jid.MustParse(c.who)); got != c.want {
			t.Errorf("%+v, %s: %v", c.p, c.who, got)
		}
	}
}

func TestPrefsBounds(t *testing.T) {
	for n, ok := range map[int]bool{maxRules: true, maxRules + 1: false} {
		list := strings.Repeat("<jid>a@b</jid>", n)
		el, err := xml.Parse("<prefs xmlns='urn:xmpp:mam:2' default='always'><never>"+list+"</never></prefs>", "", xml.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parsePrefs(el); (err == nil) != ok {
			t.Errorf("%d addresses: %v", n, err)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "<flip-page/>", "<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><before/></set>",
		"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field><field var='with'><value>a@b/c</value></field></x>",
		"<x xmlns='jabber:x:data' type='submit'><field var='start'><value>2026-01-01T00:00:00Z</value></field><field var='end'/></x>",
		"<x xmlns='jabber:x:data' type='submit'><field var='ids'><value>1</value><value>2</value></field><field var='after-id'><value>x</value></field></x>",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, inside string) {
		el, err := xml.Parse("<query xmlns='urn:xmpp:mam:2' queryid='q'>"+inside+"</query>", "", xml.Limits{})
		if err != nil {
			return
		}
		q, err := parse(el)
		if (q == nil) == (err == nil) {
			t.Fatalf("%v and %v", q, err)
		}
		if err != nil {
			if _, ok := err.(*stanza.Error); !ok {
				t.Fatalf("%v is no error for a client", err)
			}
			return
		}
		if q.page.Max < 0 || q.page.Max > maxPage || len(q.ids) > maxPage {
			t.Fatalf("a page of %d, %d ids", q.page.Max, len(q.ids))
		}
	})
}
