package load_test

import (
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"parley/imtest/history"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

const nsSM = "urn:xmpp:sm:3"

// losing is a run in which connections are lost in every way, without a fault of the server.
func losing() setup {
	x := fresh()
	x.load.Rounds = 10
	x.load.Cut, x.load.Takeover, x.load.Leave, x.load.Anew, x.load.Again, x.load.GiveUp = .4, .1, .05, .1, .2, .1
	return x
}

// between is somebody on the way from the server to the clients, who knows when each of them has resumed.
type between struct {
	mu      sync.Mutex
	clients map[string]*way // guarded by mu
}

// way is what was seen on the way to one client.
type way struct {
	fresh bool           // since the resumption, only messages came
	held  []*xml.Element // messages that wait
	last  *xml.Element   // the last message that was let through
}

// plant puts on the way a fault that does something to each element.
func plant(do func(w *way, el *xml.Element) []*xml.Element) func(*setup) {
	return func(x *setup) {
		b := &between{clients: map[string]*way{}}
		x.load.Between = func(client string, el *xml.Element) []*xml.Element {
			b.mu.Lock()
			defer b.mu.Unlock()
			w := b.clients[client]
			if w == nil {
				w = &way{}
				b.clients[client] = w
			}
			return do(w, el)
		}
	}
}

// repeats does something to the messages that come right after a resumption.
func repeats(message func(w *way, el *xml.Element) []*xml.Element) func(*setup) {
	return plant(func(w *way, el *xml.Element) []*xml.Element {
		switch {
		case is(el, "resumed"):
			w.fresh, w.held = true, nil
			return []*xml.Element{el}
		case el.Name.Local == "message" && el.Child("urn:xmpp:mam:2", "result") == nil:
			if w.fresh {
				return message(w, el)
			}
			w.last = el
			return []*xml.Element{el}
		}
		w.fresh = false
		slices.Reverse(w.held)
		list := append(w.held, el)
		w.held = nil
		return list
	})
}

func is(el *xml.Element, name string) bool {
	return el.Name == xml.Name{Space: nsSM, Local: name}
}

// counting changes the count that an element of stream management bears.
func counting(name string, change func(h int) int) func(*setup) {
	return plant(func(_ *way, el *xml.Element) []*xml.Element {
		if h, err := strconv.Atoi(el.Attr("h")); is(el, name) && err == nil {
			el = el.WithAttr("h", strconv.FormatUint(uint64(uint32(change(h))), 10))
		}
		return []*xml.Element{el}
	})
}

// resumptionFaults are those of stream management, as clients see them.
func resumptionFaults() []fault {
	return []fault{
		{"a count too high", history.P2, counting("a", func(h int) int { return h + 1 })},
		{"a count that goes back", history.P2, counting("resumed", func(h int) int { return h - 5 })},
		{"a resumption that counts what was lost", history.P2, func(x *setup) {
			x.load.Patience = 300 * time.Millisecond // some are never counted
			counting("resumed", func(h int) int { return h + 3 })(x)
		}},
		{"no counts", history.P9, func(x *setup) {
			x.load.Cut, x.load.Takeover, x.load.Patience = 0, 0, 200*time.Millisecond
			plant(func(_ *way, el *xml.Element) []*xml.Element {
				if is(el, "a") {
					return nil
				}
				return []*xml.Element{el}
			})(x)
		}},
		{"reorder on resume", history.P5, repeats(func(w *way, el *xml.Element) []*xml.Element {
			w.held = append(w.held, el)
			return nil
		})},
		{"the unacknowledged queue is dropped", history.P13, repeats(func(*way, *xml.Element) []*xml.Element { return nil })},
		{"a new id on resend", history.P6, repeats(func(_ *way, el *xml.Element) []*xml.Element {
			return []*xml.Element{renewed(el)}
		})},
		{"repeated though counted", history.P13, plant(func(w *way, el *xml.Element) []*xml.Element {
			list := []*xml.Element{el}
			switch {
			case is(el, "resumed"):
				w.fresh = true
			case w.fresh && w.last != nil:
				w.fresh = false
				return append(list, w.last)
			case el.Name.Local == "message" && el.Child("urn:xmpp:mam:2", "result") == nil:
				w.last = el
			}
			return list
		})},
		{"sessions are forgotten", history.P13, plant(func(_ *way, el *xml.Element) []*xml.Element {
			if is(el, "resumed") {
				el = xml.New(nsSM, "failed").With(xml.New(stanza.NSStanzas, "item-not-found"))
			}
			return []*xml.Element{el}
		})},
	}
}

// renewed is a message with another stanza-id.
func renewed(el *xml.Element) *xml.Element {
	c := *el
	var kids []*xml.Element
	for k := range el.Children() {
		if k.Name.Space == stanza.NSID && k.Name.Local == "stanza-id" {
			k = k.WithAttr("id", k.Attr("id")+"x")
		}
		kids = append(kids, k)
	}
	c.Content = xml.In(stanza.NSClient).With(kids...)
	return &c
}

// TestResumptionFaults: each fault of stream management is found, by the rule of the sentence that it breaks.
func TestResumptionFaults(t *testing.T) {
	for _, f := range resumptionFaults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			x := losing()
			f.plant(&x)
			wanted(t, f, run(t, x))
		})
	}
}

// TestLosing: clients that lose their connections in every way lose nothing else.
func TestLosing(t *testing.T) {
	for _, v := range run(t, losing()) {
		t.Error(v)
	}
}
