// Package flood measures what a server costs, and whether it keeps its promises, when it is flooded for people who read
// slowly or are away. The server is another process.
package flood

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/auth"
	"parley/config"
	"parley/imtest"
	"parley/server"
	"parley/store"
	"parley/store/sqlite"
)

// The test binary is the server, when this is set in its environment to the data directory.
const envData = "PARLEY_FLOOD_DATA"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envData); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func long() bool { return os.Getenv("PARLEY_LONG") != "" }

// serve is the child: a server on any free port of loopback, without TLS, that says where it listens.
func serve(dir string) error {
	args := map[string]config.Arg{}
	for key, value := range map[string]string{
		"data": dir, "insecure_listen": "127.0.0.1:0", "auth.iterations": "4096", "limits.rates": "false", "listen": "127.0.0.1", "contacts": "roster",
	} {
		args[key] = config.Arg{Text: value, Name: key}
	}
	c, err := config.Load(config.Sources{Args: args})
	if err != nil {
		return err
	}
	c.Port = 0
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	srv, err := server.NewWith(ctx, c, log, server.Parts{})
	if err != nil {
		return err
	}
	fmt.Println(srv.Facts().Insecure[0])
	return srv.Serve(ctx)
}

// child is a running server process.
type child struct {
	addr string
	pid  int

	mu    sync.Mutex
	given []time.Time // when it gave up a connection that took nothing; guarded by mu
}

// start makes the accounts and starts a server for them, which ends with the test.
func start(t *testing.T, accounts ...string) *child {
	t.Helper()
	dir := t.TempDir()
	prepare(t, dir, accounts)
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), envData+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &child{pid: cmd.Process.Pid}
	var reading sync.WaitGroup
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		reading.Wait()
		_ = cmd.Wait()
	})
	line := bufio.NewScanner(out)
	if !line.Scan() {
		t.Fatal("the server does not start")
	}
	c.addr = line.Text()
	reading.Go(func() {
		for lines := bufio.NewScanner(log); lines.Scan(); {
			switch text := lines.Text(); {
			case strings.Contains(text, `msg="not written"`):
				c.mu.Lock()
				c.given = append(c.given, time.Now())
				c.mu.Unlock()
			case !strings.Contains(text, "level=DEBUG") && !strings.Contains(text, "level=INFO"):
				t.Errorf("the server says: %s", text)
			}
		}
	})
	return c
}

func prepare(t *testing.T, dir string, accounts []string) {
	t.Helper()
	engine, err := sqlite.Open(dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st := store.New(engine, store.Options{})
	var run sync.WaitGroup
	run.Go(func() { _ = st.Run(context.Background()) })
	defer run.Wait()
	defer st.Close(context.Background())
	if _, err := server.RecordDomain(t.Context(), st, config.Default()); err != nil {
		t.Fatal(err)
	}
	a, err := auth.Open(t.Context(), st, auth.Options{Domain: "localhost", Iterations: 4096})
	if err != nil {
		t.Fatal(err)
	}
	each(len(accounts), func(i int) {
		if _, err := a.Add(t.Context(), accounts[i], imtest.Password); err != nil {
			t.Error(err)
		}
	})
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
	nc, err := d.Dial("tcp", c.addr)
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
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.pid))
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
