// Package flood measures what a server costs, and whether it keeps its promises, when it is flooded for people who read
// slowly or are away. The server is another process.
package flood

import (
	"fmt"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/imtest"
	"parley/imtest/proc"
)

func TestMain(m *testing.M) { proc.Main(m) }

func long() bool { return os.Getenv("PARLEY_LONG") != "" }

// raced tells whether the race detector is on, with which everything takes more memory.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// child is the server.
type child struct{ *proc.Child }

// start starts a server with the accounts of package proc and these. People see the presence of nobody but their contacts:
// those who do not read are not sent that of all others.
func start(t *testing.T, accounts ...string) *child {
	t.Helper()
	dir := t.TempDir()
	proc.Prepare(t, dir, accounts...)
	return &child{proc.Start(t, dir, proc.Options{Settings: []string{"contacts=roster", "log.level=debug"}})}
}

// each calls f for all numbers below n, a few at a time.
func each(n int, f func(i int)) {
	var work sync.WaitGroup
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	for range 16 {
		work.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	work.Wait()
}

// signIn is a connection on which somebody has signed in; buffer is its receive buffer in bytes, 0: as usual.
func (c *child) signIn(t *testing.T, name string, buffer int) (*imtest.Client, net.Conn) {
	t.Helper()
	d := net.Dialer{Timeout: 10 * time.Second, Control: func(_, _ string, raw syscall.RawConn) error {
		if buffer == 0 {
			return nil
		}
		var err error
		if e := raw.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, buffer)
		}); e != nil {
			return e
		}
		return err
	}}
	nc, err := d.Dial("tcp", c.Addr)
	if err != nil {
		t.Fatal(err)
	}
	cl := imtest.Over(t, nc)
	if err := cl.SignIn(name, imtest.Password); err != nil {
		t.Fatalf("sign in as %s: %v", name, err)
	}
	return cl, nc
}

// bound is signIn and a resource.
func (c *child) bound(t *testing.T, name string) *imtest.Client {
	t.Helper()
	cl, _ := c.signIn(t, name, 0)
	cl.Bind("r")
	return cl
}

// resident is the memory of the server, in KiB.
func (c *child) resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Pid))
	if err != nil {
		t.Skip("there is no /proc to read the server's memory from")
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var n int
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// watch samples the server's memory; most ends that and returns the highest figure in KiB.
func (c *child) watch(t *testing.T) (most func() int) {
	high, done := c.resident(t), make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				high = max(high, c.resident(t))
			}
		}
	})
	return func() int {
		close(done)
		work.Wait()
		return high
	}
}
