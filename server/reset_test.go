package server

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"

	"parley/config"
)

// TestResetUnblocks: whoever gets a new password can use it at once, whether the server ran meanwhile or not.
func TestResetUnblocks(t *testing.T) {
	c := config.Default()
	c.Data, c.Auth.Iterations, c.Port = filepath.Join(t.TempDir(), "data"), 4096, 0
	home := netip.MustParseAddr("192.0.2.1")
	blocked := func(s *Server, name string) bool { return s.lockout.Check(name, home) != nil }
	serve := func(work func(*Server)) {
		t.Helper()
		s, err := New(t.Context(), c, "0-test", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx) }()
		work(s)
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	wrong := func(s *Server, name string) {
		t.Helper()
		for range 3 {
			a, err := s.lockout.Try(t.Context(), name, home)
			if err != nil {
				t.Fatal(err)
			}
			a.Fail()
		}
		if !blocked(s, name) {
			t.Fatalf("%s is not blocked", name)
		}
	}
	serve(func(s *Server) {
		for _, name := range []string{"alice", "bob"} {
			if r := s.admin().Do(t.Context(), Request{Do: DoAdd, Name: name, Password: "long enough"}); r.Fault != "" {
				t.Fatalf("%+v", r)
			}
		}
		wrong(s, "alice")
		wrong(s, "bob")
		if r, err := CallControl(t.Context(), c.Data, Request{Do: DoReset, Name: "alice", Password: "tiny"}); err != nil || r.Fault != FaultShort || !blocked(s, "alice") {
			t.Errorf("a password that is refused: %+v, %v, blocked %v", r, err, blocked(s, "alice"))
		}
		if r, err := CallControl(t.Context(), c.Data, Request{Do: DoReset, Name: "alice", Password: "long enough 2"}); err != nil || r.Fault != "" {
			t.Errorf("reset: %+v, %v", r, err)
		}
		if blocked(s, "alice") || !blocked(s, "bob") {
			t.Errorf("after the reset of alice: alice blocked %v, bob blocked %v", blocked(s, "alice"), blocked(s, "bob"))
		}
		wrong(s, "alice")
	})
	a, done, err := OpenAdmin(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if r := a.Do(t.Context(), Request{Do: DoReset, Name: "Alice", Password: "long enough 3"}); r.Fault != "" {
		t.Errorf("reset without a server: %+v", r)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	serve(func(s *Server) {
		if blocked(s, "alice") || !blocked(s, "bob") {
			t.Errorf("after a restart: alice blocked %v, bob blocked %v", blocked(s, "alice"), blocked(s, "bob"))
		}
	})
}
