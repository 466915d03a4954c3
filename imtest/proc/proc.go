// Package proc runs servers in processes of their own, under load, for tests that kill them or take their disk away.
// Only tests import it.
package proc

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"parley/config"
	"parley/server"
	"parley/store"
	"parley/store/sqlite"
)

// The test binary is the server, when the first of these is set in its environment to the data directory.
const (
	envData   = "PARLEY_PROC_DATA"
	envGiven  = "PARLEY_PROC_SETTINGS" // see Options
	envUnheld = "PARLEY_PROC_UNHELD"   // see store.Options
	envUnsafe = "PARLEY_PROC_UNSAFE"   // see sqlite.Options
)

// Main is what TestMain of a package that uses Start consists of.
func Main(m *testing.M) {
	if dir := os.Getenv(envData); dir != "" {
		if err := serve(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve is the child: a server on any free port of loopback, without TLS, that says where it listens.
func serve(dir string) error {
	args := map[string]config.Arg{}
	for key, value := range map[string]string{
		"data": dir, "insecure_listen": "127.0.0.1:0", "auth.iterations": "4096", "limits.rates": "false", "listen": "127.0.0.1",
	} {
		args[key] = config.Arg{Text: value, Name: key}
	}
	for line := range strings.Lines(os.Getenv(envGiven)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		args[key] = config.Arg{Text: value, Name: key}
	}
	c, err := config.Load(config.Sources{Args: args})
	if err != nil {
		return err
	}
	c.Port = 0
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	parts := server.Parts{Store: store.Options{Unheld: os.Getenv(envUnheld) != ""}}
	if os.Getenv(envUnsafe) != "" {
		if parts.Engine, err = sqlite.Open(dir, sqlite.Options{Unsafe: true}); err != nil {
			return err
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	srv, err := server.NewWith(ctx, c, log, parts)
	if err != nil {
		return err
	}
	fmt.Println(srv.Facts().Insecure[0])
	return srv.Serve(ctx)
}

// Options say how a server is started.
type Options struct {
	Unheld bool // it does not wait for the disk before it shows something
	Unsafe bool // its database does not wait for the disk at a commit

	Settings []string // key=value
}

// Child is a running server process.
type Child struct {
	Addr string
	Pid  int

	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended

	mu  sync.Mutex
	log bytes.Buffer // what it wrote to stderr; guarded by mu
}

// Write takes what the process writes to stderr.
func (c *Child) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.Write(p)
}

// Log is what the process has written to stderr.
func (c *Child) Log() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

// Start starts a server on the data directory dir, and kills it when the test ends.
func Start(t testing.TB, dir string, o Options) *Child {
	t.Helper()
	c, ok := Try(t, dir, o)
	if !ok {
		t.Fatalf("the server does not start: %s", c.Log())
	}
	return c
}

// Try is Start for a server that need not start: then it has ended, and its Log says why.
func Try(t testing.TB, dir string, o Options) (c *Child, ok bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), envData+"="+dir)
	if o.Unheld {
		cmd.Env = append(cmd.Env, envUnheld+"=1")
	}
	if o.Unsafe {
		cmd.Env = append(cmd.Env, envUnsafe+"=1")
	}
	if len(o.Settings) > 0 {
		cmd.Env = append(cmd.Env, envGiven+"="+strings.Join(o.Settings, "\n"))
	}
	c = &Child{cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = c
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout = w
	err = cmd.Start()
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	c.Pid = cmd.Process.Pid
	go func() {
		_ = cmd.Wait()
		close(c.ended)
	}()
	t.Cleanup(func() {
		c.End(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("server %d:\n%s", c.Pid, c.Log())
		}
	})
	line := make([]byte, 64)
	n, err := r.Read(line)
	if err != nil {
		<-c.ended
		return c, false
	}
	c.Addr = strings.TrimSpace(string(line[:n]))
	return c, true
}

// End ends the process with a signal and waits for it.
func (c *Child) End(sig syscall.Signal) {
	select {
	case <-c.ended: // its number may be another one's by now
		return
	default:
	}
	_ = c.cmd.Process.Signal(sig)
	<-c.ended
}

// Ended waits until the process has ended by itself, and returns its exit status.
func (c *Child) Ended(t testing.TB, patience time.Duration) int {
	t.Helper()
	select {
	case <-c.ended:
	case <-time.After(patience):
		t.Fatalf("the server goes on: %s", c.Log())
	}
	return c.cmd.ProcessState.ExitCode()
}
