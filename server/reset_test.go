package server

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"

	"parley/config"
	"parley/ext/admin"
	"parley/xmpp/stanza"
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
			if r := s.admin.Do(t.Context(), admin.Request{Node: admin.NodeAdd, Fields: fields("accountjid", name, "password", "long enough")}); r.Condition != "" {
				t.Fatalf("%+v", r)
			}
		}
		wrong(s, "alice")
		wrong(s, "bob")
		if r, err := CallControl(t.Context(), c.Data, admin.Request{Node: admin.NodeReset, Fields: fields("accountjid", "alice", "password", "tiny")}); err != nil || r.Condition != stanza.PolicyViolation || !blocked(s, "alice") {
			t.Errorf("a password that is refused: %+v, %v, blocked %v", r, err, blocked(s, "alice"))
		}
		if r, err := CallControl(t.Context(), c.Data, admin.Request{Node: admin.NodeReset, Fields: fields("accountjid", "alice", "password", "long enough 2")}); err != nil || r.Condition != "" {
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
	if r := a.Do(t.Context(), admin.Request{Node: admin.NodeReset, Fields: fields("accountjid", "Alice", "password", "long enough 3")}); r.Condition != "" {
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
