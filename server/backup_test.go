package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"parley/backup"
	"parley/config"
	"parley/ext/admin"
	"parley/xmpp/stanza"
)

type doer func(context.Context, admin.Request) admin.Answer

func addAccounts(t *testing.T, do doer, names ...string) {
	t.Helper()
	for _, name := range names {
		r := do(t.Context(), admin.Request{Node: admin.NodeAdd, Fields: fields("accountjid", name, "password", "long enough")})
		if r.Condition != "" {
			t.Fatalf("%+v", r)
		}
	}
}

func listAccounts(t *testing.T, do doer) []admin.Account {
	t.Helper()
	r := do(t.Context(), admin.Request{Node: admin.NodeUsers})
	if r.Condition != "" {
		t.Fatalf("%+v", r)
	}
	return r.Accounts()
}

// running serves a new data directory until the test ends. prepare may change the server before.
func running(t *testing.T, prepare func(*Server)) (s *Server, stop func()) {
	t.Helper()
	c := config.Default()
	c.Data, c.Auth.Iterations, c.Port = filepath.Join(t.TempDir(), "data"), 4096, 0
	s, err := New(t.Context(), c, "0-test", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	var over bool
	stop = func() {
		if cancel(); !over {
			over = true
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return s, stop
}

// TestBackupOverSocket: what a running server sends is whole, and what it was told before is in it.
func TestBackupOverSocket(t *testing.T) {
	s, stop := running(t, nil)
	addAccounts(t, s.admin.Do, "alice", "bob")
	var b bytes.Buffer
	size := int64(0)
	r, err := CallBackup(t.Context(), s.config.Data, &b, func(n int64) { size = n })
	if err != nil || r.Condition != "" || r.Domain != "localhost" || size == 0 || int64(b.Len()) < size {
		t.Fatalf("%+v, %v, %d bytes of %d", r, err, b.Len(), size)
	}
	m, err := CheckBackup(bytes.NewReader(b.Bytes()))
	if err != nil || m.Accounts != 2 || m.Domain != "localhost" || m.Version != "0-test" {
		t.Fatalf("%+v, %v", m, err)
	}
	addAccounts(t, s.admin.Do, "carol")
	dir := filepath.Join(t.TempDir(), "restored")
	if err := Restore(t.Context(), &b, dir); err != nil {
		t.Fatal(err)
	}
	if got := accountsIn(t, dir); !slices.Equal(got, []string{"alice", "bob"}) {
		t.Errorf("%v", got)
	}
	old, err := KeyFingerprint(s.config)
	c := s.config
	c.Data = dir
	if now, err2 := KeyFingerprint(c); err != nil || err2 != nil || now != old {
		t.Errorf("the key is another one: %s, %s; %v, %v", old, now, err, err2)
	}
	stop()
	if _, err := CallBackup(t.Context(), s.config.Data, io.Discard, nil); !errors.Is(err, ErrNoServer) {
		t.Errorf("after the end: %v", err)
	}
}

// TestBackupRefused: one at a time, none while the disk is full, and none by what has no database.
func TestBackupRefused(t *testing.T) {
	var room atomic.Int64 // how often the disk is not found full
	room.Store(1000)
	s, _ := running(t, func(s *Server) { s.backups.full = func() bool { return room.Add(-1) < 0 } })
	ask := func(w io.Writer) stanza.Condition {
		t.Helper()
		r, err := CallBackup(t.Context(), s.config.Data, w, func(int64) {})
		if err != nil {
			t.Fatal(err)
		}
		return r.Condition
	}
	s.backups.busy.Lock()
	if c := ask(io.Discard); c != stanza.Conflict {
		t.Errorf("while another is made: %q", c)
	}
	s.backups.busy.Unlock()
	room.Store(0)
	if c := ask(io.Discard); c != stanza.ResourceConstraint {
		t.Errorf("on a full disk: %q", c)
	}
	room.Store(2) // it fills up meanwhile
	var b bytes.Buffer
	if c := ask(&b); c != "" {
		t.Errorf("while there is room: %q", c)
	}
	if _, err := backup.Read(&b, nil); !errors.Is(err, backup.ErrForeign) && !errors.Is(err, backup.ErrDamaged) {
		t.Errorf("what was broken off counts as whole: %v", err)
	}
	room.Store(1000)
	if c := ask(io.Discard); c != "" {
		t.Errorf("afterwards: %q", c)
	}
	dir, _ := control(t) // of a process without backups
	if r, err := CallBackup(t.Context(), dir, io.Discard, nil); err != nil || r.Condition != stanza.FeatureNotImplemented {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestBackupStops: a server that is to stop does not wait for somebody who takes nothing.
func TestBackupStops(t *testing.T) {
	s, stop := running(t, nil)
	big := make([]byte, 4<<20) // more than a socket holds
	for range 4 {
		if err := record(t.Context(), s.store, "big", string(big)); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := net.Dial("unix", filepath.Join(s.config.Data, controlName))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, `{"node":"`+nodeBackup+`"}`); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1000)); err != nil { // it has begun
		t.Fatal(err)
	}
	stop()
	rest, _ := io.ReadAll(conn)
	if _, err := backup.Read(bytes.NewReader(rest), nil); err == nil {
		t.Error("it is whole")
	}
}
