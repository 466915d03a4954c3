//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOutboxTranscript: what was written and not accepted outlives a client that is killed, and goes out when it is
// started the next time, in order and once; how a person is told.
func TestOutboxTranscript(t *testing.T) {
	data, home := filepath.Join(t.TempDir(), "data"), t.TempDir()
	newPeople(t, data, "alice", "bob")
	port := fmt.Sprint(freePorts(t))
	stop := serve(t, port, data)
	start := func() *talker {
		alice := atDesk(t, home, "client", "alice@localhost:"+port)
		alice.asked("[y/N] ", "y")
		alice.asked("Password for alice: ", testPassword)
		alice.sees("HH:MM online as alice@localhost. Type help for commands, logout to leave.")
		time.Sleep(200 * time.Millisecond) // until it reads keys
		return alice
	}
	alice := start()
	alice.types("message bob zero\r")
	alice.sees("  to bob (waiting: bob is offline, gets it at next sign-in)")
	stop()
	alice.sees("HH:MM the server stopped. Trying again: 1 s, 2 s, 4 s ... You can go on writing.")
	alice.types("message bob one\r")
	alice.sees("  to bob (waiting)")
	alice.types("message bob two\r")
	alice.sees("  to bob (waiting)")
	alice.cmd.Process.Kill()
	alice.ends(-1)
	stop = serve(t, port, data)
	bob := inPipe(t, t.TempDir(), []string{"PARLEY_PASSWORD=" + testPassword}, "client", "bob@localhost:"+port)
	bob.sees("alice: zero")
	again := atDesk(t, home, "client")
	again.asked("Password for alice: ", testPassword)
	again.sees("  2 messages from the last time: now they go out.")
	again.sees("  to bob (sent): one")
	bob.sees("alice: one\nalice: two")
	bob.types("message alice got it\n")
	again.sees("HH:MM bob: got it")
	// Leaving without a connection is no success, and says what becomes of it.
	stop()
	again.sees("HH:MM the server stopped. Trying again: 1 s, 2 s, 4 s ... You can go on writing.")
	again.types("message bob three\r")
	again.sees("  to bob (waiting)")
	again.types("logout\r")
	again.sees("  to bob (not sent yet): three")
	again.sees("error: not sent yet: 1 message", "  why  there was no connection to the server", "  fix  at the next start of the client it goes out")
	again.ends(5)
	defer serve(t, port, data)()
	r := runCLI(t, map[string]string{"HOME": home, "PARLEY_PASSWORD": testPassword}, "", "client")
	if r.code != 0 {
		t.Errorf("the next start: %+v", r)
	}
	bob.sees("alice: three")
	// What another device of hers got meanwhile is fetched, once.
	phone := inPipe(t, t.TempDir(), []string{"PARLEY_PASSWORD=" + testPassword}, "client", "alice@localhost:"+port)
	phone.sees("online as alice@localhost")
	bob.types("message alice on the phone\n")
	phone.sees("bob: on the phone")
	for _, fetched := range []bool{true, false} {
		again = atDesk(t, home, "client")
		again.asked("Password for alice: ", testPassword)
		again.sees("HH:MM online as alice@localhost.")
		if fetched {
			again.sees("HH:MM bob: on the phone", "HH:MM 1 message from meanwhile fetched.")
		}
		time.Sleep(200 * time.Millisecond) // until it reads keys
		again.types("message alice to myself\r")
		again.sees("HH:MM alice: to myself")
		again.types("logout\r")
		again.ends(0)
		if strings.Contains(again.screen(), "got it") || strings.Contains(again.screen(), "on the phone") != fetched {
			t.Errorf("fetched %v:\n%s", fetched, again.screen())
		}
	}
}

// TestPipeOutbox: a message that a server does not accept makes no success, and goes out at the next start.
func TestPipeOutbox(t *testing.T) {
	data, home := filepath.Join(t.TempDir(), "data"), t.TempDir()
	newPeople(t, data, "alice", "bob")
	port := fmt.Sprint(freePorts(t))
	s := newTalker(t, t.TempDir(), []string{"PARLEY_AUTH_ITERATIONS=4096"}, []string{"server", port, "--data", data})
	s.cmd.Stderr = s
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	s.sees("msg=ready")
	pass := []string{"PARLEY_PASSWORD=" + testPassword}
	alice := inPipe(t, home, pass, "client", "alice@localhost:"+port, "--json", "--retry", "1s")
	alice.sees(`{"type":"online","as":"alice@localhost",`)
	alice.types("message bob zero\n")
	alice.sees(`{"type":"sent","line":1,`)
	s.cmd.Process.Signal(syscall.SIGSTOP) // it hears nothing from here on
	alice.types("message bob one\nmessage bob two\n")
	time.Sleep(100 * time.Millisecond) // both are on their way
	s.cmd.Process.Kill()
	s.ends(-1)
	alice.in.Close()
	alice.sees(`{"type":"reconnecting","try":1,`)
	alice.sees(`{"type":"error","line":2,"to":"bob","id":"`)
	alice.sees(`"code":"kept","what":"kept: the message to bob goes out at the next start of the client: one",`)
	alice.sees(`{"type":"error","line":3,"to":"bob","id":"`)
	alice.sees(`{"type":"closed","reason":"lost",`)
	alice.ends(5)
	defer serve(t, port, data)()
	bob := inPipe(t, t.TempDir(), pass, "client", "bob@localhost:"+port)
	r := runCLI(t, map[string]string{"HOME": home, "PARLEY_PASSWORD": testPassword}, "message bob three\n", "client", "alice@localhost:"+port, "--json")
	if r.code != 0 || strings.Count(r.out, `{"type":"sent","to":"bob","id":"`) != 2 || strings.Count(r.out, `{"type":"sent","line":1,"to":"bob","id":"`) != 1 {
		t.Errorf("at the next start: %+v", r)
	}
	bob.sees("alice: zero\nalice: one\nalice: two\nalice: three")
	r = runCLI(t, map[string]string{"HOME": home, "PARLEY_PASSWORD": testPassword}, "", "client", "alice@localhost:"+port, "--json")
	if r.code != 0 || strings.Contains(r.out, "sent") {
		t.Errorf("once more: %+v", r)
	}
	bob.in.Close()
	bob.ends(0)
	if n := strings.Count(bob.screen(), "alice: "); n != 4 {
		t.Errorf("bob saw\n%s", bob.screen())
	}
}
