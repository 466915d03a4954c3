// Package realclients lets programs of others talk to the server, over the network and as processes of their own.
package realclients

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/imtest"
)

const (
	password      = "correct-horse-battery-1"
	blockDuration = 4 // seconds; the second argument of the server
)

// TestSlixmpp runs dialogue.py, an ordinary client made with Debian's slixmpp, against the binary. Each of the
// script's checks becomes a subtest.
func TestSlixmpp(t *testing.T) {
	imtest.Need(t, "python3-slixmpp")
	runChecks(t, startServer(t, buildParley(t)), "checks")
}

// TestSlixmppAdmin has an administrator use slixmpp's plugin for XEP-0133.
func TestSlixmppAdmin(t *testing.T) {
	imtest.Need(t, "python3-slixmpp")
	s := startServer(t, buildParley(t))
	addUser(t, s.cmd.Path, s.dir, "root", s.cmd.Env, "--admin")
	runChecks(t, s, "administration")
}

// TestSlixmppManagement cuts the connections of slixmpp, restarts the server and kills it: with stream management
// (XEP-0198), nothing is lost and nobody hears of it.
func TestSlixmppManagement(t *testing.T) {
	imtest.Need(t, "python3-slixmpp")
	runChecks(t, startServer(t, buildParley(t)), "management")
}

// runChecks runs the checks of a module against a server, and stops it.
func runChecks(t *testing.T, s *serverProcess, module string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	script := exec.CommandContext(ctx, "/usr/bin/python3", "-B", "dialogue.py",
		"--port", s.port, "--domain", "localhost", "--block", fmt.Sprint(blockDuration), "--checks", module)
	script.Env = append(os.Environ(), "PARLEY_TEST_PASSWORD="+password, "PYTHONIOENCODING=utf-8")
	var stderr bytes.Buffer
	script.Stderr = &stderr
	asks, err := script.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	answers, err := script.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := script.Start(); err != nil {
		t.Fatal(err)
	}

	checks, failures := 0, 0
	for lines := bufio.NewScanner(asks); lines.Scan(); {
		if what, ok := strings.CutPrefix(lines.Text(), "server "); ok {
			s.obey(t, what)
			fmt.Fprintln(answers, "done")
			continue
		}
		name, why, ok := parseCheck(lines.Text())
		if name == "" {
			continue
		}
		checks++
		if !ok {
			failures++
		}
		t.Run(name, func(t *testing.T) {
			if !ok {
				t.Error(why)
			}
		})
	}
	err = script.Wait()
	if checks == 0 {
		t.Error("the script made no check")
	}
	if err != nil && failures == 0 {
		t.Errorf("the script ended early: %v", err)
	}
	if err != nil || failures > 0 {
		t.Logf("what the client saw:\n%s", tail(stderr.String(), 20000))
	}
	t.Run("the server stops in order", s.stop)
	if t.Failed() {
		t.Logf("what the server printed:\n%s", tail(s.output.String(), 10000))
	}
}

// parseCheck reads one line of the script: "ok NAME" or "not ok NAME: why". Other lines have no name.
func parseCheck(line string) (name, why string, ok bool) {
	if name, ok = strings.CutPrefix(line, "ok "); ok {
		return name, "", true
	}
	rest, found := strings.CutPrefix(line, "not ok ")
	if !found {
		return "", "", false
	}
	name, why, _ = strings.Cut(rest, ": ")
	return name, why, false
}

// buildParley builds the program under test and returns its path.
func buildParley(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "parley")
	build := exec.Command("go", "build", "-o", path, "parley")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	return path
}

// serverProcess is a running server with the accounts alice, bob, carol and dave.
type serverProcess struct {
	args   []string
	cmd    *exec.Cmd
	dir    string // its data
	port   string
	exited chan error
	output *lockedBuffer
}

func startServer(t *testing.T, binary string, flags ...string) *serverProcess {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	ports := freePorts(t, 2)
	env := append(os.Environ(), "PARLEY_AUTH_ITERATIONS=4096")
	// Half of the accounts are made before the server runs, half while it does: the command is the same.
	for _, name := range []string{"alice", "bob"} {
		addUser(t, binary, dir, name, env)
	}
	args := []string{"server", ports[0], fmt.Sprint(blockDuration), "0", "--data", dir, "--tls-port", ports[1]}
	s := &serverProcess{args: append(args, flags...), dir: dir, port: ports[0], output: &lockedBuffer{}}
	s.run(t, binary, env)
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		<-s.exited
	})
	for _, name := range []string{"carol", "dave"} {
		addUser(t, binary, dir, name, env)
	}
	return s
}

// run starts the process and returns when it accepts connections.
func (s *serverProcess) run(t *testing.T, binary string, env []string) {
	t.Helper()
	s.cmd = exec.Command(binary, s.args...)
	s.cmd.Env = env
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start the server: %v", err)
	}
	cmd, exited := s.cmd, make(chan error, 1)
	s.exited = exited
	go func() { exited <- cmd.Wait() }()
	s.awaitListener(t)
}

// obey does what a script asks for: "stop", "kill" (SIGKILL), or "start" after one of them.
func (s *serverProcess) obey(t *testing.T, what string) {
	t.Helper()
	switch what {
	case "stop":
		s.stop(t)
	case "kill":
		s.cmd.Process.Kill()
		s.exited <- <-s.exited
	case "start":
		s.run(t, s.cmd.Path, s.cmd.Env)
	default:
		t.Errorf("the script asks the server to %q", what)
	}
}

// awaitListener returns when the server accepts connections.
func (s *serverProcess) awaitListener(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if c, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", s.port)); err == nil {
			c.Close()
			return
		}
		select {
		case err := <-s.exited:
			s.exited <- err
			t.Fatalf("the server ended at once: %v\n%s", err, s.output.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
	t.Fatalf("the server does not listen on port %s after 20 s:\n%s", s.port, s.output.String())
}

// stop asks the server to end, as Ctrl-C does, and checks that it does so within the promised 10 s and with exit 0.
func (s *serverProcess) stop(t *testing.T) {
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-s.exited:
		s.exited <- err
		if err != nil {
			t.Errorf("the server ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the server has not ended within 10 s")
	}
}

func addUser(t *testing.T, binary, dir, name string, env []string, flags ...string) {
	t.Helper()
	add := exec.Command(binary, append([]string{"user", "add", name, "--data", dir, "--password-stdin"}, flags...)...)
	add.Env = env
	add.Stdin = strings.NewReader(password + "\n")
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("parley user add %s: %v\n%s", name, err, out)
	}
}

// freePorts returns different ports that nothing listened on a moment ago.
func freePorts(t *testing.T, n int) []string {
	t.Helper()
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports
}

// tail returns the end of a long text, whole lines.
func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	s = s[len(s)-n:]
	if _, rest, ok := strings.Cut(s, "\n"); ok {
		s = rest
	}
	return "[…]\n" + s
}
