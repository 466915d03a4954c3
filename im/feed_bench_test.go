package im_test

import (
	"context"
	"strings"
	"testing"

	"parley/ext/archive"
	"parley/im"
)

// BenchmarkFeed is one message that somebody missed, from the Log to the bytes in the outbox: 1,000 at each sign-in.
func BenchmarkFeed(b *testing.B) {
	const missed = 1000
	v := hall(b, im.Config{Settings: im.Settings{Outbox: 16 << 20}}, names{"alice", "bob"}, func(v *im.Server) im.Extension {
		a, err := archive.New(context.Background(), v, archive.Options{Always: true})
		if err != nil {
			b.Fatal(err)
		}
		return a.Extension()
	})
	ctx := context.Background()
	alice := bind(b, v, "alice", "a")
	for range missed {
		if err := alice.Receive(ctx, element(b, chat)); err != nil {
			b.Fatal(err)
		}
	}
	settle := func() { // what anybody is sent by now may leave
		j, err := v.Store().Begin(ctx)
		if err != nil {
			b.Fatal(err)
		}
		j.End()
		if err := v.Store().Wait(ctx, j.Mark()); err != nil {
			b.Fatal(err)
		}
	}
	settle()
	presence := element(b, "<presence/>")
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += missed {
		s, err := v.Bind(ctx, "bob", "b")
		if err != nil {
			b.Fatal(err)
		}
		s.Attach(ctx, idle{})
		if err := s.Receive(ctx, presence); err != nil { // gives him all
			b.Fatal(err)
		}
		if n == 0 {
			settle()
			if got := strings.Count(empty(s), "<message "); got != missed {
				b.Fatalf("%d of %d messages", got, missed)
			}
		}
		v.Close(ctx, s, "")
	}
}
