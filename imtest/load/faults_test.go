package load_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"parley/im"
	"parley/imtest"
	"parley/imtest/history"
	"parley/imtest/load"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// setup is one run: a server in memory, its engine, and what the clients do.
type setup struct {
	engine *faulty
	server imtest.Options
	load   load.Options
	crash  bool // after everybody has talked, the server is lost with what is not on disk
	settle bool // when all that it has shown was received
}

// run is a short run of the load, and what the checker finds in its history.
func run(t *testing.T, x setup) []history.Violation {
	t.Helper()
	x.server.Engine = x.engine
	first := imtest.Start(t, imtest.Options{Engine: x.engine.Engine}) // a server without faults makes the accounts
	first.Account(load.Accounts(x.load.Pairs)...)
	first.Stop()
	server := imtest.Start(t, x.server)
	var at atomic.Pointer[imtest.Server]
	at.Store(server)
	x.load.Password = imtest.Password
	x.load.Recorder = history.NewRecorder()
	x.load.Dial = func(context.Context) (net.Conn, bool, error) { nc, direct := at.Load().Dial(); return nc, direct, nil }
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	g := load.New(x.load)
	defer g.Close()
	if err := g.Talk(ctx, nil); err != nil {
		t.Fatal(err)
	}
	if x.settle {
		if err := g.Settle(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if x.crash {
		gone := x.engine.crash()
		x.load.Recorder.Add(history.Event{Kind: history.Crash})
		g.Lose()
		gone()
		server.Stop()
		x.server.Engine = x.engine.Engine
		at.Store(imtest.Start(t, x.server))
		x.load.Recorder.Add(history.Event{Kind: history.Start})
	}
	if err := g.Finish(ctx); err != nil {
		t.Log(err) // with a fault planted, not even the end is certain
	}
	return history.Check(x.load.Recorder.Events())
}

// fresh is a run without faults.
func fresh() setup {
	return setup{
		engine: &faulty{Engine: memory.New()},
		load:   load.Options{Seed: 1, Pairs: 1, Devices: 2, Rounds: 6, Burst: 8, Read: .3, Forge: .1, Patience: 2 * time.Second},
	}
}

func (x *setup) first(e im.Extension) { e.Name = "fault"; x.server.First = []im.Extension{e} }
func (x *setup) last(e im.Extension)  { e.Name = "fault"; x.server.Last = []im.Extension{e} }

// fault is something wrong with a server, and the sentence that it breaks.
type fault struct {
	name  string
	want  string
	plant func(*setup)
}

// faults are those of the way of a message and of the store.
func faults() []fault {
	return []fault{
		{"ack before commit", history.P1, func(x *setup) {
			x.engine.slow, x.crash, x.settle, x.server.Store = 100*time.Millisecond, true, true, store.Options{Unheld: true}
		}},
		{"a message is dropped", history.P9, func(x *setup) {
			x.first(im.Extension{Sending: onMessages(func(*im.Delivery) error { return im.ErrDrop })})
		}},
		{"a message is dropped on arrival", history.P9, func(x *setup) {
			x.first(im.Extension{Arriving: onMessages(func(*im.Delivery) error { return im.ErrDrop })})
		}},
		{"refused and kept", history.P9, func(x *setup) {
			x.last(im.Extension{Arriving: onMessages(func(*im.Delivery) error { return stanza.Bad(stanza.ResourceConstraint, "") })})
		}},
		{"an entry is lost", history.P9, func(x *setup) {
			x.engine.page = func(_ store.Query, p []store.Entry) []store.Entry {
				return hide(p, func(e store.Entry) bool { return e.ID%9 == 4 })
			}
		}},
		{"drop on overflow: one session of two is passed over", history.P3, func(x *setup) {
			x.last(im.Extension{Arriving: onMessages(func(d *im.Delivery) error { d.Targets = d.Targets[:max(len(d.Targets)-1, 0)]; return nil })})
		}},
		{"a copy is lost", history.P3, func(x *setup) {
			x.last(im.Extension{Sending: onMessages(func(d *im.Delivery) error { d.Copies = nil; return nil })})
		}},
		{"a message is kept twice", history.P4, func(x *setup) {
			x.first(im.Extension{Sending: onMessages(func(d *im.Delivery) error { d.Emit(d.Stanza.Without(isOrigin)); return nil })})
		}},
		{"two messages change places", history.P5, func(x *setup) { x.first(im.Extension{Arriving: swap()}) }},
		{"another id on the live copy", history.P6, func(x *setup) {
			x.last(im.Extension{Arriving: onMessages(func(d *im.Delivery) error { d.ID++; return nil })})
		}},
		{"a forged id is let through", history.P6, func(x *setup) {
			x.last(im.Extension{Arriving: onMessages(func(d *im.Delivery) error {
				d.Stanza = d.Stanza.With(xml.New(stanza.NSID, "stanza-id", xml.A("by", d.Account.JID().String()), xml.A("id", "forged")))
				return nil
			})})
		}},
		{"a gap in paging", history.P7, func(x *setup) {
			x.engine.page = func(q store.Query, p []store.Entry) []store.Entry {
				return hide(p, func(e store.Entry) bool { return q.After > 0 && e.ID == q.After+1 })
			}
		}},
		{"a page out of order", history.P5, func(x *setup) {
			x.engine.page = func(_ store.Query, p []store.Entry) []store.Entry {
				if len(p) > 3 {
					p[1], p[2] = p[2], p[1]
				}
				return p
			}
		}},
		{"an entry twice in a page", history.P7, func(x *setup) {
			x.engine.page = func(q store.Query, p []store.Entry) []store.Entry {
				if len(p) > 3 && q.After > 0 {
					p[2] = p[1]
				}
				return p
			}
		}},
		{"an altered entry", history.Origin, func(x *setup) {
			x.engine.page = func(_ store.Query, p []store.Entry) []store.Entry {
				for i, e := range p {
					if e.ID%9 == 4 {
						p[i] = altered(e)
					}
				}
				return p
			}
		}},
		{"altered words", history.Origin, func(x *setup) {
			x.first(im.Extension{Sending: onMessages(func(d *im.Delivery) error {
				d.Stanza = withBody(d.Stanza, func(s string) string { return s + "!" })
				return nil
			})})
		}},
		{"to the wrong account as well", history.Isolation, func(x *setup) {
			x.load.Pairs = 2
			x.first(im.Extension{Sending: onMessages(func(d *im.Delivery) error {
				to := jid.MustParse("u0@localhost")
				if d.Account.JID() == to || d.Stanza.To == to {
					to = jid.MustParse("u2@localhost")
				}
				d.Emit(d.Stanza.Addressed(d.Stanza.From, to))
				return nil
			})})
		}},
	}
}

func isOrigin(el *xml.Element) bool {
	return el.Name.Space == stanza.NSID && el.Name.Local == "origin-id"
}

func wanted(t *testing.T, f fault, found []history.Violation) {
	t.Helper()
	for _, v := range found {
		if v.Sentence == f.want {
			t.Logf("found: %s", v)
			return
		}
	}
	t.Errorf("%s was not found; found: %.2000v", f.want, found)
}

// TestFaults: each fault that is planted in the server is found, by the rule of the sentence that it breaks.
func TestFaults(t *testing.T) {
	for _, f := range faults() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			x := fresh()
			f.plant(&x)
			wanted(t, f, run(t, x))
		})
	}
}

// TestNoFault: the same run without a fault finds nothing; nor does it with a server that is lost with what is not on disk.
func TestNoFault(t *testing.T) {
	for _, crash := range []bool{false, true} {
		x := fresh()
		if crash {
			x.engine.slow, x.crash = 20*time.Millisecond, true
		}
		for _, v := range run(t, x) {
			t.Error(v)
		}
	}
}
