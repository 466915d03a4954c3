package main

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"parley/config"
	"parley/server"
	"parley/store"
	"parley/store/memory"
)

// hangup sends SIGHUP and waits until the log says that.
func (s *process) hangup(says ...string) {
	s.t.Helper()
	from := len(s.said())
	s.cmd.Process.Signal(syscall.SIGHUP)
	for _, what := range says {
		s.wait(from, what)
	}
}

// shownKey is the key that a TLS handshake shows.
func shownKey(t *testing.T, port int) string {
	t.Helper()
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return server.Fingerprint(&tls.Certificate{Leaf: c.ConnectionState().PeerCertificates[0]})
}

func TestReload(t *testing.T) {
	dir := t.TempDir()
	data, file := filepath.Join(dir, "data"), filepath.Join(dir, "parley.toml")
	set := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("timeout = 30\n")
	s := startServer(t, data, "--config", file)
	before := shownKey(t, s.port+1)

	s.hangup(`msg="reloaded: nothing has changed"`)
	set("domain = 'other.example'\n[limits]\nsessions = 3\n[log]\nlevel = 'debug'\n")
	s.hangup(`msg="reloaded: timeout, limits.sessions, log.level"`, `level=WARN msg="needs a restart: domain"`)
	s.hangup(`msg="needs a restart: domain"`) // still
	set("timeout = 'soon'\n[limits]\nsessions = 4\n")
	s.hangup(`level=ERROR msg="not reloaded, nothing was changed: config line 1: timeout must be a whole number of seconds from 0 to 315360000, in ` + file + `"`)
	set("timeout = 31\n[tls]\ncert = '/nowhere/c.pem'\nkey = '/nowhere/k.pem'\n")
	s.hangup(`msg="not reloaded, nothing was changed: cannot use the certificate /nowhere/c.pem with the key /nowhere/k.pem"`)
	set("limits.sessions = 3\nlog.level = 'debug'\n")
	s.hangup(`msg="reloaded: nothing has changed"`)

	// A connection that was there before goes on, and new handshakes show the new key.
	old, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	header := "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'>"
	fmt.Fprint(old, header)
	from := len(s.said())
	for _, name := range []string{"tls.crt", "tls.key"} { // the next one is made anew
		if err := os.Remove(filepath.Join(data, name)); err != nil {
			t.Fatal(err)
		}
	}
	s.hangup(`msg="reloaded: certificate" key=SHA256:`)
	after := shownKey(t, s.port+1)
	if after == before || !strings.Contains(s.said()[from:], "key="+after) {
		t.Errorf("the key was %s and is %s", before, after)
	}
	_ = old.SetReadDeadline(time.Now().Add(10 * time.Second))
	var got []byte
	for buf := make([]byte, 4096); !bytes.Contains(got, []byte("</stream:features>")); {
		n, err := old.Read(buf)
		if err != nil {
			t.Fatalf("the old connection ended: %v", err)
		}
		got = append(got, buf[:n]...)
	}
	s.stop()
}

// Every line about a connection has the connection's name in it, and nobody else's; in JSON, one object a line.
func TestLogOfConnections(t *testing.T) {
	s := startServer(t, filepath.Join(t.TempDir(), "data"), "--log-format", "json", "--log-level", "debug")
	names := map[string]bool{}
	for range 2 {
		from := len(s.said())
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "<no-stream/>")
		s.wait(from, `"msg":"stream ended"`)
		c.Close()
		for line := range strings.Lines(s.said()[from:]) {
			var l struct{ Level, Msg, Conn, Addr string }
			if err := json.Unmarshal([]byte(line), &l); err != nil || len(l.Conn) != 8 {
				t.Errorf("%q: %v", line, err)
			}
			names[l.Conn] = true
		}
	}
	if len(names) != 2 {
		t.Errorf("two connections are called %v", names)
	}
	s.stop()
}

// boss is the socket of somebody who has started the server.
type boss struct {
	t    *testing.T
	conn *net.UnixConn
	path string
}

func newBoss(t *testing.T) *boss {
	t.Helper()
	path := filepath.Join(t.TempDir(), "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skip("no sockets like that here: ", err)
	}
	t.Cleanup(func() { conn.Close() })
	return &boss{t, conn, path}
}

// hears returns the next message that is no sign of life, and how many of those came before it.
func (b *boss) hears() (text string, alive int) {
	b.t.Helper()
	_ = b.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 4096)
	for {
		n, err := b.conn.Read(buf)
		if err != nil {
			b.t.Fatal(err)
		}
		if text := string(buf[:n]); text != "WATCHDOG=1" {
			return text, alive
		}
		alive++
	}
}

func TestSupervisor(t *testing.T) {
	b := newBoss(t)
	data := filepath.Join(t.TempDir(), "data")
	s := startServerIn(t, []string{"NOTIFY_SOCKET=" + b.path, "WATCHDOG_USEC=20000"}, data)
	ready := fmt.Sprintf("READY=1\nSTATUS=serving localhost on 127.0.0.1:%d", s.port)
	if got, _ := b.hears(); !strings.HasPrefix(got, ready) {
		t.Errorf("hears %q, want %q", got, ready)
	}
	buf := make([]byte, 100)
	for range 3 {
		if n, err := b.conn.Read(buf); err != nil || string(buf[:n]) != "WATCHDOG=1" {
			t.Fatalf("hears %q, %v", buf[:n], err)
		}
	}
	s.cmd.Process.Signal(syscall.SIGHUP)
	got, _ := b.hears()
	digits, ok := strings.CutPrefix(got, "RELOADING=1\nMONOTONIC_USEC=")
	usec, err := strconv.ParseInt(digits, 10, 64)
	if now := monotonic().Microseconds(); !ok || err != nil || usec > now || usec < now-time.Minute.Microseconds() {
		t.Errorf("hears %q, the time is %d", got, now)
	}
	if got, _ := b.hears(); !strings.HasPrefix(got, ready) {
		t.Errorf("hears %q, want %q", got, ready)
	}
	// Who says that he stops is killed after a while, even if he says that he is ready again.
	if r := runCLI(t, nil, "", "admin", "restart", "delay=0", "--data", data); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	if got, _ := b.hears(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("at a restart: hears %q", got)
	}
	if got, _ := b.hears(); !strings.HasPrefix(got, ready) {
		t.Errorf("after a restart: hears %q, want %q", got, ready)
	}
	stopped := make(chan struct{})
	go func() { // a socket that nobody reads holds few words, and signs of life go on
		defer close(stopped)
		s.stop()
	}()
	defer func() { <-stopped }()
	if got, _ := b.hears(); got != "STOPPING=1\nSTATUS=stopping: clients are told" {
		t.Errorf("hears %q", got)
	}
}

// brokenDisk is an engine that fails once somebody breaks it.
type brokenDisk struct {
	*memory.Engine
	broken atomic.Bool
}

func (e *brokenDisk) Commit(ops []store.Op) error {
	if e.broken.Load() {
		return errors.New("the disk is gone")
	}
	return e.Engine.Commit(ops)
}

// A server whose store has failed gives no sign of life any more, and says why it stops.
func TestNoLifeWithoutStore(t *testing.T) {
	c, err := config.Load(config.Sources{Args: map[string]config.Arg{"data": {Text: "/nowhere"}, "auth.iterations": {Text: "4096"}}})
	if err != nil {
		t.Fatal(err)
	}
	c.Port = 0
	log := slog.New(slog.DiscardHandler)
	disk := &brokenDisk{Engine: memory.New()}
	srv, err := server.NewWith(t.Context(), c, log, server.Parts{Engine: disk})
	if err != nil {
		t.Fatal(err)
	}
	b := newBoss(t)
	env := map[string]string{"NOTIFY_SOCKET": b.path, "WATCHDOG_USEC": "2000"}
	p := &program{in: strings.NewReader(""), getenv: func(name string) string { return env[name] }}
	r := &runner{p: p, srv: srv, log: log, boss: p.newSupervisor(log), status: "here"}
	ended := make(chan error, 1)
	go func() { ended <- r.run(t.Context()) }()
	if got, _ := b.hears(); got != "READY=1\nSTATUS=here" {
		t.Errorf("hears %q", got)
	}
	disk.broken.Store(true)
	if _, err := srv.Accounts().Add(t.Context(), "alice", "correct horse battery"); err == nil {
		t.Fatal("a broken disk keeps an account")
	}
	if got, _ := b.hears(); got != "STOPPING=1\nSTATUS=the store has failed" {
		t.Errorf("hears %q", got)
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "the disk is gone") {
		t.Errorf("ended with %v", err)
	}
	r.boss.say("LAST=1")
	if got, alive := b.hears(); got != "LAST=1" || alive > 0 {
		t.Errorf("hears %q after %d signs of life", got, alive)
	}
	r.boss.close()
}

// No signs of life are sent where nobody asked for them, or where somebody else was asked.
func TestSupervisorWithoutWatchdog(t *testing.T) {
	b := newBoss(t)
	for _, env := range []map[string]string{
		{}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "soon"}, {"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"},
	} {
		env["NOTIFY_SOCKET"] = b.path
		p := &program{getenv: func(name string) string { return env[name] }}
		s := p.newSupervisor(nil)
		if due, _ := s.alive(); due != nil {
			t.Errorf("%v: there are signs of life", env)
		}
		s.close()
	}
	p := &program{getenv: func(string) string { return "" }}
	s := p.newSupervisor(nil)
	s.ready("to nobody")
	s.close()
	if s != nil {
		t.Error("there is a supervisor")
	}
}

// What the server is made of can be seen without making anything.
func TestExplain(t *testing.T) {
	home := t.TempDir()
	r := runCLI(t, map[string]string{"HOME": home}, "", "server", "--explain", "--whoelse-enabled=false")
	if r.code != 0 || r.err != "" {
		t.Fatalf("%+v", r)
	}
	at := 0
	for _, want := range []string{" 1 roster\n", "archive\n", "steps      Sending, Arriving, Missed\n", "ping\n   specs      XEP-0199 2.0.1\n",
		"<ping xmlns='urn:xmpp:ping'/> to the server\n", "urn:parley:0#whoelsesince (", "disco\n", "  Sending ", "  Contact   team "} {
		i := strings.Index(r.out[at:], want)
		if i < 0 {
			t.Fatalf("%q is not in its place:\n%s", want, r.out)
		}
		at += i
	}
	if strings.Contains(r.out, "#whoelse (") {
		t.Error("what is switched off is there")
	}
	if _, err := os.Stat(filepath.Join(home, ".local")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory was made (%v)", err)
	}
}
