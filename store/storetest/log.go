package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"parley/store"
)

// testRange reads with every kind of query: before the commit, across its edge, after it and after a restart.
func testRange(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	var model []store.Entry
	add := func(n int) {
		for range n {
			k := len(model)
			e := store.Entry{Peer: fmt.Sprintf("p%d@example.org", k%3), Sent: k%2 == 0, Note: uint64(k) << 33, Body: fmt.Append(nil, "body ", k),
				Time: time.Unix(1_700_000_000, int64(k)).UTC()}
			f.journey(func(j store.Journey) (err error) { e.ID, err = f.Log.Append(j, 7, e); return err })
			if e.ID != store.ID(k+1) {
				t.Fatalf("entry %d got id %d", k+1, e.ID)
			}
			model = append(model, e)
		}
	}
	check := func(stage string) {
		t.Helper()
		n := store.ID(len(model))
		for _, q := range []store.Query{
			{}, {Backward: true}, {Limit: 1}, {Limit: 1, Backward: true}, {After: n - 1}, {After: n}, {After: n + 5}, {Before: 1},
			{Before: 2}, {Before: n + 9, Backward: true, Limit: 70}, {After: 10, Before: n - 10}, {After: 10, Before: n - 10,
				Backward: true}, {After: 5, Before: 6}, {After: 4, Before: 6}, {Peer: "p1@example.org"},
			{Peer: "p2@example.org", Backward: true, Limit: 9}, {Peer: "nobody@example.org"}, {After: n / 2, Limit: 65},
			{Before: n / 2, Backward: true, Limit: 65, Peer: "p0@example.org"},
		} {
			compare(t, f, 7, fmt.Sprintf("%s %+v", stage, q), model, q)
		}
	}
	add(150)
	f.settle()
	check("durable")
	release := f.block()
	add(1) // being committed
	eventually(t, "a commit has begun", func() bool { return f.Durable()+1 < f.Mark() })
	add(100)
	check("partly durable")
	release()
	f.settle()
	check("durable again")
	f.reopen()
	check("reopened")
	add(30)
	check("reopened and more")
	if e, err := f.Log.Entry(ctx(), 7, 280); err != nil || e.ID != 280 || string(e.Body) != "body 279" {
		t.Fatalf("entry 280: %+v, %v", e, err)
	}
	for _, id := range []store.ID{0, 282, 1 << 60} {
		_, err := f.Log.Entry(ctx(), 7, id)
		wantErr(t, err, store.ErrNotFound)
	}
}

// compare holds a Range against a model of the whole Log. Where the model's ID is 0, the entry is gone.
func compare(t testing.TB, f *fixture, o store.Owner, what string, model []store.Entry, q store.Query) {
	t.Helper()
	var want []store.Entry
	for _, e := range model {
		if e.ID > q.After && (q.Before == 0 || e.ID < q.Before) && (q.Peer == "" || q.Peer == e.Peer) {
			want = append(want, e)
		}
	}
	if q.Backward {
		slices.Reverse(want)
	}
	if q.Limit > 0 && len(want) > q.Limit {
		want = want[:q.Limit]
	}
	i := 0
	for e, err := range f.Log.Range(ctx(), o, q) {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if i >= len(want) {
			t.Fatalf("%s: %d entries too many: %+v", what, i-len(want)+1, e)
		}
		w := want[i]
		if e.ID != w.ID || !e.Time.Equal(w.Time) || e.Peer != w.Peer || e.Sent != w.Sent || !bytes.Equal(e.Body, w.Body) {
			t.Fatalf("%s: entry %d is %+v, want %+v", what, i, e, w)
		}
		i++
	}
	if i != len(want) {
		t.Fatalf("%s: %d entries, want %d", what, i, len(want))
	}
}

// testModel does at random what can be done and compares with a model.
func testModel(t *testing.T, setup Setup) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	f := start(t, setup, store.Options{Idle: 3 * time.Millisecond})
	slow := func([]store.Op) error { time.Sleep(time.Duration(seed%3) * time.Millisecond); return nil }
	f.engine.Before(slow)
	const owners = 5
	var logs [owners][]store.Entry
	var values [owners]map[string]string
	for i := range values {
		values[i] = make(map[string]string)
	}
	clock := int64(0)
	for step := range 1500 {
		o := rnd.IntN(owners)
		owner := store.Owner(o + 1)
		switch k := rnd.IntN(100); {
		case k < 55:
			clock++
			e := store.Entry{Peer: fmt.Sprint("p", rnd.IntN(4)), Body: fmt.Append(nil, step), Time: time.Unix(clock, 0)}
			f.journey(func(j store.Journey) (err error) { e.ID, err = f.Log.Append(j, owner, e); return err })
			if want := store.ID(len(logs[o]) + 1); e.ID != want {
				t.Fatalf("step %d: id %d, want %d", step, e.ID, want)
			}
			logs[o] = append(logs[o], e)
		case k < 62 && len(logs[o]) > 0:
			i := rnd.IntN(len(logs[o]))
			body := fmt.Append(nil, "replaced in step ", step)
			f.journey(func(j store.Journey) error { return f.Log.Replace(j, owner, store.ID(i+1), body) })
			logs[o][i].Body = body
		case k < 64 && len(logs[o]) > 0:
			before := time.Unix(clock-int64(rnd.IntN(300)), 0)
			if err := f.Log.Trim(ctx(), owner, before); err != nil {
				t.Fatalf("trim: %v", err)
			}
			for i := range logs[o] {
				if logs[o][i].Time.Before(before) {
					logs[o][i].ID = 0
				}
			}
		case k < 78:
			key, value := fmt.Sprint("key/", rnd.IntN(6)), fmt.Sprint(step)
			f.set(owner, key, value)
			values[o][key] = value
		case k < 82:
			key := fmt.Sprint("key/", rnd.IntN(6))
			f.journey(func(j store.Journey) error { return f.KV.Set(j, owner, key, nil) })
			delete(values[o], key)
		case k < 83:
			f.journey(func(j store.Journey) error { return f.Forget(j, owner) })
			clear(values[o])
			for i := range logs[o] {
				logs[o][i].ID = 0
			}
		case k < 84:
			f.reopen()
			f.engine.Before(slow)
		case k < 86:
			f.settle()
		default:
			n := store.ID(len(logs[o]) + 2)
			q := store.Query{After: store.ID(rnd.Uint64N(uint64(n))), Before: store.ID(rnd.Uint64N(uint64(n))),
				Backward: rnd.IntN(2) == 0, Limit: rnd.IntN(100)}
			if rnd.IntN(2) == 0 {
				q.Peer = fmt.Sprint("p", rnd.IntN(4))
			}
			live := slices.DeleteFunc(slices.Clone(logs[o]), func(e store.Entry) bool { return e.ID == 0 })
			compare(t, f, owner, fmt.Sprintf("step %d owner %d %+v", step, owner, q), live, q)
			var want []string
			for _, key := range []string{"0", "1", "2", "3", "4", "5"} {
				if v, ok := values[o]["key/"+key]; ok {
					want = append(want, fmt.Sprintf("%d/key/%s=%s", owner, key, v))
				}
			}
			equal(t, fmt.Sprint("values in step ", step), f.pairs(f.KV.All(ctx(), owner, "key/")), want)
		}
	}
}

func testBounds(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	want := func(first, last store.ID) {
		t.Helper()
		a, b, err := f.Log.Bounds(ctx(), 3)
		if err != nil || a != first || b != last {
			t.Fatalf("bounds %d, %d, %v; want %d, %d", a, b, err, first, last)
		}
	}
	want(0, 0)
	f.append(3, "a", "b")
	want(1, 2)
	f.settle()
	want(1, 2)
	f.reopen()
	want(1, 2)
	if err := f.Log.Trim(ctx(), 3, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	want(0, 0)
	f.reopen()
	want(0, 0)
	if _, id := f.append(3, "c"); id != 3 {
		t.Fatalf("an id was given again: %d", id)
	}
	want(3, 3)
}

func testTrim(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{Idle: time.Millisecond})
	f.journey(func(j store.Journey) error {
		for i := range 1300 {
			e := store.Entry{Time: time.Unix(int64(i), 0), Body: fmt.Append(nil, i)}
			if _, err := f.Log.Append(j, 1, e); err != nil {
				return err
			}
		}
		return nil
	})
	for _, keep := range []int{1300, 1299, 700, 3} {
		if err := f.Log.Trim(ctx(), 1, time.Unix(int64(1300-keep), 0)); err != nil {
			t.Fatal(err)
		}
		got := f.bodies(1, store.Query{})
		if len(got) != keep || got[0] != fmt.Sprint(1300-keep) {
			t.Fatalf("%d entries from %s, want %d", len(got), got[0], keep)
		}
		time.Sleep(5 * time.Millisecond) // room for idle housekeeping
	}
	f.reopen()
	equal(t, "after restart", f.bodies(1, store.Query{}), []string{"1297", "1298", "1299"})
	if _, err := f.Log.Entry(ctx(), 1, 1297); !errors.Is(err, store.ErrNotFound) {
		t.Fatalf("a trimmed entry: %v", err)
	}
	f.journey(func(j store.Journey) error { return f.Log.Replace(j, 1, 5, []byte("gone")) })
	f.settle()
	equal(t, "after replacing nothing", f.bodies(1, store.Query{Limit: 1}), []string{"1297"})
}

func testReplace(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	f.append(1, "a", "b", "c", "d")
	f.settle()
	release := f.block()
	replace := func(id store.ID, body string) {
		f.journey(func(j store.Journey) error { return f.Log.Replace(j, 1, id, []byte(body)) })
	}
	replace(1, "A")
	f.append(1, "e")
	eventually(t, "a commit has begun", func() bool { return f.Durable()+1 < f.Mark() })
	replace(1, "AA") // A is being committed
	replace(5, "E")  // e is or will be
	f.append(1, "f")
	replace(6, "F") // in the same batch
	replace(6, "FF")
	replace(2, "")
	replace(99, "none")
	want := []string{"AA", "", "c", "d", "E", "FF"}
	equal(t, "pending", f.bodies(1, store.Query{}), want)
	e, err := f.Log.Entry(ctx(), 1, 1)
	if err != nil || string(e.Body) != "AA" {
		t.Fatalf("%+v, %v", e, err)
	}
	release()
	f.settle()
	equal(t, "durable", f.bodies(1, store.Query{}), want)
	f.reopen()
	equal(t, "reopened", f.bodies(1, store.Query{}), want)
	replace(3, "C")
	f.settle()
	f.reopen()
	want[2] = "C"
	equal(t, "replaced after a restart", f.bodies(1, store.Query{}), want)
}

func testTimes(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	zone := time.FixedZone("far", 5*3600)
	times := []time.Time{time.Unix(0, 1), time.Date(2026, 3, 1, 10, 0, 0, 123456789, zone),
		time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)}
	f.journey(func(j store.Journey) error {
		for _, tm := range append(times, time.Time{}) {
			if _, err := f.Log.Append(j, 1, store.Entry{Time: tm, Body: []byte{}}); err != nil {
				return err
			}
		}
		return nil
	})
	check := func() {
		t.Helper()
		i := 0
		for e, err := range f.Log.Range(ctx(), 1, store.Query{}) {
			if err != nil {
				t.Fatal(err)
			}
			if i < len(times) && !e.Time.Equal(times[i]) || i == len(times) && time.Since(e.Time) > time.Minute {
				t.Errorf("time %d is %v", i, e.Time)
			}
			if e.Time.Location() != time.UTC || e.Body == nil {
				t.Errorf("entry %d: %+v", i, e)
			}
			i++
		}
	}
	check()
	f.settle()
	check()
	f.reopen()
	check()
}

func testLargeBodies(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	var want []string
	for i := range 40 {
		body := string(bytes.Repeat([]byte{byte('a' + i%26)}, 1+i*3000))
		want = append(want, body)
		f.append(1, body)
	}
	equal(t, "forward", f.bodies(1, store.Query{}), want)
	f.settle()
	equal(t, "durable", f.bodies(1, store.Query{}), want)
	slices.Reverse(want)
	equal(t, "backward", f.bodies(1, store.Query{Backward: true}), want)
}

// testTrimDuringRead trims while loops are half way; they go on behind what went.
func testTrimDuringRead(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{Idle: time.Millisecond})
	f.journey(func(j store.Journey) error {
		for i := range 2000 {
			if _, err := f.Log.Append(j, 1, store.Entry{Time: time.Unix(int64(i), 0)}); err != nil {
				return err
			}
		}
		return nil
	})
	f.settle()
	n, last := 0, store.ID(0)
	for e, err := range f.Log.Range(ctx(), 1, store.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 100 {
			if err := f.Log.Trim(ctx(), 1, time.Unix(1500, 0)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if e.ID != last+1 && last > 1500 {
			t.Fatalf("gap between %d and %d", last, e.ID)
		}
		last = e.ID
	}
	if last != 2000 || n > 700 {
		t.Fatalf("%d entries to %d", n, last)
	}
}

// testReaders reads, in all directions, while there are writes, folds and trims; the race detector looks on.
func testReaders(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{Idle: time.Millisecond})
	end, cancel := context.WithTimeout(context.Background(), 700*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	const owners = 3
	for o := store.Owner(1); o <= owners; o++ {
		wg.Go(func() {
			for n := 0; end.Err() == nil; n++ {
				f.append(o, "x", "y")
				if n%64 == 0 {
					f.settle()
				}
				if n%512 == 511 {
					if err := f.Log.Trim(ctx(), o, time.Now().Add(-50*time.Millisecond)); err != nil {
						t.Errorf("trim: %v", err)
					}
				}
			}
		})
		wg.Go(func() {
			for n := 0; end.Err() == nil; n++ {
				first, last, err := f.Log.Bounds(ctx(), o)
				if err != nil {
					t.Errorf("bounds: %v", err)
					return
				}
				q := store.Query{Backward: n%2 == 0, Limit: 300}
				if !q.Backward {
					q.After = max(last, 300) - 300
				}
				var prev store.ID
				count := 0
				for e, err := range f.Log.Range(ctx(), o, q) {
					if err != nil {
						t.Errorf("range: %v", err)
						return
					}
					if prev != 0 && q.Backward && e.ID != prev-1 || prev != 0 && !q.Backward && e.ID < prev+1 {
						t.Errorf("owner %d: %d after %d, %+v", o, e.ID, prev, q)
						return
					}
					prev = e.ID
					count++
				}
				if q.Backward && last > 0 && first == 1 && count < min(300, int(last)) {
					f, _, _ := f.Log.Bounds(ctx(), o)
					if f == 1 {
						t.Errorf("owner %d: only %d entries", o, count)
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

func testWireID(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	seen := make(map[string]bool)
	for _, o := range []store.Owner{0, 1, 2, 1<<48 - 1} {
		for _, id := range []store.ID{1, 2, 1 << 40} {
			s := f.Log.WireID(o, id)
			if len(s) != 22 || seen[s] {
				t.Fatalf("id %q", s)
			}
			seen[s] = true
			if got, ok := f.Log.ParseWireID(o, s); !ok || got != id {
				t.Fatalf("parsed %d, %v; want %d", got, ok, id)
			}
			if _, ok := f.Log.ParseWireID(o^1, s); ok {
				t.Fatal("an id of somebody else was taken")
			}
		}
	}
	s := f.Log.WireID(1, 1)
	for _, bad := range []string{"", s[:21], s + "A", s[:21] + "_", s[:10] + "\n" + s[11:], s[:10] + "=" + s[11:],
		"AAAAAAAAAAAAAAAAAAAAAA"} {
		if id, ok := f.Log.ParseWireID(1, bad); ok && bad != s {
			t.Fatalf("%q was taken as %d", bad, id)
		}
	}
	f.reopen()
	if f.Log.WireID(1, 1) != s {
		t.Fatal("the id changed with a restart")
	}
	other := start(t, setup, store.Options{})
	if _, ok := other.Log.ParseWireID(1, s); ok {
		t.Fatal("an id of another database was taken")
	}
}
