package storetest

import (
	"sync/atomic"
	"testing"

	"parley/store"
)

// Benchmark measures the journey of one message: two entries of 200 bytes, for two of 1,000 owners. Parallel goroutines
// wait for the disk only by back-pressure; Acknowledged ones wait for each message, 256 at once.
func Benchmark(b *testing.B, setup Setup) {
	body := make([]byte, 200)
	message := func(f *fixture, n uint64) store.Mark {
		j, err := f.Begin(ctx())
		if err != nil {
			b.Fatal(err)
		}
		defer j.End()
		from, to := n*7919%1000, n*104729%1000
		if _, err := f.Log.Append(j, store.Owner(1+from), store.Entry{Peer: "bob@example.org", Sent: true, Body: body}); err != nil {
			b.Fatal(err)
		}
		if _, err := f.Log.Append(j, store.Owner(1+to), store.Entry{Peer: "alice@example.org", Body: body}); err != nil {
			b.Fatal(err)
		}
		return j.Mark()
	}
	b.Run("Parallel", func(b *testing.B) {
		f := start(b, setup, store.Options{})
		var n atomic.Uint64
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				message(f, n.Add(1))
			}
		})
		f.settle()
	})
	b.Run("Acknowledged", func(b *testing.B) {
		f := start(b, setup, store.Options{})
		var n atomic.Uint64
		b.SetParallelism(128)
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				f.await(message(f, n.Add(1)))
			}
		})
	})
	b.Run("One", func(b *testing.B) {
		f := start(b, setup, store.Options{})
		n := uint64(0)
		for b.Loop() {
			n++
			f.await(message(f, n))
		}
	})
	b.Run("Last50", func(b *testing.B) {
		f := start(b, setup, store.Options{})
		for n := range uint64(100_000) {
			message(f, n)
		}
		f.settle()
		f.reopen()
		n := uint64(0)
		b.ReportAllocs()
		for b.Loop() {
			n++
			for _, err := range f.Log.Range(ctx(), store.Owner(1+n%1000), store.Query{Backward: true, Limit: 50}) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}
