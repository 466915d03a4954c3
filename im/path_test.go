package im_test

import (
	"context"
	"testing"

	"parley/ext/carbons"
	"parley/im"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
)

// sink is the Carrier of a session whose client reads at once: what is written is gone.
type sink struct{ s *im.Session }

func (c sink) End(*stream.Error) {}

// Wake is only called when a batch becomes durable, of which these have none.
func (c sink) Wake() {}

func (c sink) Write() {
	for p, _, _ := c.s.NextNow(nil); p != nil; p, _, _ = c.s.NextNow(p) {
	}
}

func sunk(t testing.TB, v *im.Server, name string) *im.Session {
	t.Helper()
	s := bind(t, v, name, "r")
	s.Attach(context.Background(), sink{s})
	return s
}

// settle waits until nothing rests on the disk any more.
func settle(t testing.TB, v *im.Server) {
	t.Helper()
	if err := v.Store().Wait(context.Background(), v.Store().Mark()); err != nil {
		t.Fatal(err)
	}
}

// chatting are two people, of whom the first writes to the second.
func chatting(t testing.TB) (v *im.Server, alice *im.Session) {
	t.Helper()
	v = hall(t, im.Config{}, names{"alice", "bob"}, func(v *im.Server) im.Extension { return carbons.New(v) })
	alice = sunk(t, v, "alice")
	sunk(t, v, "bob")
	settle(t, v)
	return v, alice
}

// BenchmarkReceive is a message from the element that was read to the bytes that the recipient's writer takes.
func BenchmarkReceive(b *testing.B) {
	_, alice := chatting(b)
	el, ctx := element(b, chat), context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if err := alice.Receive(ctx, el); err != nil {
			b.Fatal(err)
		}
		alice.Flush()
	}
}

// BenchmarkRoute is the way of a message in its journey, from its sender's turn on, to the recipient's outbox.
func BenchmarkRoute(b *testing.B) {
	v, _ := chatting(b)
	st, ctx := stanza.Must(chat).Addressed(jid.MustParse("alice@localhost/r"), jid.MustParse("bob@localhost")), context.Background()
	j, err := v.Store().Begin(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer j.End()
	a, err := v.Account(ctx, "bob")
	if err != nil {
		b.Fatal(err)
	}
	bob := a.Sessions()[0]
	bob.Attach(ctx, idle{})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := v.Route(ctx, j, st); err != nil {
			b.Fatal(err)
		}
		if i%64 == 0 {
			sink{bob}.Write()
		}
	}
}

// spread sends one stanza to so many people.
func spread(t testing.TB, n int) map[string]func() {
	t.Helper()
	accounts := crowd(n + 1)
	v := hall(t, im.Config{}, accounts)
	var all []*im.Session
	for _, name := range accounts {
		all = append(all, sunk(t, v, name))
	}
	settle(t, v)
	st := stanza.New(stanza.Message, stanza.Headline, all[0].Account().JID(), jid.JID{}, stanza.Body("The meeting begins."))
	presence := element(t, "<presence><show>away</show></presence>")
	return map[string]func(){
		"headline": func() { v.Headline(context.Background(), all[0].Account(), st) },
		"presence": func() {
			if err := all[0].Receive(context.Background(), presence); err != nil {
				t.Fatal(err)
			}
		},
	}
}

// BenchmarkFanOut is one stanza to 1,000 people, up to the bytes that their writers take.
func BenchmarkFanOut(b *testing.B) {
	for name, send := range spread(b, 1000) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				send()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/recipient")
		})
	}
}
