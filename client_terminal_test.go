//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/sys/unix"
)

// talker is a client as a process of its own, at a terminal or in pipes.
type talker struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser

	mu   sync.Mutex
	seen bytes.Buffer // guarded by mu
	rest int          // where the next thing to see may begin
	done chan error
}

func (c *talker) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen.Write(p)
}

func newTalker(t *testing.T, home string, env []string, args []string) *talker {
	c := &talker{t: t, cmd: exec.Command(os.Args[0], args...), done: make(chan error, 1)}
	c.cmd.Env = append([]string{"PARLEY_TEST_MAIN=1", "HOME=" + home, "TERM=xterm", "TZ=UTC", "NO_COLOR=1"}, env...)
	t.Cleanup(func() {
		if c.cmd.ProcessState == nil {
			c.cmd.Process.Kill()
			<-c.done
		}
	})
	return c
}

// atDesk starts a client at a terminal.
func atDesk(t *testing.T, home string, args ...string) *talker {
	t.Helper()
	ours, theirs := terminal(t)
	if err := unix.IoctlSetWinsize(int(theirs.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 40, Col: 120}); err != nil {
		t.Fatal(err)
	}
	c := newTalker(t, home, nil, args)
	c.in = ours
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = theirs, theirs, theirs
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	go func() { // ends when the program has closed its side
		_, _ = io.Copy(c, ours)
		c.done <- c.cmd.Wait()
	}()
	return c
}

// inPipe starts a client without a terminal.
func inPipe(t *testing.T, home string, env []string, args ...string) *talker {
	t.Helper()
	c := newTalker(t, home, env, args)
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.in, c.cmd.Stdout, c.cmd.Stderr = in, c, c
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.done <- c.cmd.Wait() }()
	return c
}

func (c *talker) types(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, text); err != nil {
		c.t.Fatal(err)
	}
}

// clock finds times of day, and not the digits after "SHA256:".
var clock = regexp.MustCompile(`\b\d\d:\d\d(:\d\d)?`)

var emptyRows = regexp.MustCompile(`\n[ \n]*\n`)

// screen is everything that was printed, without what draws it, and without empty rows, of which drawing makes many;
// times of day are HH:MM.
func (c *talker) screen() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := strings.ReplaceAll(ansi.Strip(c.seen.String()), "\r", "")
	return emptyRows.ReplaceAllString(clock.ReplaceAllString(text, "HH:MM"), "\n")
}

// sees waits for these lines, one below the other, after what was seen before.
func (c *talker) sees(lines ...string) {
	c.t.Helper()
	want := emptyRows.ReplaceAllString(strings.Join(lines, "\n"), "\n")
	for range 2000 {
		text := c.screen()
		if i := strings.Index(text[min(c.rest, len(text)):], want); i >= 0 {
			c.rest += i + len(want)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	c.t.Fatalf("does not print\n%s\nafter\n%q", want, c.screen()[min(c.rest, len(c.screen())):])
}

// asked answers a question: the terminal stops showing what is typed a moment after it.
func (c *talker) asked(question, answer string) {
	c.t.Helper()
	c.sees(question)
	time.Sleep(100 * time.Millisecond)
	c.types(answer + "\n")
}

func (c *talker) ends(want int) {
	c.t.Helper()
	select {
	case <-c.done:
		c.done <- nil
	case <-time.After(20 * time.Second):
		c.t.Fatalf("does not end:\n%s", c.screen())
	}
	if got := c.cmd.ProcessState.ExitCode(); got != want {
		c.t.Errorf("exit %d, want %d:\n%s", got, want, c.screen())
	}
}

// serve runs a server on a port until the function that it returns is called.
func serve(t *testing.T, port, data string, args ...string) (stop func()) {
	t.Helper()
	s := newTalker(t, t.TempDir(), []string{"PARLEY_AUTH_ITERATIONS=4096"}, append([]string{"server", port, "--data", data}, args...))
	s.cmd.Stderr = s
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.done <- s.cmd.Wait() }()
	s.sees("msg=ready")
	return func() {
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.ends(0)
	}
}

const testPassword = "correct horse battery"

// newPeople makes accounts before the server runs.
func newPeople(t *testing.T, data string, names ...string) {
	t.Helper()
	for _, n := range names {
		if r := runCLI(t, map[string]string{"HOME": t.TempDir(), "PARLEY_AUTH_ITERATIONS": "4096"}, testPassword+"\n", "user", "add", n, "--password-stdin", "--data", data); r.code != 0 {
			t.Fatal(r)
		}
	}
}

// TestTranscript is an evening in line mode: the key, the password, every command and every answer.
func TestTranscript(t *testing.T) {
	data, home := filepath.Join(t.TempDir(), "data"), t.TempDir()
	newPeople(t, data, "alice", "bob", "carol", "dave")
	port := fmt.Sprint(freePorts(t))
	stop := serve(t, port, data)
	pass := []string{"PARLEY_PASSWORD=" + testPassword}
	bob := inPipe(t, t.TempDir(), pass, "client", "bob@localhost:"+port)
	carol := inPipe(t, t.TempDir(), pass, "client", "carol@localhost:"+port, "--json")
	dave := inPipe(t, t.TempDir(), pass, "client", "dave@localhost:"+port)
	for _, c := range []*talker{bob, dave} {
		c.sees("online as ")
	}
	carol.sees(`{"type":"online","as":"carol@localhost",`)
	alice := atDesk(t, home, "client", "--line", "alice@localhost:"+port)
	alice.sees("localhost:"+port+" is new to this computer, and no authority vouches for its key.", "", "  SHA256:")
	alice.asked(strings.Join([]string{"", "", "Compare with the line \"TLS\" that the server printed when it started",
		"(or ask its owner to run: parley config show --fingerprint). Nothing was sent yet.", "Trust this key from now on? [y/N] "}, "\n"), "y")
	alice.asked("Password for alice: ", testPassword)
	alice.sees("HH:MM online as alice@localhost. Type help for commands, logout to leave.")
	// Waits until it reads keys: what is typed before may be shown by the terminal, too.
	time.Sleep(200 * time.Millisecond)
	say := func(line string, answer ...string) {
		t.Helper()
		alice.types(line + "\r")
		if len(answer) > 0 {
			alice.sees("> " + line)
			alice.sees(answer...)
		}
	}
	say("help",
		"  message <user> <text>     write to one person (kept if offline)",
		"  broadcast <text>          write to everyone online",
		"  whoelse                   who else is online",
		"  whoelsesince <seconds>    who was here in the last seconds (or 15m, 2h, 3d)",
		"  block <user>              stop messages from a person",
		"  unblock <user>            allow them again",
		"  logout                    leave")
	say("whoelse", "  3 others online", "  bob      since HH:MM", "  carol    since HH:MM", "  dave     since HH:MM")
	dave.types("logout\n")
	dave.ends(0)
	alice.sees("HH:MM dave left")
	say("message bob are you there?", "  to bob (delivered HH:MM)")
	bob.sees("alice: are you there?")
	bob.types("message alice yes!\n")
	alice.sees("HH:MM bob: yes!")
	say("whoelsesince 3600", "  3 others here since HH:MM", "  bob      online", "  carol    online", "  dave     left HH:MM")
	say("broadcast lunch in 5 minutes", "  to everyone: 2 people (delivered HH:MM)")
	carol.sees(`{"type":"broadcast","from":"alice","jid":"alice@localhost","id":"`)
	carol.sees(`"text":"lunch in 5 minutes",`)
	carol.types("broadcast coming\n")
	alice.sees("HH:MM carol (to everyone): coming")
	say("block bob", "  bob is blocked: no messages either way, and bob cannot see you online.", "  bob is not told. Undo: unblock bob")
	bob.sees("alice logged out")
	say("message bob hello", "  not sent: you have blocked bob. First: unblock bob")
	say("unblock bbo", "  bbo is not blocked. Did you mean bob?")
	say("unblock bob", "  bob is unblocked. What bob wrote meanwhile was not kept.")
	carol.types("block alice\n")
	alice.sees("HH:MM carol left")
	say("message carol hi", "  not delivered to carol: Your message could not be delivered as the recipient has blocked you.")
	say("message bbo hi", "  nobody here is called bbo. Did you mean bob?")
	say("block boob", "  nobody here is called boob. Did you mean bob?")
	say("whoelsesince soon", "  whoelsesince needs a number of seconds, for example: whoelsesince 3600")
	say("mesage bob hi", "  no command \"mesage\". Did you mean: message bob hi   (arrow-up to fix it)")
	// The server is started anew: what is written meanwhile goes out afterwards.
	stop()
	alice.sees("HH:MM the server stopped. Trying again: 1 s, 2 s, 4 s ... You can go on writing.")
	say("message bob still there?", "  to bob (waiting)")
	bob.sees("the server stopped. Trying again for 60 s: 1 s, 2 s, 4 s ...")
	carol.sees(`{"type":"reconnecting","try":1,`)
	stop = serve(t, port, data)
	alice.types("\r")
	alice.sees("HH:MM connected again after ")
	alice.sees(" s, nothing missed. Sent: 1 waiting message.")
	bob.sees("connected again after ")
	bob.sees("alice: still there?")
	carol.sees(`{"type":"online","as":"carol@localhost","after_s":`)
	alice.types("message bob thanks\rlogout\r")
	alice.sees("HH:MM signed out. ")
	alice.sees(" messages sent.")
	alice.ends(0)
	bob.sees("alice: thanks")
	bob.in.Close()
	bob.ends(0)
	carol.in.Close()
	carol.sees(`{"type":"closed","reason":"logout",`)
	carol.ends(0)
	// Who was here last is known, and can send without a word of it.
	again := atDesk(t, home, "client")
	again.sees("As last time: alice@localhost at localhost:" + port)
	again.asked("Password for alice: ", testPassword)
	again.sees("HH:MM online as alice@localhost. Type help for commands, logout to leave.")
	again.types("\x03")
	again.ends(0)
	r := runCLI(t, map[string]string{"HOME": home, "PARLEY_PASSWORD": testPassword}, "", "send", "bob", "backup done")
	if r.code != 0 {
		t.Errorf("send: %+v", r)
	}
	r = runCLI(t, map[string]string{"HOME": home, "PARLEY_PASSWORD": testPassword}, "message bbo hi\n", "client")
	if r.code != 0 || r.err != "As last time: alice@localhost at localhost:"+port+"\nonline as alice@localhost\nerror: nobody here is called bbo. Did you mean bob?\n" {
		t.Errorf("in a pipe: %+v", r)
	}
	info, err := os.Stat(filepath.Join(home, ".local", "state", "parley", "last_account"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	stop()
}

// TestWrongPasswords: three attempts at a terminal, and what one can do after them.
func TestWrongPasswords(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	newPeople(t, data, "alice")
	port := fmt.Sprint(freePorts(t))
	defer serve(t, port, data, "60")()
	alice := atDesk(t, t.TempDir(), "client", "alice@localhost:"+port)
	alice.asked("[y/N] ", "y")
	alice.asked("Password for alice: ", "wrong")
	alice.sees("Wrong name or password. 2 more tries.")
	alice.asked("Password for alice: ", "wrong again")
	alice.sees("Wrong name or password. 1 more try.")
	alice.asked("Password for alice: ", "and again")
	alice.sees("error: sign-in for alice is locked for 60 seconds, until HH:MM",
		"  why  3 wrong passwords in a row from your network (a rule of this server)",
		"  fix  wait, then:  parley client alice@localhost:"+port,
		"       forgotten?   an admin can run:  parley user reset alice")
	alice.ends(4)
}

// TestKeyChanged: another key at the same place is an alarm, not a question.
func TestKeyChanged(t *testing.T) {
	port := fmt.Sprint(freePorts(t))
	home := t.TempDir()
	stop := serve(t, port, filepath.Join(t.TempDir(), "one"))
	if r := runCLI(t, map[string]string{"HOME": home}, "alice\n"+testPassword+"\n", "client", "127.0.0.1", port, "--register"); r.code != 0 {
		t.Fatal(r)
	}
	r := runCLI(t, map[string]string{"HOME": home}, "", "trust", "list", "--json")
	if !regexp.MustCompile(`^\[\{"server":"127\.0\.0\.1:` + port + `","key":"SHA256:[^"]*","since":"20[^"]*Z"\}\]\n$`).MatchString(r.out) {
		t.Errorf("trust list --json: %+v", r)
	}
	stop()
	defer serve(t, port, filepath.Join(t.TempDir(), "two"))()
	alice := atDesk(t, home, "client", "127.0.0.1", port)
	alice.sees("STOP. 127.0.0.1:"+port+" shows another key than before. You are not connected.", "  until now  SHA256:")
	alice.sees("  (since ")
	alice.sees("  now        SHA256:")
	alice.sees("  why  the server was set up anew, or somebody is between you and it",
		"  fix  ask its owner; if the key is theirs:  parley trust forget 127.0.0.1:"+port)
	alice.ends(6)
	if strings.Contains(alice.screen(), "error: ") {
		t.Errorf("an alarm is no error:\n%s", alice.screen())
	}
	r = runCLI(t, map[string]string{"HOME": home}, "alice\n"+testPassword+"\n", "client", "127.0.0.1", port, "--json")
	if r.code != 6 || !strings.Contains(r.out, `{"type":"error","code":"key-changed","what":"STOP.`) || !strings.HasPrefix(r.err, "STOP. ") {
		t.Errorf("in a pipe: %+v", r)
	}
	if r = runCLI(t, map[string]string{"HOME": home}, "", "trust", "forget", "127.0.0.1"); r.code != 0 {
		t.Errorf("forget: %+v", r)
	}
	if r = runCLI(t, map[string]string{"HOME": home}, "", "trust", "list", "--json"); r.out != "[]\n" {
		t.Errorf("trust list --json: %+v", r)
	}
}

// TestTimeoutTranscript: the warning, a key that keeps one in, the end, and signing in again with what was being typed.
func TestTimeoutTranscript(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	newPeople(t, data, "alice", "bob")
	port := fmt.Sprint(freePorts(t))
	defer serve(t, port, data, "60", "3")()
	bob := inPipe(t, t.TempDir(), []string{"PARLEY_PASSWORD=" + testPassword}, "client", "bob@localhost:"+port, "--json")
	alice := atDesk(t, t.TempDir(), "client", "alice@localhost:"+port)
	alice.asked("[y/N] ", "y")
	alice.asked("Password for alice: ", testPassword)
	begun := time.Now()
	alice.sees("HH:MM no activity: you will be signed out at HH:MM. Any key keeps you in.")
	alice.types("message bob half a th")
	alice.sees("HH:MM no activity: you will be signed out at HH:MM. Any key keeps you in.")
	alice.sees("HH:MM You were signed out: nothing from you for 3 seconds (rule of this server).",
		"      Draft to bob kept. Messages for you are kept on the server.",
		"      Enter = sign in again, q = quit")
	if d := time.Since(begun); d < 4*time.Second {
		t.Errorf("a key kept nobody in: %v", d)
	}
	bob.sees(`{"type":"closed","reason":"idle-timeout","after_s":3,`)
	bob.ends(8)
	alice.types("\r")
	alice.sees("HH:MM signing in again ...")
	alice.sees("HH:MM online again as alice@localhost.")
	alice.types("ought\r")
	alice.sees("> message bob half a thought")
	alice.types("logout\r")
	alice.sees("HH:MM signed out. ")
	alice.ends(0)
}

// TestRegisterTranscript: an account of one's own, by question and in a pipe, and how a server says no.
func TestRegisterTranscript(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	newPeople(t, data, "alice")
	port := fmt.Sprint(freePorts(t))
	stop := serve(t, port, data)
	dora := atDesk(t, t.TempDir(), "client", "127.0.0.1", port)
	dora.asked("[y/N] ", "y")
	dora.sees("No account yet? Answer: new")
	dora.asked("Username: ", "new")
	dora.asked("Choose a user name: ", "alice")
	dora.asked("Choose a password (at least 10 characters): ", testPassword)
	dora.asked("The same again: ", testPassword)
	dora.sees("The name alice is taken.")
	dora.asked("Choose a user name: ", "dora")
	dora.asked("Choose a password (at least 10 characters): ", "short")
	dora.asked("The same again: ", "short")
	dora.sees("The password is too short: it has 5 characters, at least 10 are needed.")
	dora.asked("Choose a password (at least 10 characters): ", testPassword)
	dora.asked("The same again: ", testPassword)
	dora.sees("HH:MM online as dora@localhost.")
	dora.types("\x03")
	dora.ends(0)
	for _, c := range []struct {
		name, password string
		code           int
		err            string
	}{
		{"alice", testPassword, 7, "error: the name alice is taken\n  fix  choose another one\n"},
		{"erin", "short", 7, "error: the account erin was not made\n  why  The password is too short: it has 5 characters, at least 10 are needed.\n"},
		{"a/b", testPassword, 7, "error: the account a/b was not made\n  why  \"a/b\" cannot be a user name: it has the character /.\n"},
		{"erin", testPassword, 0, "online as erin@localhost\n"},
	} {
		r := runCLI(t, map[string]string{"HOME": t.TempDir()}, c.name+"\n"+c.password+"\n", "client", "127.0.0.1", port, "--register")
		if _, said, _ := strings.Cut(r.err, "\n"); r.code != c.code || said != c.err { // the first line is about the key
			t.Errorf("%s: exit %d, %q", c.name, r.code, r.err)
		}
	}
	stop()
	defer serve(t, port, data, "--registration", "closed")()
	eve := atDesk(t, t.TempDir(), "client", "127.0.0.1", port, "--register")
	eve.asked("[y/N] ", "y")
	eve.sees("error: this server makes no accounts for people who ask", "  fix  ask its owner to run:  parley user add NAME")
	eve.ends(7)
}
