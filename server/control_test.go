package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/config"
	"parley/ext/admin"
	"parley/xmpp/stanza"
)

// fields are names and values in turn.
func fields(words ...string) map[string][]string {
	m := map[string][]string{}
	for i := 0; i < len(words); i += 2 {
		m[words[i]] = append(m[words[i]], words[i+1])
	}
	return m
}

// control opens the accounts of a new directory and serves its control socket until the test ends.
func control(t *testing.T) (dir string, stop func()) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	c := config.Default()
	c.Data, c.Auth.Iterations = dir, 4096
	own, closeData, err := OpenAdmin(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := ListenControl(dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- ServeControl(ctx, ln, own, nil) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := closeData(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return dir, stop
}

func TestControl(t *testing.T) {
	dir, stop := control(t)
	var many sync.WaitGroup
	for i := range 30 {
		many.Go(func() {
			r, err := CallControl(t.Context(), dir, admin.Request{Node: admin.NodeAdd, Fields: fields("accountjid", fmt.Sprintf("user%02d", i), "password", "long enough")})
			if err != nil || r.Condition != "" || len(r.Accounts()) != 1 {
				t.Errorf("add %d: %+v, %v", i, r, err)
			}
		})
	}
	many.Wait()
	r, err := CallControl(t.Context(), dir, admin.Request{Node: admin.NodeUsers})
	if err != nil || len(r.Accounts()) != 30 || r.Accounts()[29].Address != "user29@localhost" {
		t.Errorf("list: %+v, %v", r, err)
	}
	if r, err = CallControl(t.Context(), dir, admin.Request{Node: "dance"}); err != nil || r.Condition != stanza.FeatureNotImplemented {
		t.Errorf("unknown request: %+v, %v", r, err)
	}
	if r, err = CallControl(t.Context(), dir, admin.Request{Node: admin.NodeRemove, Fields: fields("accountjids", "user03")}); err != nil || r.Condition != "" {
		t.Errorf("remove: %+v, %v", r, err)
	}
	if r, err = CallControl(t.Context(), dir, admin.Request{Node: admin.NodeReset, Fields: fields("accountjid", "user03", "password", "long enough")}); err != nil || r.Condition != stanza.ItemNotFound {
		t.Errorf("reset what was removed: %+v, %v", r, err)
	}
	if r, err = CallControl(t.Context(), dir, admin.Request{Node: admin.NodeImport, File: []byte(strings.Repeat("x", 5000) + "\nzoe password-of-zoe\n")}); err != nil ||
		r.Condition != "" || len(r.Rows) != 2 || r.Rows[0][0] != "added" || r.Rows[1][0] != "refused" {
		t.Errorf("import: %+v, %v", r, err)
	}
	stop()
	if _, err = CallControl(t.Context(), dir, admin.Request{Node: admin.NodeCount}); !errors.Is(err, ErrNoServer) {
		t.Errorf("after the end: %v", err)
	}
}

// What is no request is answered or dropped, and the next one is served.
func TestControlNonsense(t *testing.T) {
	dir, _ := control(t)
	for _, nonsense := range []string{"", "{", "GET / HTTP/1.0\r\n\r\n", `{"node":5}`, "[[[[[[", strings.Repeat("{\"node\":\"", 1000), "[]\n"} {
		conn, err := net.Dial("unix", filepath.Join(dir, controlName))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, nonsense)
		conn.(*net.UnixConn).CloseWrite()
		var r admin.Answer
		if err := json.NewDecoder(conn).Decode(&r); err != nil || r.Condition != stanza.BadRequest {
			t.Errorf("%.20q: %+v, %v", nonsense, r, err)
		}
		conn.Close()
	}
	if r, err := CallControl(t.Context(), dir, admin.Request{Node: admin.NodeCount}); err != nil || r.Domain != "localhost" {
		t.Errorf("%+v, %v", r, err)
	}
}

// Somebody who connects and says nothing does not keep the server from stopping.
func TestControlStops(t *testing.T) {
	dir, stop := control(t)
	conn, err := net.Dial("unix", filepath.Join(dir, controlName))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := CallControl(t.Context(), dir, admin.Request{Node: admin.NodeCount}); err != nil { // conn is accepted by now
		t.Fatal(err)
	}
	began := time.Now()
	stop()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
}

func TestListenControl(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 50))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, controlName)
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if ln, err := ListenControl(dir); err == nil {
		ln.Close()
		t.Error("a file of somebody else was taken for an old socket")
	}
	if text, _ := os.ReadFile(path); string(text) != "precious" {
		t.Error("a file of somebody else was changed")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time over what is left of the first
		ln, err := ListenControl(dir)
		if err != nil {
			t.Fatal(err)
		}
		if ln == nil {
			t.Skip("names that long cannot be used here")
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		defer ln.Close()
	}
	if _, err := CallControl(t.Context(), filepath.Join(dir, "none"), admin.Request{Node: admin.NodeCount}); !errors.Is(err, ErrNoServer) {
		t.Errorf("no directory: %v", err)
	}
}
