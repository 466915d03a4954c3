package history

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// The test's histories are short: anna writes from one device to bert, who has two.
const (
	anna  = "anna/a"
	bert  = "bert/b"
	other = "bert/c"
	m1    = Msg("anna/a bert 1")
	m2    = Msg("anna/a bert 2")
	m3    = Msg("anna/a bert 3")
)

func bound(client string, s int) Event { return Event{Kind: Bound, Client: client, Session: s} }
func ready(client string, s int) Event { return Event{Kind: Ready, Client: client, Session: s} }
func send(s int, n int64, m Msg) Event {
	return Event{Kind: Send, Client: anna, Session: s, N: n, Msg: m}
}
func ack(s int, h int64) Event { return Event{Kind: Ack, Client: anna, Session: s, H: h} }
func resumed(client string, s int, h int64) Event {
	return Event{Kind: Resumed, Client: client, Session: s, H: h}
}
func failed(s int, h int64) Event { return Event{Kind: Failed, Client: anna, Session: s, H: h} }
func lost(client string, s int) Event {
	return Event{Kind: Lost, Client: client, Session: s}
}
func left(client string, s int) Event { return Event{Kind: Left, Client: client, Session: s} }
func got(client string, s int, m Msg) Event {
	return Event{Kind: Receive, Client: client, Session: s, Msg: m, IDs: []string{id(m)}}
}
func quiet(client string) Event { return Event{Kind: Quiet, Client: client} }

// id is what the server would give a message.
func id(m Msg) string { return "id-" + m.Way() + string(m[len(m)-1]) }

// walked is one reading of an account's archive to its end.
func walked(client string, q int, audit bool, after string, asked time.Duration, ms ...Msg) []Event {
	var list []Event
	for _, m := range ms {
		list = append(list, Event{Kind: Entry, Client: client, Query: q, Msg: m, IDs: []string{id(m)}, Audit: audit})
	}
	return append(list, Event{Kind: Page, Client: client, Query: q, After: after, Asked: asked, All: true, Audit: audit})
}

// audit is the end of a history: both archives.
func audit(annas, berts []Msg) []Event {
	return append(walked(anna, 101, true, "", 0, annas...), walked(bert, 102, true, "", 0, berts...)...)
}

// both is audit with the same in both archives.
func both(ms ...Msg) []Event { return audit(ms, ms) }

// a history is made of single events and of lists; one event is a millisecond.
func events(parts ...any) []Event {
	var list []Event
	for _, p := range parts {
		switch p := p.(type) {
		case Event:
			list = append(list, p)
		case []Event:
			list = append(list, p...)
		}
	}
	for i := range list {
		if list[i].At == 0 {
			list[i].At = time.Duration(i+1) * time.Millisecond
		}
		if list[i].Kind == Bound || list[i].Kind == Resumed {
			list[i].Asked = list[i].At
		}
	}
	return list
}

var opening = []Event{bound(anna, 1), ready(anna, 1), bound(bert, 2), ready(bert, 2)}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		name string
		want string // sentences, in the order found, without repetition
		have []Event
	}{
		{"good", "", events(opening, send(1, 1, m1), send(1, 2, ""), ack(1, 2), got(bert, 2, m1), quiet(anna), quiet(bert), both(m1))},
		{"nothing", "", nil},

		{"accepted, lost by a crash", P1, events(opening, send(1, 1, m1), ack(1, 1), Event{Kind: Crash}, both())},
		{"shown, lost by a crash", P1, events(opening, send(1, 1, m1), got(bert, 2, m1), Event{Kind: Crash}, audit([]Msg{m1}, nil))},
		{"not accepted, lost by a crash", "", events(opening, send(1, 1, m1), Event{Kind: Crash}, both())},

		{"counts more than was sent", P2, events(opening, send(1, 1, m1), ack(1, 2), got(bert, 2, m1), both(m1))},
		{"counts less than before", P2, events(opening, send(1, 1, m1), ack(1, 1), resumed(anna, 1, 0), got(bert, 2, m1), both(m1))},
		{"has what it says it has not", P2, events(opening, send(1, 1, m1), resumed(anna, 1, 0), both(m1))},
		{"sent again", "", events(opening, send(1, 1, m1), resumed(anna, 1, 0), send(1, 1, m1), ack(1, 1), got(bert, 2, m1), both(m1))},
		{"has what a refusal to resume denies", P13 + " " + P2, events(opening, send(1, 1, m1), failed(1, 0), both(m1))},
		{"given up", "", events(opening, send(1, 1, m1), resumed(anna, 1, 0), quiet(anna), both())},

		{"one device of two", P3, events(opening, bound(other, 3), send(1, 1, m1), ack(1, 1), got(bert, 2, m1), quiet(bert), quiet(other), both(m1))},
		{"the other one by its archive", "", events(opening, bound(other, 3), send(1, 1, m1), ack(1, 1), got(bert, 2, m1),
			walked(other, 5, false, "", 6*time.Millisecond, m1), quiet(bert), quiet(other), both(m1))},
		{"a gap on the stream, filled by the archive", P3, events(opening, send(1, 1, m1), send(1, 2, m2), send(1, 3, m3), ack(1, 3), got(bert, 2, m1), got(bert, 2, m3),
			walked(bert, 5, false, "", 9*time.Millisecond, m1, m2, m3), both(m1, m2, m3))},
		{"the last of a living stream", P3, events(opening, send(1, 1, m1), send(1, 2, m2), ack(1, 2), got(bert, 2, m1),
			walked(bert, 5, false, "", 8*time.Millisecond, m1, m2), quiet(bert), both(m1, m2))},
		{"the last of one that is gone", "", events(opening, send(1, 1, m1), send(1, 2, m2), ack(1, 2), got(bert, 2, m1), lost(bert, 2),
			walked(bert, 5, false, "", 8*time.Millisecond, m1, m2), quiet(bert), both(m1, m2))},

		{"twice in one archive", P4, events(opening, send(1, 1, m1), send(1, 2, m1), ack(1, 2), got(bert, 2, m1), audit([]Msg{m1}, []Msg{m1, m1}))},

		{"the archive out of order", P5, events(opening, send(1, 1, m1), send(1, 2, m2), ack(1, 2), both(m2, m1))},
		{"the stream out of order", P5, events(opening, send(1, 1, m1), send(1, 2, m2), ack(1, 2), got(bert, 2, m2), got(bert, 2, m1), both(m1, m2))},
		{"what comes again is no disorder", "", events(opening, send(1, 1, m1), send(1, 2, m2), ack(1, 2), got(bert, 2, m1), got(bert, 2, m2), Event{Kind: Crash}, resumed(bert, 2, 0),
			got(bert, 2, m1), got(bert, 2, m2), both(m1, m2))},

		{"two ids", P6, events(opening, send(1, 1, m1), ack(1, 1), Event{Kind: Receive, Client: bert, Session: 2, Msg: m1, IDs: []string{"x"}}, both(m1))},
		{"a forged id beside the right one", P6, events(opening, send(1, 1, m1), ack(1, 1), Event{Kind: Receive, Client: bert, Session: 2, Msg: m1, IDs: []string{id(m1), "x"}}, both(m1))},
		{"one id for two", P6, events(opening, send(1, 1, m1), send(1, 2, m2), ack(1, 2),
			got(bert, 2, m1), got(bert, 2, m2), walked(bert, 5, false, "", 0, m1), Event{Kind: Entry, Client: bert, Query: 5, Msg: m2, IDs: []string{id(m1)}}, both(m1, m2))},

		{"a gap in a page", P7, events(opening, send(1, 1, m1), send(1, 2, m2), send(1, 3, m3), ack(1, 3), walked(bert, 5, false, "", time.Millisecond, m1, m3), both(m1, m2, m3))},
		{"an end too early", P7, events(opening, send(1, 1, m1), send(1, 2, m2), ack(1, 2), walked(anna, 5, false, "", time.Second, m1), both(m1, m2))},
		{"an end before the rest was accepted", "", events(opening, send(1, 1, m1), send(1, 2, m2), ack(1, 2), walked(anna, 5, false, "", 6*time.Millisecond, m1), both(m1, m2))},
		{"a page that did not end", "", events(opening, send(1, 1, m1), send(1, 2, m2), ack(1, 2), Event{Kind: Entry, Client: bert, Query: 5, Msg: m2, IDs: []string{id(m2)}}, both(m1, m2))},
		{"reading on", "", events(opening, send(1, 1, m1), send(1, 2, m2), ack(1, 2), walked(anna, 5, false, id(m1), time.Second, m2), both(m1, m2))},
		{"from nowhere on", P7, events(opening, send(1, 1, m1), ack(1, 1), walked(anna, 5, false, "x", time.Second), both(m1))},

		{"counted and dropped", P9, events(opening, send(1, 1, m1), ack(1, 1), both())},
		{"neither counted nor refused", P9, events(opening, send(1, 1, m1), quiet(anna), both())},
		{"refused", "", events(opening, send(1, 1, m1), ack(1, 1), Event{Kind: Refused, Client: anna, Msg: m1}, quiet(anna), audit([]Msg{m1}, nil))},
		{"refused and kept", P9, events(opening, send(1, 1, m1), ack(1, 1), Event{Kind: Refused, Client: anna, Msg: m1}, quiet(anna), both(m1))},

		{"no resumption", P13, events(opening, lost(anna, 1), failed(1, -1), both())},
		{"no resumption of what was ended", "", events(opening, left(anna, 1), failed(1, -1), both())},
		{"lost over a resumption", P13, events(opening, send(1, 1, m1), send(1, 2, m2), send(1, 3, m3), ack(1, 3), got(bert, 2, m1), lost(bert, 2), resumed(bert, 2, 0), got(bert, 2, m3), both(m1, m2, m3))},
		{"repeated without a crash", P13, events(opening, send(1, 1, m1), ack(1, 1), got(bert, 2, m1), lost(bert, 2), resumed(bert, 2, 0), got(bert, 2, m1), both(m1))},
		{"repeated long after", P13, events(opening, send(1, 1, m1), ack(1, 1), got(bert, 2, m1), Event{Kind: Crash, At: time.Minute}, Event{Kind: Resumed, Client: bert, Session: 2, At: time.Minute},
			Event{Kind: Receive, Client: bert, Session: 2, Msg: m1, IDs: []string{id(m1)}, At: time.Minute + 1}, both(m1))},

		{"accepted, lost by a stop", P14, events(opening, send(1, 1, m1), ack(1, 1), Event{Kind: Stop}, both())},
		{"not accepted, and never", P14, events(opening, send(1, 1, m1), Event{Kind: Stop}, quiet(anna), both())},
		{"a long absence", P14, events(opening, Event{Kind: Stop, At: time.Second}, Event{Kind: Start, At: 2 * time.Second}, Event{Kind: Resumed, Client: anna, Session: 1, At: 12 * time.Second}, quiet(anna), both())},

		{"to somebody else", Isolation, events(opening, bound("carl/c", 4), send(1, 1, m1), ack(1, 1), got(bert, 2, m1), got("carl/c", 4, m1), both(m1))},
		{"from nobody", Origin, events(opening, got(bert, 2, m1), both())},
		{"altered", Origin, events(opening, send(1, 1, m1), ack(1, 1), got(bert, 2, m1), Event{Kind: Receive, Client: bert, Session: 2, Text: "x"}, both(m1))},

		{"no session", Broken, events(send(1, 1, m1))},
		{"not in turn", Broken, events(opening, send(1, 2, m1), both())},
	} {
		t.Run(test.name, func(t *testing.T) {
			var sentences []string
			found := Check(test.have)
			for _, v := range found {
				if !slices.Contains(sentences, v.Sentence) {
					sentences = append(sentences, v.Sentence)
				}
			}
			if have := strings.Join(sentences, " "); have != test.want {
				t.Errorf("sentences %q, want %q: %v", have, test.want, found)
			}
		})
	}
}

func TestWriteRead(t *testing.T) {
	want := events(opening, send(1, 1, m1), got(bert, 2, m1), both(m1), Event{Kind: Receive, Text: "<&>\u009b"})
	var b bytes.Buffer
	if err := Write(&b, want); err != nil {
		t.Fatal(err)
	}
	if have, err := Read(&b); err != nil || !reflect.DeepEqual(have, want) {
		t.Errorf("read %v, %v", have, err)
	}
	if _, err := Read(strings.NewReader("{")); err == nil {
		t.Error("half a line was read")
	}
}

func TestMsg(t *testing.T) {
	m := NewMsg(anna, "bert", 12)
	if m.From() != "anna" || m.To() != "bert" || m.Client() != anna || m.N() != 12 || m.Way() != "anna/a bert" {
		t.Errorf("%q is from %s, to %s", m, m.From(), m.To())
	}
	body := m.Body("some | words")
	if ReadBody(body) != m {
		t.Errorf("%q is not read from %q", m, body)
	}
	for _, x := range []string{"", "|", body + "x", strings.Replace(body, "12", "13", 1), strings.Replace(body, "some", "Some", 1)} {
		if have := ReadBody(x); have != "" {
			t.Errorf("%q was read from %q", have, x)
		}
	}
}

// TestLinear: twice as long a history takes twice as long to check; with a rule that is quadratic, this one takes minutes.
func TestLinear(t *testing.T) {
	list := slices.Clone(opening)
	var ms []Msg
	for i := range 5_000 {
		m := NewMsg(anna, "bert", i+1)
		ms = append(ms, m)
		list = append(list, send(1, int64(i)+1, m), ack(1, int64(i)+1), Event{Kind: Receive, Client: bert, Session: 2, Msg: m, IDs: []string{id(m) + string(m)}})
		if i%100 == 0 {
			list = append(list, resumed(bert, 2, 0))
		}
	}
	for _, who := range []string{anna, bert} {
		for _, m := range ms {
			list = append(list, Event{Kind: Entry, Client: who, Query: len(who) + int(who[0]), Msg: m, IDs: []string{id(m) + string(m)}, Audit: true})
		}
		list = append(list, Event{Kind: Page, Client: who, Query: len(who) + int(who[0]), All: true, Audit: true})
	}
	began := time.Now()
	if found := Check(events(list)); len(found) > 0 {
		t.Errorf("%d violations, for example %v", len(found), found[0])
	}
	t.Logf("%d events in %v", len(list), time.Since(began))
}
