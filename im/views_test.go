package im_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/im"
	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
	"parley/xmpp/xml"
)

// device is a client that believes what it is told.
type device struct {
	t    *testing.T
	name string // "alice/a"

	mu      sync.Mutex
	session *im.Session
	view    map[string]string // who is available, and what he says; guarded by mu
	writers sync.WaitGroup
}

// wire is one connection of a device.
type wire struct {
	d *device
	s *im.Session
}

func (w *wire) Wake() {
	w.d.writers.Go(func() {
		for {
			p, _ := w.s.Next(context.Background(), nil)
			if p == nil {
				return
			}
			w.d.hear(w.s, p)
		}
	})
}

func (w *wire) End(err *stream.Error) { w.d.t.Errorf("%s: ended: %v", w.d.name, err) }

// hear updates the view from the bytes that a session was sent.
func (d *device) hear(s *im.Session, p []byte) {
	doc, err := xml.Parse("<all>"+string(p)+"</all>", stanza.NSClient, xml.Limits{})
	if err != nil {
		d.t.Errorf("%s was sent what is no XML: %v: %s", d.name, err, p)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session != s {
		return
	}
	for el := range doc.Children() {
		st, err := stanza.Parse(el)
		if err != nil || st.Kind != stanza.Presence || st.From.IsServer() {
			continue
		}
		from := st.From.String()
		switch {
		case st.Type == "":
			d.view[from] = statusOf(st)
		case st.Type == stanza.Unavailable && st.From == s.JID():
			clear(d.view) // this device has gone itself: it starts anew
		case st.Type == stanza.Unavailable && st.From.IsBare():
			maps.DeleteFunc(d.view, func(k, _ string) bool { return strings.HasPrefix(k, from+"/") })
		case st.Type == stanza.Unavailable:
			delete(d.view, from)
		}
	}
}

func statusOf(st *stanza.Stanza) string {
	if el := st.Child(stanza.NSClient, "status"); el != nil {
		return el.Text()
	}
	return ""
}

func (d *device) connect(v *im.Server) {
	name, resource, _ := strings.Cut(d.name, "/")
	w := &wire{d: d}
	s, err := v.Bind(context.Background(), name, resource)
	if err != nil {
		d.t.Errorf("%s: %v", d.name, err)
	}
	d.mu.Lock()
	w.s, d.session, d.view = s, s, map[string]string{}
	d.mu.Unlock()
	s.Attach(context.Background(), w)
}

func (d *device) send(format string, args ...any) {
	el, err := xml.Parse(fmt.Sprintf(format, args...), stanza.NSClient, xml.Limits{})
	if err == nil {
		err = d.session.Receive(context.Background(), el)
	}
	if err != nil {
		d.t.Errorf("%s: %v", d.name, err)
	}
}

// act does one random thing.
func (d *device) act(v *im.Server, r *rand.Rand, people []string, rosters bool) {
	other := people[r.IntN(len(people))]
	if rosters && d.session != nil && r.IntN(3) == 0 {
		d.agree(r, other)
		return
	}
	switch n := r.IntN(14); {
	case d.session == nil:
		d.connect(v)
		d.send("<presence><status>%d</status></presence>", r.IntN(1000))
	case n < 5:
		d.send("<presence><status>%d</status><priority>%d</priority></presence>", r.IntN(1000), r.IntN(5)-1)
	case n < 7:
		d.send("<presence type='unavailable'/>")
	case n < 9:
		d.send("<presence type='probe' to='%s@localhost'/>", other)
	case n < 10 && d.session.Presence() != nil && !rosters:
		d.send("<presence to='%s@localhost'><status>only for you</status></presence>", other)
		d.send("<presence><status>for all again</status></presence>")
	case n < 12 && !strings.HasPrefix(d.name, other+"/"):
		d.block(v, r.IntN(2) == 0, other)
	default: // the connection is lost
		v.Close(context.Background(), d.session, "")
		d.mu.Lock()
		d.session = nil
		d.mu.Unlock()
	}
	time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
}

// agree changes something of what the two accounts see of each other, or tries to.
func (d *device) agree(r *rand.Rand, other string) {
	switch types := []string{"subscribe", "subscribe", "subscribed", "subscribed", "subscribed", "unsubscribe", "unsubscribed"}; {
	case r.IntN(12) == 0:
		d.send("<iq type='set' id='r'><query xmlns='jabber:iq:roster'><item jid='%s@localhost' subscription='remove'/></query></iq>", other)
	default:
		d.send("<presence type='%s' to='%s@localhost'/>", types[r.IntN(len(types))], other)
	}
	time.Sleep(time.Duration(r.IntN(3)) * time.Millisecond)
}

func (d *device) block(v *im.Server, on bool, other string) {
	a := d.session.Account()
	err := v.Within(context.Background(), a, func(j store.Journey) error {
		return a.SetBlocked(j, on, []jid.JID{jid.MustParse(other + "@localhost")})
	})
	if err != nil {
		d.t.Errorf("%s: %v", d.name, err)
	}
}

// forget takes those out of a view whom the owner of the view has blocked: he hears nothing of them, true or not.
func forget(view map[string]string, owner *im.Account) {
	maps.DeleteFunc(view, func(k, _ string) bool { return owner.Blocks(jid.MustParse(k)) })
}

// TestViewsAgree lets two devices of every account come, go, reconnect and probe at random. When all is quiet, what
// every available device believes of everybody is the truth: those who blocked it are offline. With rosters of their own
// the accounts also ask for each other's presence, grant it and take it back.
func TestViewsAgree(t *testing.T) {
	seeds := uint64(30)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		for _, rosters := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed=%d/rosters=%t", seed, rosters), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { viewsAgree(t, seed, rosters) })
			})
		}
	}
}

func viewsAgree(t *testing.T, seed uint64, rosters bool) {
	people := names{"alice", "bob", "carol", "dave", "eve"}
	v := hall(t, im.Config{}, people)
	if rosters {
		v = build(t, im.Config{}, people)
	}
	var devices []*device
	var work sync.WaitGroup
	for i, name := range people {
		for k, resource := range []string{"a", "b"} {
			d := &device{t: t, name: name + "/" + resource, view: map[string]string{}}
			devices = append(devices, d)
			r := rand.New(rand.NewPCG(seed, uint64(i*2+k)))
			work.Go(func() {
				for range 40 {
					d.act(v, r, people, rosters)
				}
			})
		}
	}
	work.Wait()
	synctest.Wait()
	for _, d := range devices {
		d.writers.Wait()
		if d.session == nil || d.session.Presence() == nil {
			continue
		}
		truth, me := map[string]string{}, d.session.Account()
		for _, e := range devices {
			if e.session != nil && e.session.Presence() != nil && e.session.Account().Shows(me.JID()) {
				truth[e.session.JID().String()] = statusOf(e.session.Presence())
			}
		}
		d.mu.Lock()
		forget(d.view, me)
		forget(truth, me)
		if !maps.Equal(d.view, truth) {
			t.Errorf("%s believes %v\nwhile it is %v", d.name, sorted(d.view), sorted(truth))
		}
		d.mu.Unlock()
	}
	agreed(t, v, people)
}

// agreed checks that each two accounts say the same of what they see of each other.
func agreed(t *testing.T, v *im.Server, people names) {
	for _, x := range people {
		for _, y := range people {
			a, errA := v.Account(t.Context(), x)
			b, errB := v.Account(t.Context(), y)
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			to, _ := a.State(b.JID())
			if _, from := b.State(a.JID()); to != from && x != y {
				t.Errorf("%s sees %s: %t, but is shown him: %t", x, y, to, from)
			}
		}
	}
}

func sorted(m map[string]string) []string {
	var out []string
	for k, s := range m {
		out = append(out, jid.MustParse(k).Local()+"/"+jid.MustParse(k).Resource()+"="+s)
	}
	slices.Sort(out)
	return out
}
