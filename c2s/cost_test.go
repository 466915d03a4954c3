package c2s_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"parley/c2s"
	"parley/imtest"
)

// held is how many connections the cost is taken from.
const held = 1000

// TestCostOfConnections measures what an idle connection of somebody who has signed in costs the server, in clear, with
// STARTTLS and with direct TLS (docs/performance.md). The clients are another process.
func TestCostOfConnections(t *testing.T) {
	if os.Getenv("PARLEY_LONG") == "" {
		t.Skip("with PARLEY_LONG=1")
	}
	for _, c := range []struct {
		name  string
		limit uint64 // bytes of heap and stacks for each connection
	}{{"insecure", 8 << 10}, {"tcp", 20 << 10}, {"tls", 20 << 10}} {
		t.Run(c.name, func(t *testing.T) {
			s := imtest.Start(t, imtest.Options{Transport: imtest.TCP, Settings: map[string]string{"limits.sessions": "1000"}})
			s.Account("alice")
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() { _ = s.Clients().Serve(t.Context(), ln, c2s.Insecure) }()
			addr := map[string]string{"insecure": ln.Addr().String(), "tcp": s.Facts().Listen[0], "tls": s.Facts().TLSListen[0]}[c.name]
			before := inUse()
			rss := residentKiB(t)
			child := exec.Command(os.Args[0], "-test.run=^TestHoldConnections$")
			child.Env = append(os.Environ(), "PARLEY_HOLD="+c.name+" "+addr)
			child.Stderr = os.Stderr
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			in, err := child.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = in.Close()
				_ = child.Wait()
			}()
			lines := bufio.NewScanner(out)
			for lines.Scan() && lines.Text() != "ready" {
				continue
			}
			time.Sleep(2 * c2s.IdleTime)
			each := (inUse() - before) / held
			t.Logf("%d connections: %d bytes of heap and stacks each; resident %+d KiB each; %d goroutines",
				held, each, (residentKiB(t)-rss)/held, runtime.NumGoroutine())
			if each > c.limit {
				t.Errorf("a connection costs %d bytes, %d are allowed", each, c.limit)
			}
		})
	}
}

// inUse is heap and stacks, after a collection.
func inUse() uint64 {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

func residentKiB(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var n int
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestHoldConnections is the other process of TestCostOfConnections.
func TestHoldConnections(t *testing.T) {
	var mode, addr string
	if n, _ := fmt.Sscan(os.Getenv("PARLEY_HOLD"), &mode, &addr); n < 2 {
		return // nobody asked
	}
	peers := make([]*peer, held)
	var work sync.WaitGroup
	next := make(chan int)
	for range 8 {
		work.Go(func() {
			for i := range next {
				nc, err := net.Dial("tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				p := newPeer(t, nc)
				if mode == "tls" {
					p.secure()
				}
				p.toSASL()
				p.signIn("alice")
				p.bind(fmt.Sprint("r", i))
				p.fence()
				peers[i] = p
			}
		})
	}
	for i := range held {
		next <- i
	}
	close(next)
	work.Wait()
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
}
