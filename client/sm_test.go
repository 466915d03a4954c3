package client

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"parley/xmpp/stanza"
)

func pushed(t *testing.T, m *sm, ids ...string) {
	t.Helper()
	for _, id := range ids {
		kind := stanza.Message
		if strings.HasPrefix(id, "iq") {
			kind = stanza.IQ
		}
		if err := m.push(sent{kind: kind, id: id, data: []byte(id)}); err != nil {
			t.Fatal(err)
		}
	}
}

func idsOf(list []sent) string {
	var ids []string
	for _, st := range list {
		ids = append(ids, st.id)
	}
	return strings.Join(ids, " ")
}

func TestSM(t *testing.T) {
	var m sm
	m.enabled("x")
	if m.ask() {
		t.Error("asks about nothing")
	}
	pushed(t, &m, "a", "iq1", "b")
	if !m.ask() || m.ask() {
		t.Error("one question at a time")
	}
	got, err := m.ack(2)
	if err != nil || idsOf(got) != "a iq1" || m.bytes != 1 || !m.ask() {
		t.Errorf("covered %q, %v, %d bytes left", idsOf(got), err, m.bytes)
	}
	if got, err := m.ack(2); err != nil || len(got) > 0 {
		t.Errorf("the same again: %q, %v", idsOf(got), err)
	}
	for _, h := range []uint32{1, 4, math.MaxUint32} { // backwards, or more than there is
		if _, err := m.ack(h); !errors.Is(err, errAck) || idsOf(m.out) != "b" {
			t.Errorf("h=%d: %v, left %q", h, err, idsOf(m.out))
		}
	}
	pushed(t, &m, "c", "iq2")
	m.count()
	if got, err := m.resumed(3); err != nil || idsOf(got) != "b" || idsOf(m.out) != "c iq2" || m.in != 1 || m.id != "x" {
		t.Errorf("resumed: %q, %v, left %q", idsOf(got), err, idsOf(m.out))
	}
	if _, err := m.resumed(9); err == nil || m.id != "" {
		t.Errorf("a count of the future: %v, id %q", err, m.id)
	}
}

// The counts go round after 2^32-1.
func TestSMWrap(t *testing.T) {
	for _, before := range []uint32{0, 1, 5} {
		m := sm{on: true, base: math.MaxUint32 - before, in: math.MaxUint32}
		for i := range 12 {
			pushed(t, &m, fmt.Sprint(i))
		}
		m.count()
		if m.in != 0 {
			t.Errorf("in %d", m.in)
		}
		got, err := m.ack(math.MaxUint32 - before + 7)
		if err != nil || idsOf(got) != "0 1 2 3 4 5 6" || idsOf(m.out) != "7 8 9 10 11" {
			t.Errorf("before %d: covered %q, left %q, %v", before, idsOf(got), idsOf(m.out), err)
		}
		if _, err := m.ack(m.base - 1); err == nil {
			t.Error("goes back over the edge")
		}
		if got, err := m.ack(m.base + 5); err != nil || len(got) != 5 || m.bytes != 0 {
			t.Errorf("the rest: %q, %v, %d bytes", idsOf(got), err, m.bytes)
		}
	}
}

func TestSMFailed(t *testing.T) {
	for _, c := range []struct {
		h              uint32
		known          bool
		covered, again string
	}{
		{2, true, "a iq1", "b c"},
		{0, true, "", "a b c"},
		{4, true, "a iq1 b c", ""},
		{0, false, "", "a b c"},
		{77, true, "", "a b c"}, // makes no sense
	} {
		var m sm
		m.enabled("x")
		pushed(t, &m, "a", "iq1", "b", "c")
		m.count()
		covered, again := m.failed(c.h, c.known)
		if idsOf(covered) != c.covered || idsOf(again) != c.again || m.in != 0 || m.id != "" || m.on || len(m.out) > 0 || m.bytes != 0 {
			t.Errorf("h=%d %v: covered %q, again %q, left %+v", c.h, c.known, idsOf(covered), idsOf(again), m)
		}
	}
}

// Without management only messages have numbers, and an answer covers what was pushed before its question.
func TestSMByPing(t *testing.T) {
	var m sm
	pushed(t, &m, "iq1", "a", "b")
	if !m.ask() {
		t.Error("does not ask")
	}
	pushed(t, &m, "c")
	if got, err := m.ack(m.target); err != nil || idsOf(got) != "a b" || !m.ask() {
		t.Errorf("covered %q, %v", idsOf(got), err)
	}
}

func TestSMBound(t *testing.T) {
	m := sm{on: true}
	big := sent{data: make([]byte, maxUnacknowledged/4)}
	for range 4 {
		if err := m.push(big); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.push(sent{data: []byte("x")}); !errors.Is(err, errDeaf) {
		t.Errorf("more than is kept: %v", err)
	}
}

func TestSeen(t *testing.T) {
	var s seen
	if s.again("a", "b") || !s.again("b") || !s.again("c", "a") || !s.again("c") || s.again() {
		t.Error("what was seen is not known again, or what was not is")
	}
	for i := range maxSeen {
		if s.again(fmt.Sprint(i)) {
			t.Fatal(i)
		}
	}
	if s.again("a") || len(s.known) != maxSeen || len(s.ring) != maxSeen {
		t.Errorf("%d known, %d in the ring", len(s.known), len(s.ring))
	}
	if !s.again(fmt.Sprint(maxSeen - 1)) {
		t.Error("the last one is forgotten")
	}
}
