package auth

import (
	"context"
	"errors"
	"testing"

	"parley/store"
	"parley/store/memory"
)

// TestMarks: they last, survive a new password, and are told of once.
func TestMarks(t *testing.T) {
	e := memory.New()
	st, stop := openStore(t, e)
	a := openAccounts(t, st)
	var locked []string
	a.OnLocked = func(_ context.Context, name string) { locked = append(locked, name) }
	if acc, err := a.Add(t.Context(), "alice", good); err != nil || acc.Admin || acc.Locked {
		t.Fatalf("%+v, %v", acc, err)
	}
	if acc, err := a.AddAdmin(t.Context(), "bob", good); err != nil || !acc.Admin {
		t.Fatalf("%+v, %v", acc, err)
	}
	if _, err := a.AddAdmin(t.Context(), "carol", "short"); !errors.Is(err, ErrShort) {
		t.Errorf("an administrator with a short password: %v", err)
	}
	for range 2 {
		if acc, err := a.SetLocked(t.Context(), "Alice", true); err != nil || !acc.Locked || acc.Name != "alice" {
			t.Errorf("%+v, %v", acc, err)
		}
	}
	if _, err := a.SetAdmin(t.Context(), "alice", true); err != nil {
		t.Error(err)
	}
	if err := a.SetPassword(t.Context(), "alice", good+"!"); err != nil {
		t.Error(err)
	}
	if _, err := a.SetAdmin(t.Context(), "bob", false); err != nil {
		t.Error(err)
	}
	if _, err := a.SetLocked(t.Context(), "nobody", true); !errors.Is(err, ErrUnknown) {
		t.Errorf("a mark for nobody: %v", err)
	}
	if len(locked) != 1 || locked[0] != "alice" {
		t.Errorf("told of %v", locked)
	}
	stop()
	st, _ = openStore(t, e)
	a = openAccounts(t, st)
	if acc, _ := a.Lookup("alice"); !acc.Locked || !acc.Admin || signIn(t, a, "alice", good+"!") != nil {
		t.Errorf("after a restart: %+v", acc)
	}
	if acc, _ := a.Lookup("bob"); acc.Admin || acc.Locked {
		t.Errorf("after a restart: %+v", acc)
	}
}

// TestRecordWithoutMarks: what was written before there were marks is read as an account that has none.
func TestRecordWithoutMarks(t *testing.T) {
	st, _ := openStore(t, memory.New())
	j, err := st.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = st.KV.Set(j, store.Owner(0), "account/alice", []byte(`{"number":7,"salt":"c2FsdHNhbHRzYWx0c2FsdA==","stored_key":"AA==","server_key":"AQ==","iterations":4096,"created":"2026-11-22T13:04:05Z"}`))
	j.End()
	if err != nil {
		t.Fatal(err)
	}
	a := openAccounts(t, st)
	acc, ok := a.Lookup("alice")
	if !ok || acc.Owner != 7 || acc.Admin || acc.Locked || acc.Created.Year() != 2026 || a.Credentials("alice").Iterations != 4096 {
		t.Errorf("%+v, %v", acc, ok)
	}
	if acc, err = a.SetLocked(t.Context(), "alice", true); err != nil || !acc.Locked || acc.Owner != 7 {
		t.Errorf("%+v, %v", acc, err)
	}
}
