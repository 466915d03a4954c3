package realclients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/imtest"
)

// screen is a program that runs in a terminal of its own, by way of tmux.
type screen struct {
	t      *testing.T
	socket string // of a tmux of our own
	home   string // of the program
}

// patience is how long a screen may take to show something.
const patience = 20 * time.Second

// openScreen runs a program in a terminal of 120 by 50, with a home of its own.
func openScreen(t *testing.T, command ...string) *screen {
	t.Helper()
	imtest.Need(t, "tmux")
	dir := t.TempDir()
	s := &screen{t: t, socket: filepath.Join(dir, "tmux"), home: dir}
	environment := []string{"env", "HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "XDG_DATA_HOME=" + dir, "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TERM=xterm"}
	s.tmux(append([]string{"new-session", "-d", "-x", "120", "-y", "50", "--"}, append(environment, command...)...)...)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = exec.CommandContext(ctx, "tmux", "-S", s.socket, "kill-server").Run() // it may have ended by itself
	})
	return s
}

func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "tmux", append([]string{"-S", s.socket, "-f", "/dev/null"}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// enter types a line.
func (s *screen) enter(line string) {
	s.t.Helper()
	s.tmux("send-keys", "-l", line)
	s.tmux("send-keys", "Enter")
}

// shows waits until all the texts are on the screen at the same time.
func (s *screen) shows(texts ...string) {
	s.t.Helper()
	var picture string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		picture = s.tmux("capture-pane", "-p")
		missing := 0
		for _, text := range texts {
			if !strings.Contains(picture, text) {
				missing++
			}
		}
		if missing == 0 {
			return
		}
	}
	s.t.Fatalf("the screen does not show %q:\n%s", texts, picture)
}

// once fails unless the text is on the screen once.
func (s *screen) once(text string) {
	s.t.Helper()
	if picture := s.tmux("capture-pane", "-p"); strings.Count(picture, text) != 1 {
		s.t.Errorf("the screen does not show %q once:\n%s", text, picture)
	}
}

// signal sends the program a signal.
func (s *screen) signal(sig syscall.Signal) {
	s.t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(s.tmux("display-message", "-p", "#{pane_pid}")))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := syscall.Kill(pid, sig); err != nil {
		s.t.Fatal(err)
	}
}

// lacks fails when the text is on the screen now.
func (s *screen) lacks(text string) {
	s.t.Helper()
	if picture := s.tmux("capture-pane", "-p"); strings.Contains(picture, text) {
		s.t.Errorf("the screen shows %q:\n%s", text, picture)
	}
}
