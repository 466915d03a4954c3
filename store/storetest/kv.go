package storetest

import (
	"fmt"
	"slices"
	"testing"

	"parley/store"
)

func testKV(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	get := func(o store.Owner, key, want string) {
		t.Helper()
		v, err := f.KV.Get(ctx(), o, key)
		if err != nil || string(v) != want || v == nil {
			t.Fatalf("get %s: %q, %v; want %q", key, v, err, want)
		}
	}
	missing := func(o store.Owner, key string) {
		t.Helper()
		_, err := f.KV.Get(ctx(), o, key)
		wantErr(t, err, store.ErrNotFound)
	}
	del := func(o store.Owner, key string) {
		t.Helper()
		f.journey(func(j store.Journey) error { return f.KV.Set(j, o, key, nil) })
	}
	missing(1, "a")
	f.set(1, "a", "1")
	f.set(1, "empty", "")
	f.set(2, "a", "other")
	f.set(1, "b%_\x00é", "odd")
	get(1, "a", "1")
	get(1, "empty", "")
	f.settle()
	get(1, "a", "1")
	get(1, "empty", "")
	release := f.block()
	f.set(1, "a", "2")
	eventually(t, "a commit has begun", func() bool { return f.Durable()+1 < f.Mark() })
	f.set(1, "a", "3")
	get(1, "a", "3")
	del(1, "empty")
	missing(1, "empty")
	del(1, "never")
	f.set(1, "c", "new")
	want := []string{"1/a=3", "1/b%_\x00é=odd", "1/c=new"}
	equal(t, "pending", f.pairs(f.KV.All(ctx(), 1, "")), want)
	equal(t, "pending of each", f.pairs(f.KV.Each(ctx(), "a")), []string{"1/a=3", "2/a=other"})
	release()
	f.settle()
	equal(t, "durable", f.pairs(f.KV.All(ctx(), 1, "")), want)
	f.reopen()
	get(1, "a", "3")
	missing(1, "empty")
	equal(t, "reopened", f.pairs(f.KV.All(ctx(), 1, "")), want)
	equal(t, "prefix", f.pairs(f.KV.All(ctx(), 1, "b")), want[1:2])
	equal(t, "no such prefix", f.pairs(f.KV.All(ctx(), 1, "zz")), nil)

	v, _ := f.KV.Get(ctx(), 2, "a")
	v[0] = 'X'
	get(2, "a", "other")
	value := []byte("mine")
	f.journey(func(j store.Journey) error { return f.KV.Set(j, 2, "a", value) })
	value[0] = 'X'
	get(2, "a", "mine")
	_, err := f.Log.Append(store.Journey{}, 1, store.Entry{})
	wantErr(t, err, store.ErrNoJourney)
	wantErr(t, f.KV.Set(store.Journey{}, 1, "a", nil), store.ErrNoJourney)
}

// testKVPages loops over more values than one page holds, with pending ones between them.
func testKVPages(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	var all, each []string
	f.journey(func(j store.Journey) error {
		for i := range 400 {
			if err := f.KV.Set(j, 5, fmt.Sprintf("k/%03d", i), []byte("old")); err != nil {
				return err
			}
			if err := f.KV.Set(j, store.Owner(i), "shared", []byte("old")); err != nil {
				return err
			}
		}
		return f.KV.Set(j, 5, "l", []byte("behind"))
	})
	f.settle()
	release := f.block()
	defer release()
	for i := range 400 {
		switch i % 7 {
		case 0:
			f.journey(func(j store.Journey) error {
				if err := f.KV.Set(j, store.Owner(i), "shared", nil); err != nil {
					return err
				}
				return f.KV.Set(j, 5, fmt.Sprintf("k/%03d", i), nil)
			})
		case 3:
			f.set(5, fmt.Sprintf("k/%03d", i), "new")
			f.set(store.Owner(i), "shared", "new")
			f.set(5, fmt.Sprintf("k/%03d+", i), "more")
			all = append(all, fmt.Sprintf("5/k/%03d=new", i), fmt.Sprintf("5/k/%03d+=more", i))
			each = append(each, fmt.Sprintf("%d/shared=new", i))
		default:
			all = append(all, fmt.Sprintf("5/k/%03d=old", i))
			each = append(each, fmt.Sprintf("%d/shared=old", i))
		}
	}
	slices.Sort(all)
	got := f.pairs(f.KV.All(ctx(), 5, "k/"))
	slices.Sort(got) // "+" sorts before "=": compare as sets, then the order of the keys
	equal(t, "all", got, all)
	equal(t, "each", f.pairs(f.KV.Each(ctx(), "shared")), each)
	last := ""
	for p := range f.KV.All(ctx(), 5, "k/") {
		if p.Key <= last {
			t.Fatalf("%q after %q", p.Key, last)
		}
		last = p.Key
	}
}

func testForget(t *testing.T, setup Setup) {
	f := start(t, setup, store.Options{})
	f.append(1, "a", "b")
	f.set(1, "k", "v")
	f.set(1, "l", "v")
	f.append(2, "x")
	f.set(2, "k", "v")
	f.settle()
	release := f.block()
	f.set(1, "m", "v")
	f.append(1, "c")
	eventually(t, "a commit has begun", func() bool { return f.Durable()+1 < f.Mark() })
	f.journey(func(j store.Journey) error {
		if err := f.KV.Set(j, 1, "n", []byte("v")); err != nil {
			return err
		}
		return f.Forget(j, 1)
	})
	gone := func() {
		t.Helper()
		equal(t, "entries", f.bodies(1, store.Query{}), nil)
		equal(t, "values", f.pairs(f.KV.All(ctx(), 1, "")), nil)
		equal(t, "each", f.pairs(f.KV.Each(ctx(), "k")), []string{"2/k=v"})
		for _, k := range []string{"k", "l", "m", "n"} {
			_, err := f.KV.Get(ctx(), 1, k)
			wantErr(t, err, store.ErrNotFound)
		}
		equal(t, "entries of another", f.bodies(2, store.Query{}), []string{"x"})
	}
	gone()
	release()
	f.settle()
	gone()
	f.reopen()
	gone()
	release = f.block()
	f.journey(func(j store.Journey) error {
		if err := f.Forget(j, 2); err != nil {
			return err
		}
		return f.KV.Set(j, 2, "late", []byte("v"))
	})
	equal(t, "set after", f.pairs(f.KV.All(ctx(), 2, "")), []string{"2/late=v"})
	release()
	f.settle()
	equal(t, "set after", f.pairs(f.KV.All(ctx(), 2, "")), []string{"2/late=v"})
	f.reopen()
	equal(t, "set after", f.pairs(f.KV.All(ctx(), 2, "")), []string{"2/late=v"})
}
