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
	h       uint32            // stanzas heard with stream management; guarded by mu
	id      string            // to resume with; guarded by mu
	wire    *wire
}

// wire is one connection of a device.
type wire struct {
	d   *device
	s   *im.Session
	cut bool // what is written does not arrive any more; guarded by d.mu

	writers sync.WaitGroup
}

func (w *wire) Wake() {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	if w.cut {
		return
	}
	w.writers.Go(func() {
		for {
			p, _ := w.s.Next(context.Background(), nil)
			if p == nil {
				return
			}
			w.d.hear(w, p)
		}
	})
}

func (w *wire) Write() { w.Wake() }

func (w *wire) End(err *stream.Error) { w.d.t.Errorf("%s: ended: %v", w.d.name, err) }

// hear updates the view from the bytes that a session was sent.
func (d *device) hear(w *wire, p []byte) {
	doc, err := xml.Parse("<all>"+string(p)+"</all>", stanza.NSClient, xml.Limits{})
	if err != nil {
		d.t.Errorf("%s was sent what is no XML: %v: %s", d.name, err, p)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.session != w.s || w.cut {
		return
	}
	for el := range doc.Children() {
		if el.Name.Space == stream.NSManagement {
			if el.Name.Local == "enabled" {
				d.id = el.Attr("id")
			}
			continue
		}
		d.h++
		st, err := stanza.Parse(el)
		if err != nil || st.Kind != stanza.Presence || st.From.IsServer() {
			continue
		}
		from := st.From.String()
		switch {
		case st.Type == "":
			d.view[from] = statusOf(st)
		case st.Type == stanza.Unavailable && st.From == w.s.JID():
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
	w.s, d.session, d.view, d.id, d.wire = s, s, map[string]string{}, "", w
	d.mu.Unlock()
	s.Attach(context.Background(), w)
}

// manage turns stream management on.
func (d *device) manage() {
	d.mu.Lock()
	d.h = 0
	d.mu.Unlock()
	if err := d.session.Manage(context.Background(), true); err != nil {
		d.t.Errorf("%s: %v", d.name, err)
	}
	for known := false; !known; time.Sleep(time.Millisecond) {
		d.mu.Lock()
		known = d.id != ""
		d.mu.Unlock()
	}
}

// breaks loses the connection, at the latest when what is being written has been, and a part of it, and goes on with the
// session on the next one.
func (d *device) breaks(v *im.Server, r *rand.Rand) {
	d.mu.Lock()
	d.wire.cut = true
	d.mu.Unlock()
	time.Sleep(time.Duration(r.IntN(5)) * time.Millisecond)
	d.wire.writers.Wait()
	d.session.Rest(time.Time{})
	time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
	name, _, _ := strings.Cut(d.name, "/")
	s, _, err := v.Resume(context.Background(), name, d.id, d.h)
	if err != nil {
		d.t.Errorf("%s: resume: %v", d.name, err)
		return
	}
	d.mu.Lock()
	d.wire = &wire{d: d, s: s}
	d.mu.Unlock()
	s.Attach(context.Background(), d.wire)
	if err := s.Welcome(context.Background()); err != nil {
		d.t.Errorf("%s: %v", d.name, err)
	}
}

func (d *device) send(format string, args ...any) {
	el, err := xml.Parse(fmt.Sprintf(format, args...), stanza.NSClient, xml.Limits{})
	if err == nil {
		err = d.session.Receive(context.Background(), el)
	}
	if err == nil && d.session.Managed() {
		err = d.session.Handled(context.Background())
	}
	if err != nil {
		d.t.Errorf("%s: %v", d.name, err)
	}
}

// act does one random thing.
func (d *device) act(v *im.Server, r *rand.Rand, people []string, rosters, resumes bool) {
	other := people[r.IntN(len(people))]
	if resumes && d.session != nil {
		switch r.IntN(4) {
		case 0:
			d.breaks(v, r)
			return
		case 1:
			d.mu.Lock()
			h := d.h
			d.mu.Unlock()
			if err := d.session.Acknowledged(h); err != nil {
				d.t.Errorf("%s: %v", d.name, err)
			}
		}
	}
	if rosters && d.session != nil && r.IntN(3) == 0 {
		d.agree(r, other)
		return
	}
	switch n := r.IntN(14); {
	case d.session == nil:
		d.connect(v)
		if resumes {
			d.manage()
		}
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
// the accounts also ask for each other's presence, grant it and take it back. With stream management the devices lose
// their connections and go on with their sessions, and are to believe the same.
func TestViewsAgree(t *testing.T) {
	seeds := uint64(30)
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		for name, way := range map[string]struct{ rosters, resumes bool }{
			"everyone": {}, "rosters": {rosters: true}, "resumes": {resumes: true}, "rosters, resumes": {true, true},
		} {
			t.Run(fmt.Sprintf("seed=%d/%s", seed, name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { viewsAgree(t, seed, way.rosters, way.resumes) })
			})
		}
	}
}

func viewsAgree(t *testing.T, seed uint64, rosters, resumes bool) {
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
					d.act(v, r, people, rosters, resumes)
				}
			})
		}
	}
	work.Wait()
	synctest.Wait()
	for _, d := range devices {
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
