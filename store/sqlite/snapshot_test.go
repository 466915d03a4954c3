package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"parley/store"
)

// copyTo writes a snapshot as the database of a new directory.
func copyTo(t *testing.T, s *Snapshot) (dir string) {
	t.Helper()
	dir = t.TempDir()
	f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Copy(t.Context(), f), f.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(f.Name()); err != nil || info.Size() != s.Size() {
		t.Fatalf("%d bytes were copied, not %d", info.Size(), s.Size())
	}
	return dir
}

// TestSnapshotUnderLoad copies the database while it is written to, folded and swept: each copy is sound and has all that
// was durable before it began.
func TestSnapshotUnderLoad(t *testing.T) {
	dir := t.TempDir()
	e, err := Open(dir, crashOptions())
	if err != nil {
		t.Fatal(err)
	}
	st := store.New(e, store.Options{Idle: 10 * time.Millisecond})
	done := make(chan error, 1)
	go func() { done <- st.Run(context.Background()) }()
	ctx, stop := context.WithCancel(t.Context())
	var mu sync.Mutex
	durable := map[store.Owner]store.ID{} // the last one of each owner that is
	written := make(chan struct{})
	var work sync.WaitGroup
	for o := store.Owner(1); o <= 12; o++ {
		work.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				j, err := st.Begin(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				id, err := st.Log.Append(j, o, store.Entry{Body: fmt.Appendf(nil, "%d %d", o, n), Peer: "x@example.org"})
				err = errors.Join(err, st.KV.Set(j, o, "last", fmt.Append(nil, id)))
				j.End()
				if err = errors.Join(err, st.Wait(context.Background(), j.Mark())); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				durable[o] = id
				mu.Unlock()
				select {
				case written <- struct{}{}:
				default: // nobody waits
				}
				if o == 12 && n%40 == 39 {
					if err := st.Log.Trim(context.Background(), o, time.Now()); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 8 {
		for range 300 { // so that there is something new to copy
			<-written
		}
		mu.Lock()
		before := map[store.Owner]store.ID{}
		for o, id := range durable {
			before[o] = id
		}
		mu.Unlock()
		s, err := e.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		entries, err := s.Entries()
		if err != nil {
			t.Fatal(err)
		}
		checkCopy(t, copyTo(t, s), before, entries)
	}
	stop()
	work.Wait()
	if err := st.Close(t.Context()); err != nil {
		t.Error(err)
	}
	<-done
}

func checkCopy(t *testing.T, dir string, before map[store.Owner]store.ID, entries int64) {
	t.Helper()
	e, err := Open(dir, Options{Used: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	heads, err := e.Heads()
	if err != nil {
		t.Fatal(err)
	}
	last := map[store.Owner]store.Head{}
	for _, h := range heads {
		last[h.Owner] = h
	}
	st := store.New(e, store.Options{})
	found := int64(0)
	for o, id := range before {
		h := last[o]
		if h.Last < id {
			t.Errorf("owner %d: the last entry is %d, %d was durable before", o, h.Last, id)
		}
		if v, err := st.KV.Get(t.Context(), o, "last"); err != nil || string(v) != fmt.Sprint(h.Last) {
			t.Errorf("owner %d: a journey was cut in two: entry %d, value %s, %v", o, h.Last, v, err)
		}
		next := h.Floor + 1
		for entry, err := range st.Log.Range(t.Context(), o, store.Query{}) {
			if err != nil || entry.ID != next || string(entry.Body) != fmt.Sprintf("%d %d", o, entry.ID-1) {
				t.Fatalf("owner %d: %+v, %v; expected entry %d", o, entry, err, next)
			}
			next++
			found++
		}
		if next != h.Last+1 {
			t.Errorf("owner %d: it ends at %d, not %d", o, next-1, h.Last)
		}
	}
	if found != entries {
		t.Errorf("%d entries are there, %d were announced", found, entries)
	}
}

// The moment of a snapshot does not pass, and what comes later is not in it.
func TestSnapshotMoment(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenSnapshot(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("nothing there: %v", err)
	}
	if names, _ := os.ReadDir(dir); len(names) > 0 {
		t.Fatal("something was made")
	}
	e, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	set := func(key, value string) {
		t.Helper()
		if err := e.Commit([]store.Op{{Kind: store.OpSet, Key: key, Value: []byte(value)}}); err != nil {
			t.Fatal(err)
		}
	}
	set("domain", "one")
	set("account/alice", "1")
	set("account/bob", "2")
	set("accounts/next", "3")
	s, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	set("domain", "two")
	set("account/carol", "3")
	set("big", string(make([]byte, 100_000)))
	if n, err := s.Count("account/"); err != nil || n != 2 {
		t.Errorf("%d accounts, %v", n, err)
	}
	if v, err := s.Get("domain"); err != nil || string(v) != "one" {
		t.Errorf("%s, %v", v, err)
	}
	if _, err := s.Get("nothing"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("%v", err)
	}
	if n, err := s.Format(); err != nil || n != Format() {
		t.Errorf("format %d, %v", n, err)
	}
	if _, err := OpenSnapshot(dir); !errors.Is(err, store.ErrInUse) {
		t.Errorf("in use: %v", err)
	}
	other := copyTo(t, s)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{dir: "two", other: "one"} {
		s, err := OpenSnapshot(dir)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := s.Get("domain"); err != nil || string(v) != want {
			t.Errorf("%s, want %s, %v", v, want, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A copy ends when its context does or when it cannot be written, and lets the database go on.
func TestSnapshotCut(t *testing.T) {
	e, err := Open(t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Commit([]store.Op{{Kind: store.OpSet, Key: "big", Value: make([]byte, 1<<20)}}); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no room")
	for _, test := range []struct {
		is  error
		end func(stop func()) error
	}{
		{full, func(func()) error { return full }},
		{context.Canceled, func(stop func()) error { stop(); return nil }},
	} {
		s, err := e.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		n := 0
		err = s.Copy(ctx, writerFunc(func(p []byte) (int, error) {
			if n++; n == 10 {
				return len(p), test.end(stop)
			}
			return len(p), nil
		}))
		if !errors.Is(err, test.is) {
			t.Errorf("%v, want %v", err, test.is)
		}
		stop()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := e.Commit([]store.Op{{Kind: store.OpSet, Key: "small", Value: []byte("x")}}); err != nil {
			t.Error(err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
