package auth

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"parley/store"
	"parley/store/memory"
)

// slowEngine commits only when it is let.
type slowEngine struct {
	*memory.Engine
	let chan struct{}
}

func (e *slowEngine) Commit(ops []store.Op) error {
	<-e.let
	return e.Engine.Commit(ops)
}

// TestNothingBeforeDurable: neither the caller nor anybody else sees a change that is not on the disk.
func TestNothingBeforeDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &slowEngine{Engine: memory.New(), let: make(chan struct{}, 1000)}
		e.let <- struct{}{} // the key of the ids
		st, stop := openStore(t, e)
		a := openAccounts(t, st)
		e.let <- struct{}{} // the secret
		if err := st.Wait(t.Context(), st.Mark()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for len(e.let) > 0 {
			<-e.let
		}
		for _, step := range []struct {
			name    string
			commits int
			do      func() error
			seen    func() bool
		}{
			{"add", 1, func() error { _, err := a.Add(t.Context(), "bob", good); return err },
				func() bool { _, ok := a.Lookup("bob"); return ok }},
			{"set password", 1, func() error { return a.SetPassword(t.Context(), "bob", good+"!") },
				func() bool { return signIn(t, a, "bob", good+"!") == nil }},
			{"remove", 2, func() error { _, err := a.Remove(t.Context(), "bob"); return err },
				func() bool { _, ok := a.Lookup("bob"); return !ok }},
		} {
			done := make(chan error, 1)
			go func() { done <- step.do() }()
			synctest.Wait()
			if len(done) != 0 || step.seen() {
				t.Errorf("%s: done or seen before it is durable", step.name)
			}
			for range step.commits {
				e.let <- struct{}{}
				synctest.Wait()
			}
			if err := <-done; err != nil || !step.seen() {
				t.Errorf("%s: %v, or not seen", step.name, err)
			}
		}
		close(e.let)
		stop()
	})
}

// TestCutWait: an error because nobody waits any more does not undo what was written.
func TestCutWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &slowEngine{Engine: memory.New(), let: make(chan struct{}, 10)}
		e.let <- struct{}{}
		e.let <- struct{}{}
		st, stop := openStore(t, e)
		a := openAccounts(t, st)
		synctest.Wait()
		for len(e.let) > 0 {
			<-e.let
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Add(ctx, "bob", good); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("add: %v", err)
		}
		if _, ok := a.Lookup("bob"); !ok {
			t.Error("memory and disk do not agree")
		}
		close(e.let)
		stop()
		st, stop = openStore(t, e)
		if _, ok := openAccounts(t, st).Lookup("bob"); !ok {
			t.Error("not kept")
		}
		stop()
	})
}

func TestRemoveErases(t *testing.T) {
	e := memory.New()
	st, stop := openStore(t, e)
	a := openAccounts(t, st)
	ctx := t.Context()
	acc, err := a.Add(ctx, "bob", good)
	if err != nil {
		t.Fatal(err)
	}
	note := func(o store.Owner) {
		j, err := st.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer j.End()
		if _, err := st.Log.Append(j, o, store.Entry{Peer: "x@example.com", Body: []byte("hello")}); err != nil {
			t.Error(err)
		}
		if err := st.KV.Set(j, o, "roster", []byte("x")); err != nil {
			t.Error(err)
		}
	}
	left := func(st *store.Store, o store.Owner) (n int) {
		for range st.KV.All(ctx, o, "") {
			n++
		}
		for range st.Log.Range(ctx, o, store.Query{}) {
			n++
		}
		return n
	}
	note(acc.Owner)
	a.OnRemoved = func(context.Context, Account) { note(acc.Owner) } // what a session writes at its end
	if _, err := a.Remove(ctx, "bob"); err != nil || left(st, acc.Owner) != 0 {
		t.Errorf("%v, and %d pieces are left", err, left(st, acc.Owner))
	}
	// A removal that was cut off between the two steps.
	note(77)
	if _, err := a.write(ctx, func(j store.Journey) error { return st.KV.Set(j, 0, keyGone(77), []byte{'1'}) }); err != nil {
		t.Fatal(err)
	}
	stop()
	st, stop = openStore(t, e)
	b := openAccounts(t, st)
	if left(st, 77) != 0 {
		t.Errorf("%d pieces are left of a removal that was cut off", left(st, 77))
	}
	for p := range st.KV.All(ctx, 0, prefixGone) {
		t.Errorf("%s is left", p.Key)
	}
	if acc, err := b.Add(ctx, "bob", good); err != nil || acc.Owner != 78 {
		t.Errorf("%+v, %v", acc, err)
	}
	stop()
}

func TestOpenRefusesDamage(t *testing.T) {
	for key, value := range map[string]string{
		"account/bob": "{", "account/eve": `{"number":0}`, keyNext: "x", "accounts/gone/x": "1", keySecret: "short",
	} {
		st, stop := openStore(t, memory.New())
		j, err := st.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := st.KV.Set(j, 0, key, []byte(value)); err != nil {
			t.Error(err)
		}
		j.End()
		if _, err := Open(t.Context(), st, Options{}); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("%s = %q: %v", key, value, err)
		}
		stop()
	}
}
