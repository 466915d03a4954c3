package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/config"
	"parley/server"
	"parley/store"
)

// process is a server that runs as a process of its own.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	port int
	done chan error

	mu   sync.Mutex
	log  bytes.Buffer  // guarded by mu
	news chan struct{} // has one when the log has grown
}

// said is the log so far.
func (s *process) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// wait waits until the log says something after what it has said before.
func (s *process) wait(from int, what string) {
	s.t.Helper()
	for late := time.After(20 * time.Second); !strings.Contains(s.said()[from:], what); {
		select {
		case <-s.news:
		case <-late:
			s.t.Fatalf("the log does not say %q:\n%s", what, s.said()[from:])
		}
	}
}

// startServer starts `parley server` on a free port and waits until it is ready.
func startServer(t *testing.T, data string, args ...string) *process {
	t.Helper()
	return startServerIn(t, nil, data, args...)
}

// startServerIn is startServer with more of an environment.
func startServerIn(t *testing.T, env []string, data string, args ...string) *process {
	t.Helper()
	s := &process{t: t, port: freePorts(t), done: make(chan error, 1), news: make(chan struct{}, 1)}
	s.cmd = exec.Command(os.Args[0], append([]string{"server", fmt.Sprint(s.port), "--data", data}, args...)...)
	s.cmd.Env = append([]string{"PARLEY_TEST_MAIN=1", "HOME=" + t.TempDir(), "PARLEY_AUTH_ITERATIONS=4096"}, env...)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan bool, 1)
	go func() { // ends with the process, which Cleanup waits for
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			s.mu.Lock()
			fmt.Fprintln(&s.log, lines.Text())
			s.mu.Unlock()
			select {
			case s.news <- struct{}{}:
			default:
			}
			if strings.Contains(lines.Text(), "msg=ready") || strings.Contains(lines.Text(), `"msg":"ready"`) {
				ready <- true
			}
		}
		s.done <- s.cmd.Wait()
	}()
	t.Cleanup(func() {
		if s.cmd.ProcessState == nil {
			s.cmd.Process.Kill()
			<-s.done
		}
	})
	select {
	case <-ready:
	case err := <-s.done:
		t.Fatalf("the server ended: %v\n%s", err, s.said())
	case <-time.After(20 * time.Second):
		t.Fatal("the server is not ready")
	}
	return s
}

// stop ends the server in order and checks that it says it was.
func (s *process) stop() {
	s.t.Helper()
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.done:
		if err != nil {
			s.t.Errorf("the server ended with %v\n%s", err, s.said())
		}
	case <-time.After(11 * time.Second):
		s.t.Fatal("the server does not stop")
	}
}

// freePorts finds a port that is free, with the one after it.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		a, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := a.Addr().(*net.TCPAddr).Port
		b, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		a.Close()
		if err == nil {
			b.Close()
			return port
		}
	}
	t.Fatal("no two ports in a row")
	return 0
}

func TestServerCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	other := freePorts(t)
	dir := t.TempDir()
	data := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(data("file"), nil, 0o600), os.Mkdir(data("garbage"), 0o700), os.Mkdir(data("sqlite"), 0o700),
		os.WriteFile(filepath.Join(data("garbage"), "parley.db"), []byte(strings.Repeat("garbage ", 1000)), 0o600),
		os.Mkdir(data("emptied"), 0o700), os.WriteFile(filepath.Join(data("emptied"), "parley.db"), nil, 0o600),
		os.WriteFile(filepath.Join(data("emptied"), "tls.key"), []byte("key"), 0o600), os.Mkdir(data("badkey"), 0o700),
		os.WriteFile(filepath.Join(data("badkey"), "tls.crt"), nil, 0o600), os.WriteFile(filepath.Join(data("badkey"), "tls.key"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if r := runCLI(t, nil, "", "user", "add", "hans", "--make-password", "--data", data("theirs"), "--domain", "theirs.example"); r.code != 0 {
		t.Fatal(r.err)
	}
	tests := []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"port in use", []string{fmt.Sprint(port), "--data", data("a"), "--tls-port", fmt.Sprint(other)}, 1,
			[]string{fmt.Sprintf("error: port %d is taken by ", port), fmt.Sprintf("(process %d)\n", os.Getpid()), "  why  only one program can listen on a port\n", "parley server "}},
		{"asked TLS port in use", []string{fmt.Sprint(other), "--data", data("b"), "--tls-port", fmt.Sprint(port)}, 1,
			[]string{fmt.Sprintf("error: port %d is taken by ", port), "--tls-port "}},
		{"address of another", []string{fmt.Sprint(other), "--data", data("c"), "--listen", "192.0.2.1"}, 1,
			[]string{"error: cannot listen on 192.0.2.1: this computer does not have that address\n"}},
		{"data below a file", []string{fmt.Sprint(other), "--data", data("file/below")}, 1,
			[]string{"error: cannot keep data in " + data("file/below") + ":", "is not a directory\n", "--data "}},
		{"data is a file", []string{fmt.Sprint(other), "--data", data("file")}, 1,
			[]string{"error: cannot keep data in " + data("file") + ":", "is not a directory\n"}},
		{"not a database", []string{fmt.Sprint(other), "--data", data("garbage")}, 1,
			[]string{"error: the database in " + data("garbage") + " is not one of parley's, or its beginning is damaged; nothing was changed\n"}},
		{"emptied database", []string{fmt.Sprint(other), "--data", data("emptied")}, 1,
			[]string{"error: the database in " + data("emptied") + " is damaged; nothing was changed\n  why  the file is empty\n"}},
		{"damaged key", []string{fmt.Sprint(other), "--data", data("badkey")}, 1,
			[]string{"error: cannot use the certificate " + data("badkey/tls.crt") + " with the key " + data("badkey/tls.key") + "\n", "a new key, which every client will ask about:  rm "}},
		{"other domain", []string{fmt.Sprint(other), "--data", data("theirs"), "--domain", "mine.example"}, 3,
			[]string{"error: the data in " + data("theirs") + " belongs to the domain theirs.example, not to mine.example\n", "--domain theirs.example\n"}},
		{"no certificate", []string{fmt.Sprint(other), "--data", data("d"), "--tls-cert", data("none.pem"), "--tls-key", data("none.key")}, 3,
			[]string{"error: cannot use the certificate " + data("none.pem") + " with the key " + data("none.key") + "\n", "  why  open " + data("none.pem") + ": no such file or directory\n"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := runCLI(t, map[string]string{"HOME": dir}, "", append([]string{"server"}, test.args...)...)
			checkFailure(t, r, test.code, test.says...)
		})
	}
	for _, name := range []string{"a", "b", "c"} { // whose port or address could not be had
		if _, err := os.Stat(data(name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a server that did not start has made %s (%v)", data(name), err)
		}
	}
	if text, err := os.ReadFile(filepath.Join(data("garbage"), "parley.db")); err != nil || len(text) != 8000 {
		t.Error("the file that is no database was changed")
	}
}

// checkFailure checks an exit code and what is said, and that nobody sees how the program is made.
func checkFailure(t *testing.T, r cli, code int, says ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit %d, want %d", r.code, code)
	}
	for _, s := range says {
		if !strings.Contains(r.err, s) {
			t.Errorf("does not say %q:\n%s", s, r.err)
		}
	}
	if strings.Contains(r.err, "goroutine") || strings.Count(r.err, "error: ") != 1 {
		t.Errorf("not one clear failure:\n%s", r.err)
	}
}

// What this computer cannot be made to do in a test (the tests may run as root).
func TestStartFailures(t *testing.T) {
	tcp := func(port int, err error) error {
		return fmt.Errorf("server: %w", &net.OpError{Op: "listen", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, Err: os.NewSyscallError("bind", err)})
	}
	c := config.Default()
	c.Data = "/srv/parley"
	tests := []struct {
		err  error
		what string
	}{
		{tcp(80, syscall.EACCES), "cannot listen on port 80: permission denied (running as user " + userName() + ")"},
		{tcp(5222, syscall.EACCES), "cannot listen on port 5222: permission denied (running as user " + userName() + ")"},
		{tcp(5222, syscall.ENOBUFS), "cannot listen on 127.0.0.1:5222"},
		{fmt.Errorf("server: %w", &fs.PathError{Op: "mkdir", Path: "/srv/parley", Err: syscall.EACCES}),
			"cannot write to /srv/parley: permission denied (running as user " + userName() + ")"},
		{fmt.Errorf("server: %w", &fs.PathError{Op: "open", Path: "/srv/parley/lock", Err: syscall.EROFS}),
			"cannot write to /srv/parley: read-only file system (running as user " + userName() + ")"},
		{fmt.Errorf("server: %w", store.ErrFull), "the disk with /srv/parley is full"},
		{fmt.Errorf("server: the disk with /srv/parley has failed: disk I/O error (1034); x: %w", store.ErrDisk), "the disk with /srv/parley has failed; the server stops"},
		{fmt.Errorf("server: the disk with /srv/parley has become read-only: disk I/O error (778); x: %w", store.ErrDisk),
			"the disk with /srv/parley has become read-only; the server stops"},
		{fmt.Errorf("server: %w", store.ErrNewer), "a newer version of parley wrote the data in /srv/parley"},
		{fmt.Errorf("server: %w", store.ErrCorrupt), "the database in /srv/parley is damaged; nothing was changed"},
		{fmt.Errorf("server: %w", store.ErrInUse), "/srv/parley is in use by another parley"},
		{&server.DomainError{Recorded: "a.org", Asked: "b.org"}, "the data in /srv/parley belongs to the domain a.org, not to b.org"},
		{&server.CertificateError{Cert: "/srv/parley/tls.crt", Key: "/srv/parley/tls.key", Err: &fs.PathError{Op: "open", Path: "/srv/parley/tls.key", Err: syscall.EACCES}},
			"cannot use the certificate /srv/parley/tls.crt with the key /srv/parley/tls.key"},
		{errors.New("what nobody thought of"), "the server did not start"},
	}
	for _, test := range tests {
		if f := asFailure(startFailure(test.err, c)); f.what != test.what || f.code == 0 {
			t.Errorf("%v:\n got %+v\nwant %s", test.err, f, test.what)
		}
	}
}

func TestServerLifeAndDeath(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data)
	r := runCLI(t, map[string]string{"HOME": data}, "", "server", fmt.Sprint(freePorts(t)), "--data", data)
	checkFailure(t, r, 1, fmt.Sprintf("error: %s is in use by another parley (process %d)\n", data, s.cmd.Process.Pid))
	s.stop()
	if _, err := os.Stat(filepath.Join(data, "parley.sock")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the control socket is still there (%v)", err)
	}
	startServer(t, data).stop() // and once more on what is there now
}

// The second Ctrl-C does not wait for the end that the first one asked for.
func TestSecondSignal(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = []string{"PARLEY_TEST_MAIN=stuck"}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(out)
	for _, want := range []string{"ready", "stopping"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("says %q, want %q", lines.Text(), want)
		}
		time.Sleep(2 * oneSignal) // not one signal that came twice
		cmd.Process.Signal(os.Interrupt)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted {
		t.Errorf("ended with %v, want exit code %d", err, exitInterrupted)
	}
}

func TestFirstStart(t *testing.T) {
	c, err := config.Load(config.Sources{Args: map[string]config.Arg{"data": {Text: "/d a"}}})
	if err != nil {
		t.Fatal(err)
	}
	f := server.Facts{Data: "/d a", DataNew: true, Domain: "localhost", Fingerprint: "SHA256:abc", KeyNew: true,
		Listen: []string{"127.0.0.1:5222"}, TLSListen: []string{"127.0.0.1:5223"}, Took: 84 * time.Millisecond, Registration: true}
	want := `parley 0.1.0, first start: nothing was set up yet, so this is for this computer only.

  data      /d a                                    (new)
  domain    localhost                               for others: --domain chat.example.org
  TLS       self-signed key made now
            SHA256:abc
  apps      127.0.0.1:5222 and :5223 (TLS)

Make the first account in another terminal:

  parley user add YOURNAME --admin --data '/d a'

or let people make their own:  parley client 127.0.0.1 5222

Ready in 84 ms. Stop with Ctrl-C.
`
	if got := firstStart(f, c); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := laterStart(f); strings.Count(got, "\n") != 4 {
		t.Errorf("not four lines:\n%s", got)
	}
}
