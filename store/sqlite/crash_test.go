package sqlite

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"parley/store"
	"parley/store/storetest"
)

// The environment of the child of the crash test: the data directory, and whether it holds nothing back.
const (
	crashDir    = "PARLEY_TEST_CRASH_DIR"
	crashUnheld = "PARLEY_TEST_CRASH_UNHELD"
)

func TestMain(m *testing.M) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	e, err := Open(dir, crashOptions())
	if err == nil {
		err = storetest.CrashChild(e, os.Getenv(crashUnheld) != "")
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// crashOptions folds so often that many kills hit one.
func crashOptions() Options { return Options{foldAt: 300, foldSlice: 3} }

func crash(t *testing.T, kills int, env ...string) []string {
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := func() *exec.Cmd {
		cmd := exec.Command(self)
		cmd.Env = append(append(os.Environ(), crashDir+"="+dir), env...)
		return cmd
	}
	return storetest.Crash(t, kills, child, func() store.Engine {
		e, err := Open(dir, crashOptions())
		if err != nil {
			t.Fatal(err)
		}
		return e
	})
}

// TestCrash kills a process that writes, again and again: what it was told is durable is there.
func TestCrash(t *testing.T) {
	kills := 5
	if os.Getenv("PARLEY_LONG") != "" {
		kills = 40
	}
	for i, w := range crash(t, kills) {
		if i == 20 {
			t.Fatal("…")
		}
		t.Error(w)
	}
}

// TestCrashCanFail proves that TestCrash would notice: a store that holds nothing back loses something.
func TestCrashCanFail(t *testing.T) {
	wrong := crash(t, 10, crashUnheld+"=1")
	if len(wrong) == 0 {
		t.Fatal("nothing was lost although nothing waited for the disk")
	}
	t.Log(wrong[0])
}

// TestSyncFails lets the disk fail under a process that writes: it stops by itself, and what it said before is there.
// It needs strace and runs with PARLEY_LONG only.
func TestSyncFails(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil || os.Getenv("PARLEY_LONG") == "" {
		t.Skip("no strace, or PARLEY_LONG is not set")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, inject := range []string{"fsync,fdatasync:error=EIO:when=50+", "pwrite64:error=EIO:when=300+"} {
		t.Run(inject, func(t *testing.T) {
			dir := t.TempDir()
			said := new(bytes.Buffer)
			storetest.CrashOnce(t, func() *exec.Cmd {
				cmd := exec.Command(strace, "-f", "-qq", "-o", os.DevNull, "-e", "inject="+inject, self)
				cmd.Env = append(os.Environ(), crashDir+"="+dir)
				cmd.Stderr = said
				return cmd
			}, func() store.Engine { return open(t, dir, crashOptions()) })
			if s := said.String(); !strings.Contains(s, "I/O error") {
				t.Errorf("the process said: %s", s)
			}
		})
	}
}
