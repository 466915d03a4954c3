package tui

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/imtest"
)

// mate is one client in pipe mode on a real server.
type mate struct {
	t    *testing.T
	in   *io.PipeWriter
	done chan error

	mu       sync.Mutex
	out, err bytes.Buffer
}

// side is one of a mate's outputs.
type side struct {
	m *mate
	b *bytes.Buffer
}

func (s side) Write(p []byte) (int, error) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	return s.b.Write(p)
}

// join starts a client; the password is the harness's.
func join(t *testing.T, s *imtest.Server, name string) *mate {
	t.Helper()
	m := &mate{t: t, done: make(chan error, 1)}
	r, w := io.Pipe()
	m.in = w
	o := Options{HostPort: s.Facts().Listen[0], In: r, Out: side{m, &m.out}, Err: side{m, &m.err}, Again: "parley client",
		Known: &Known{Path: filepath.Join(t.TempDir(), "known_servers")}}
	go func() { m.done <- Run(t.Context(), o) }()
	m.do(name)
	m.do(imtest.Password)
	m.sees("online as " + name + "@localhost")
	return m
}

func (m *mate) do(line string) {
	m.t.Helper()
	if _, err := io.WriteString(m.in, line+"\n"); err != nil {
		m.t.Fatalf("write %q: %v", line, err)
	}
}

// sees waits for a line on either output.
func (m *mate) sees(line string) {
	m.t.Helper()
	for range 1000 {
		if m.has(line) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	m.t.Fatalf("no line %q in\n%s", line, m.all())
}

// has tells whether there is such a line; * at its end stands for any rest.
func (m *mate) has(line string) bool {
	if head, ok := strings.CutSuffix(line, "*"); ok {
		return strings.Contains("\n"+m.all(), "\n"+head)
	}
	return strings.Contains("\n"+m.all(), "\n"+line+"\n")
}

func (m *mate) all() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.out.String() + m.err.String()
}

// end waits for the client's end and checks the exit code.
func (m *mate) end(want int) {
	m.t.Helper()
	select {
	case err := <-m.done:
		if code(err) != want {
			m.t.Errorf("exit %d, want %d: %v\n%s", code(err), want, err, m.all())
		}
	case <-time.After(10 * time.Second):
		m.t.Fatalf("does not end:\n%s", m.all())
	}
}

// The functions, one after the other, between real clients and a real server.
func TestTogether(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.TCP})
	s.Account("alice", "bob", "carol")
	alice := join(t, s, "alice")
	bob := join(t, s, "bob")
	alice.sees("bob logged in")
	if bob.has("alice logged in") {
		t.Error("who was there before is news")
	}
	alice.do("message bob hello \\ there")
	bob.sees(`alice: hello \\ there`)
	alice.do("message alice to myself")
	alice.sees("alice: to myself")
	alice.do("broadcast lunch")
	bob.sees("alice (to everyone): lunch")
	alice.sees("to everyone: Delivered to 1 person.")
	alice.do("whoelse")
	alice.sees("bob online now 20*")
	alice.do("message bbo hi")
	alice.sees("error: nobody here is called bbo. Did you mean bob?")
	alice.do("message carol kept")

	alice.do("block bob")
	alice.sees("bob is blocked")
	bob.sees("alice logged out")
	bob.do("message alice hi")
	bob.sees("error: not delivered to alice: Your message could not be delivered as the recipient has blocked you.")
	bob.do("broadcast hear me")
	bob.do("message bob fence")
	bob.sees("bob: fence")
	if !strings.Contains(bob.all(), "some") || bob.has("alice online now*") {
		t.Errorf("bob sees\n%s", bob.all())
	}
	alice.do("message bob hi")
	alice.sees("error: not sent: you have blocked bob. First: unblock bob")
	alice.do("unblock bob")
	alice.sees("bob is unblocked")
	bob.sees("alice logged in")
	for _, wrong := range []string{"block alice: you cannot block yourself", "block zoe: nobody here is called zoe", "unblock carol: carol is not blocked"} {
		line, says, _ := strings.Cut(wrong, ": ")
		alice.do(line)
		alice.sees("error: " + says)
	}

	carol := join(t, s, "carol")
	carol.sees("alice: kept")
	carol.in.Close()
	carol.end(0)
	alice.sees("carol logged out")
	alice.do("whoelsesince 1h")
	alice.sees("carol offline 20*")
	bob.do("logout")
	bob.end(0)
	alice.sees("bob logged out")
	s.Stop()
	alice.end(exitEnded)
}

// Many messages through the end of the input, and the code of a rule of the server.
func TestFlushAndTimeout(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.TCP, Settings: map[string]string{"timeout": "1"}})
	s.Account("alice", "bob")
	alice := join(t, s, "alice")
	for i := range 300 {
		alice.do(fmt.Sprintf("message bob number %d", i))
	}
	alice.in.Close()
	alice.end(0)
	bob := join(t, s, "bob")
	bob.sees("alice: number 299")
	if n := strings.Count(bob.all(), "alice: number"); n != 300 {
		t.Errorf("%d of 300 messages", n)
	}
	bob.end(exitEnded)
	if err := bob.all(); strings.Contains(err, "error:") {
		t.Errorf("bob sees\n%s", err)
	}
}

// Three wrong passwords, each in a sign-in of its own, and the server's word for how long it lasts.
func TestLockedOut(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.TCP, Settings: map[string]string{"block_duration": "60"}})
	s.Account("alice")
	for i, want := range []string{"wrong name or password", "wrong name or password", "sign-in for alice is locked for 60 seconds", "sign-in for alice is locked for "} {
		o := Options{HostPort: s.Facts().Listen[0], In: strings.NewReader("alice\nwrong password\n"), Out: io.Discard, Err: io.Discard,
			Known: &Known{Path: filepath.Join(t.TempDir(), "known_servers")}}
		if err := Run(t.Context(), o); code(err) != exitSignIn || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("attempt %d: exit %d %v", i+1, code(err), err)
		}
	}
}
