// Package crash kills whole servers under load and looks at what is left.
package crash

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"parley/config"
	"parley/server"
	"parley/store"
)

// The test binary is the server that is killed, when this is set in its environment to the data directory.
const (
	envData   = "PARLEY_CRASH_DATA"
	envUnheld = "PARLEY_CRASH_UNHELD" // the server does not wait for the disk
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envData); dir != "" {
		if err := serve(dir, os.Getenv(envUnheld) != ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve is the child: a server on any free port of loopback, without TLS, that says where it listens.
func serve(dir string, unheld bool) error {
	args := map[string]config.Arg{}
	for key, value := range map[string]string{
		"data": dir, "insecure_listen": "127.0.0.1:0", "auth.iterations": "4096", "limits.rates": "false", "listen": "127.0.0.1",
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
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	srv, err := server.NewWith(ctx, c, log, server.Parts{Store: store.Options{Unheld: unheld}})
	if err != nil {
		return err
	}
	fmt.Println(srv.Facts().Insecure[0])
	return srv.Serve(ctx)
}

// child is a running server process.
type child struct {
	cmd  *exec.Cmd
	addr string
}

func start(t *testing.T, dir string, unheld bool) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), envData+"="+dir)
	if unheld {
		cmd.Env = append(cmd.Env, envUnheld+"=1")
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line := make([]byte, 64)
	n, err := out.Read(line)
	if err != nil {
		_ = cmd.Wait()
		t.Fatalf("the server does not start: %v", err)
	}
	return &child{cmd: cmd, addr: strings.TrimSpace(string(line[:n]))}
}

// end ends the process with a signal and waits for it.
func (c *child) end(sig syscall.Signal) {
	_ = c.cmd.Process.Signal(sig)
	_ = c.cmd.Wait()
}
