package store_test

import (
	"context"
	"testing"

	"parley/store"
	"parley/store/memory"
)

// TestNewEpoch: after a database was put back to an earlier state no id on the wire is given out again, and every one that
// its entries had stays good.
func TestNewEpoch(t *testing.T) {
	e := memory.New()
	given := map[string]string{} // ids on the wire, and of what
	want := map[store.Owner][]string{}
	heads := func() (list []store.Head) {
		for o := range store.Owner(4) {
			last, floor, err := e.Head(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, store.Head{Owner: o, Last: last, Floor: floor})
		}
		return list
	}
	var epochs []string
	for life := range 4 {
		s := store.New(e, store.Options{})
		done := make(chan error, 1)
		go func() { done <- s.Run(context.Background()) }()
		for _, epoch := range epochs {
			if s.Epoch() == epoch {
				t.Fatal("the epoch is an old one")
			}
		}
		epochs = append(epochs, s.Epoch())
		for o, list := range want {
			for i, id := range list {
				if now := s.Log.WireID(o, store.ID(i+1)); now != id {
					t.Errorf("life %d: entry %d of owner %d was %s and is %s", life, i+1, o, id, now)
				}
				if got, ok := s.Log.ParseWireID(o, id); !ok || got != store.ID(i+1) {
					t.Errorf("life %d: %s is no longer entry %d of owner %d: %d, %v", life, id, i+1, o, got, ok)
				}
			}
		}
		for id, of := range given {
			if of != "lost" {
				continue
			}
			for o := range store.Owner(4) {
				if got, ok := s.Log.ParseWireID(o, id); ok {
					t.Errorf("life %d: an id of an entry that was lost is entry %d of owner %d", life, got, o)
				}
			}
		}
		for _, o := range []store.Owner{1, 2, 1, store.Owner(life % 2)} { // 1 always has something new, 0 not always
			j, err := s.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			id, err := s.Log.Append(j, o, store.Entry{Body: []byte("x")})
			j.End()
			if err != nil {
				t.Fatal(err)
			}
			wire := s.Log.WireID(o, id)
			if of := given[wire]; of != "" {
				t.Errorf("life %d: %s was given out before (%s)", life, wire, of)
			}
			given[wire] = "kept"
			want[o] = append(want[o], wire)
		}
		for o := range store.Owner(4) { // what the server gives out after the backup, and nobody has any more
			for n := range store.ID(3) {
				given[s.Log.WireID(o, store.ID(len(want[o]))+1+n)] = "lost"
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-done
		if err := store.NewEpoch(t.Context(), e, heads()); err != nil {
			t.Fatal(err)
		}
	}
}
