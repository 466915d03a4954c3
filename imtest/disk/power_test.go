package disk

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/imtest/proc"
	"parley/store"
)

// halt stops a process, and returns once none of its threads is in the kernel any more.
func halt(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			t.Fatal(err)
		}
		still := 0
		for _, task := range tasks {
			stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/stat", pid, task.Name()))
			if _, state, ok := strings.Cut(string(stat), ") "); ok && state[0] == 'T' {
				still++
			}
		}
		if still == len(tasks) {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the server does not stop")
		}
	}
}

// cuts cuts the power of servers under load, and returns what is wrong afterwards.
func cuts(t *testing.T, n int, o proc.Options) []string {
	d, h := newDrive(t), proc.NewHistory()
	sure := map[string]string{}
	for range n {
		c := proc.Start(t, d.data(), o)
		ctx, stop := context.WithCancel(t.Context())
		wait := h.Load(ctx, c.Addr)
		time.Sleep(time.Duration(300+rand.IntN(700)) * time.Millisecond)
		sure = h.Certain() // what clients had before the stop, and nothing of what comes during it
		halt(t, c.Pid)
		d.cut(func() {
			c.End(syscall.SIGKILL)
			stop()
			wait()
		})
		proc.Within(t, d.data(), func(context.Context, *store.Store) {}) // checks the database, too
		if wrong := audit(t, d.data(), o, sure, nil); len(wrong) > 0 {
			return wrong
		}
	}
	if len(sure) < 20*n {
		t.Errorf("only %d messages in %d rounds: that is no load", len(sure), n)
	}
	t.Logf("%d power cuts, %d messages known for certain", n, len(sure))
	return nil
}

// TestPowerCut: what anybody was shown, or what an iq result answered for, survives a power cut, once, in both archives.
func TestPowerCut(t *testing.T) {
	rounds, each := 1, 2
	if long() {
		rounds, each = 20, 5
	}
	for range rounds { // on a new disk each time
		t.Run("", func(t *testing.T) { complain(t, cuts(t, each, proc.Options{})) })
	}
}

// TestPowerCutSeesLoss proves that TestPowerCut can fail: a database that commits without waiting for the disk loses
// what was accepted.
func TestPowerCutSeesLoss(t *testing.T) {
	wrong := cuts(t, 5, proc.Options{Unsafe: true})
	if len(wrong) == 0 {
		t.Fatal("five power cuts with synchronous=NORMAL, and nothing was lost")
	}
	t.Logf("%d violations, for example: %s", len(wrong), wrong[0])
}
