//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a pair of pseudo terminals: what the test holds and what the program gets.
func terminal(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { ours.Close() })
	raw, err := ours.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	control := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
	if control != nil || err != nil {
		t.Skip("no pseudo terminals here: ", control, err)
	}
	theirs, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	return ours, theirs
}

// atTerminal runs the program at a terminal. After each part of the talk that it prints, it gets the answer after it.
func atTerminal(t *testing.T, data string, talk [][2]string, args ...string) (screen string, code int) {
	t.Helper()
	ours, theirs := terminal(t)
	cmd := exec.Command(os.Args[0], append(args, "--data", data)...)
	cmd.Env = []string{"PARLEY_TEST_MAIN=1", "HOME=" + data, "PARLEY_AUTH_ITERATIONS=4096"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	stop := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer stop.Stop()
	var seen bytes.Buffer
	rest := 0 // where the next part may begin
	buf := make([]byte, 4096)
	for {
		n, err := ours.Read(buf)
		seen.Write(buf[:n])
		if len(talk) > 0 {
			if i := strings.Index(seen.String()[rest:], talk[0][0]); i >= 0 {
				rest += i + len(talk[0][0])
				// The terminal stops showing what is typed right after the question.
				time.Sleep(100 * time.Millisecond)
				ours.WriteString(talk[0][1])
				talk = talk[1:]
			}
		}
		if err != nil { // the program has closed its side
			break
		}
	}
	_ = cmd.Wait()
	if len(talk) > 0 {
		t.Errorf("never said %q:\n%s", talk[0][0], seen.String())
	}
	return strings.ReplaceAll(seen.String(), "\r\n", "\n"), cmd.ProcessState.ExitCode()
}

func TestAtTerminal(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	question := "Password (at least 10 characters; just Enter makes a good one): "
	screen, code := atTerminal(t, data, [][2]string{{question, "what nobody sees\n"}}, "user", "add", "alice", "--admin")
	if want := question + "\nAdded alice@localhost, admin.\n\n  talk here          parley client alice@localhost\n"; screen != want || code != 0 {
		t.Errorf("exit %d\n%s\nwant\n%s", code, screen, want)
	}
	screen, code = atTerminal(t, data, [][2]string{{question, "\n"}}, "user", "add", "bob")
	if !strings.HasPrefix(screen, question+"\nMade for you:  ") || !strings.Contains(screen, "\nAdded bob@localhost.\n") || code != 0 {
		t.Errorf("exit %d\n%s", code, screen)
	}
	screen, code = atTerminal(t, data, nil, "user", "add", "bob") // is not asked in vain
	if !strings.HasPrefix(screen, "error: bob@localhost exists already") || code != 1 {
		t.Errorf("exit %d\n%s", code, screen)
	}
	screen, code = atTerminal(t, data, [][2]string{{question, "\x03"}}, "user", "reset", "bob")
	if screen != question+"\n" && screen != question+"^C\n" || code != 130 {
		t.Errorf("exit %d\n%q", code, screen)
	}
	screen, code = atTerminal(t, data, [][2]string{{"[y/N] ", "\n"}}, "user", "remove", "bob")
	if !strings.Contains(screen, "error: nothing was removed") || code != 1 {
		t.Errorf("exit %d\n%s", code, screen)
	}
	screen, code = atTerminal(t, data, [][2]string{{"[y/N] ", "y\n"}}, "user", "remove", "bob")
	if !strings.Contains(screen, "Removed bob@localhost and all that was kept for it.") || code != 0 {
		t.Errorf("exit %d\n%s", code, screen)
	}
	// auth.legacy says who cannot make use of it yet.
	screen, code = atTerminal(t, data, [][2]string{{"Stop with Ctrl-C.", "\x03"}}, "server", fmt.Sprint(freePorts(t)), "--auth-legacy")
	if !strings.Contains(screen, "\n1 account cannot sign in with SCRAM-SHA-1 yet: it needs a new password (parley user reset NAME) or one sign-in with PLAIN.\nReady in ") || code != 0 {
		t.Errorf("exit %d\n%s", code, screen)
	}
	// A server: the whole story at the first start, four lines later, no log, and Ctrl-C is an orderly end.
	port := fmt.Sprint(freePorts(t))
	fresh := filepath.Join(t.TempDir(), "fresh")
	for i, lines := range []int{0, 4} {
		screen, code = atTerminal(t, fresh, [][2]string{{"Stop with Ctrl-C.", "\x03"}}, "server", port)
		said, _, _ := strings.Cut(screen, "^C")
		if code != 0 || strings.Contains(screen, "level=") || !strings.Contains(screen, "\nStopping;") || lines > 0 && strings.Count(said, "\n") != lines {
			t.Errorf("start %d: exit %d\n%s", i+1, code, screen)
		}
	}
}

// Who closes the window of a server ends it, in order; SIGHUP is a reload only where nobody has gone.
func TestTerminalGoes(t *testing.T) {
	ours, theirs := terminal(t)
	data := filepath.Join(t.TempDir(), "data")
	cmd := exec.Command(os.Args[0], "server", fmt.Sprint(freePorts(t)), "--data", data)
	cmd.Env = []string{"PARLEY_TEST_MAIN=1", "HOME=" + data, "PARLEY_AUTH_ITERATIONS=4096"}
	var log bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	stop := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	defer stop.Stop()
	var seen bytes.Buffer
	buf := make([]byte, 4096)
	for !strings.Contains(seen.String(), "Stop with Ctrl-C.") {
		n, err := ours.Read(buf)
		seen.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v\n%s", err, seen.String())
		}
	}
	ours.Close()
	if err := cmd.Wait(); err != nil || !strings.Contains(log.String(), "msg=stopped") || strings.Contains(log.String(), "reload") {
		t.Errorf("ended with %v\n%s", err, log.String())
	}
}
