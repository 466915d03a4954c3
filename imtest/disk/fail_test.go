package disk

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"parley/imtest"
	"parley/imtest/proc"
)

// inject lets the first calls of a running process fail (one in each thread) as strace's -e inject= says, on the file
// at path only unless that is "". It returns when strace has got hold of the process; injected then waits for the end
// of strace, which is that of the process, and tells when the first call failed and which it was.
func inject(t *testing.T, pid int, what, path string) (injected func() (time.Time, string)) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "strace")
	calls, _, _ := strings.Cut(what, ":")
	args := []string{"-f", "-qq", "-ttt", "-o", out, "-e", "trace=" + calls, "-e", "inject=" + what, "-p", strconv.Itoa(pid)}
	if path != "" {
		args = append(args, "-P", path)
	}
	cmd := exec.Command("strace", args...)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for {
		select {
		case <-ended:
			if strings.Contains(said.String(), "not permitted") {
				t.Skipf("this test needs the right to trace: %s", said.String())
			}
			t.Fatalf("strace: %s", said.String())
		case <-time.After(time.Millisecond):
		}
		status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
		if err != nil || !strings.Contains(string(status), "TracerPid:\t0\n") {
			break
		}
	}
	return func() (time.Time, string) {
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			t.Fatal("strace does not end with the process")
		}
		text, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !strings.Contains(line, "(INJECTED)") {
				continue
			}
			words := strings.Fields(line) // thread, time, call
			at, err := strconv.ParseFloat(words[1], 64)
			if err != nil {
				t.Fatal(err)
			}
			return time.Unix(0, int64(at*1e9)), strings.TrimSpace(words[2])
		}
		t.Fatalf("nothing was injected: %s", text)
		return time.Time{}, ""
	}
}

// TestDiskFails lets one write or fsync go wrong under load: the process stops, with one sentence. It has acknowledged
// nothing that was not on the disk by then: what counts is what a power cut at its end leaves. What failed only once must
// not be taken as done the second time.
func TestDiskFails(t *testing.T) {
	for _, test := range []struct{ name, what, file string }{
		{"fsync", "fsync,fdatasync:error=EIO:when=1", ""},
		{"fsync of the database", "fsync,fdatasync:error=EIO:when=1", "parley.db"}, // when the log is written back
		{"write", "pwrite64:error=EIO:when=1", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			imtest.Need(t, "strace")
			d, h := newDrive(t), proc.NewHistory()
			c := proc.Start(t, d.data(), proc.Options{})
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			wait := h.Load(ctx, c.Addr)
			time.Sleep(300 * time.Millisecond)
			path := ""
			if test.file != "" {
				path = filepath.Join(d.data(), test.file)
			}
			injected := inject(t, c.Pid, test.what, path)
			code := c.Ended(t, 20*time.Second)
			ended := time.Now()
			at, call := injected()
			if code == 0 || strings.Count(c.Log(), "has failed: disk I/O error") == 0 {
				t.Errorf("exit status %d", code)
			}
			took := ended.Sub(at)
			t.Logf("%s failed; the process had ended %v later, after %d messages known for certain", call, took.Round(time.Millisecond), len(h.Certain()))
			if long() && took > time.Second {
				t.Errorf("it took %v", took)
			}
			wait()
			d.cut(func() {})
			complain(t, audit(t, d.data(), proc.Options{}, h.Certain(), nil))
		})
	}
}

// TestReadOnly makes the file system read-only under load, as Linux does when the disk under it is not well (it refuses
// that to people while a file is open for writing): the process stops. On the read-only disk it does not start, in one
// sentence; once it is writable, it does, and nothing is lost.
func TestReadOnly(t *testing.T) {
	rounds := 1
	if long() {
		rounds = 20
	}
	for range rounds {
		t.Run("", readsOnly)
	}
}

func readsOnly(t *testing.T) {
	d, h := newDrive(t), proc.NewHistory()
	c := proc.Start(t, d.data(), proc.Options{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	wait := h.Load(ctx, c.Addr)
	time.Sleep(time.Duration(300+rand.IntN(2000)) * time.Millisecond)
	run(t, "mount", "-o", "remount,abort", d.dir)
	began := time.Now()
	// An fsync may fail before the file system says what it is.
	if code := c.Ended(t, 20*time.Second); code == 0 || !strings.Contains(c.Log(), "; what was accepted is kept") {
		t.Errorf("exit status %d", code)
	}
	t.Logf("the process ended after %v", time.Since(began).Round(time.Millisecond))
	if long() && time.Since(began) > 2*time.Second {
		t.Error("that is late")
	}
	wait()
	again, ok := proc.Try(t, d.data(), proc.Options{})
	if ok || !strings.Contains(again.Log(), "read-only file system") {
		t.Errorf("started on a read-only disk: %v, %s", ok, again.Log())
	}
	unmount(t, d.dir)
	d.mount()
	complain(t, audit(t, d.data(), proc.Options{}, h.Certain(), nil))
}
