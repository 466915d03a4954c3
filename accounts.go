package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"parley/config"
	"parley/server"
	"parley/store"
)

// startingTime is how long a server may take from locking the data to listening on its control socket.
const startingTime = 5 * time.Second

// accounts are the accounts of one data directory: of the server that runs on it, or opened by this process.
type accounts struct {
	dir   string
	port  int // for clients, of the server; as far as it is known
	do    func(context.Context, server.Request) (server.Response, error)
	close func() error
}

// openAccounts finds out who has the data and opens it if nobody has.
func openAccounts(ctx context.Context, c config.Config) (*accounts, error) {
	until := time.Now().Add(startingTime)
	for {
		r, err := server.CallControl(ctx, c.Data, server.Request{Do: server.DoHello})
		if err == nil {
			return runningAccounts(r, c)
		}
		if !errors.Is(err, server.ErrNoServer) {
			return nil, controlFailure(err, c.Data)
		}
		admin, closeData, err := server.OpenAdmin(ctx, c)
		if err == nil {
			do := func(ctx context.Context, req server.Request) (server.Response, error) { return admin.Do(ctx, req), nil }
			return &accounts{dir: c.Data, port: admin.Port, do: do, close: closeData}, nil
		}
		// The data is locked and nobody answers: a server that is just starting or stopping, or another command.
		if !errors.Is(err, store.ErrInUse) || time.Now().After(until) {
			if f := dataFailure(err, c.Data); f != nil {
				return nil, f
			}
			return nil, &failure{code: exitFailed, what: "cannot open the accounts in " + c.Data, why: err.Error()}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// runningAccounts are those of a server that said hello.
func runningAccounts(hello server.Response, c config.Config) (*accounts, error) {
	if hello.Fault != "" {
		return nil, &failure{code: exitFailed, what: "the server that runs on " + c.Data + " does not answer", why: hello.Text,
			fix: "stop it and try again: it may be another version (this one is " + version + ")"}
	}
	if c.Asked("domain") && hello.Domain != "" && c.Domain != hello.Domain {
		return nil, dataFailure(&server.DomainError{Recorded: hello.Domain, Asked: c.Domain}, c.Data)
	}
	do := func(ctx context.Context, req server.Request) (server.Response, error) {
		r, err := server.CallControl(ctx, c.Data, req)
		if err != nil {
			return r, controlFailure(err, c.Data)
		}
		return r, nil
	}
	return &accounts{dir: c.Data, port: hello.Port, do: do, close: func() error { return nil }}, nil
}

// controlFailure words what went wrong between this process and the running server.
func controlFailure(err error, dir string) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, fs.ErrPermission):
		return &failure{code: exitFailed, what: fmt.Sprintf("the server on %s belongs to another user (running as user %s)", dir, userName()),
			why: "only the one that runs the server may change its accounts", fix: "the same command with  sudo -u  and the user of the server"}
	case errors.Is(err, server.ErrNoServer), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return &failure{code: exitFailed, what: "the server on " + dir + " stopped before it answered", fix: "try again"}
	}
	return &failure{code: exitFailed, what: "the server on " + dir + " did not answer", why: err.Error(), fix: "try again, or stop the server first"}
}

// failure words what the accounts refused about a name.
func (a *accounts) failure(r server.Response, name string) error {
	switch r.Fault {
	case server.FaultName:
		fix := ""
		if better := betterName(name); better != "" {
			fix = fmt.Sprintf("parley user add %s --make-password", better)
		}
		return misuse(fix, "%q cannot be a user name: %s", name, r.Text)
	case server.FaultExists:
		return existsFailure(r.Accounts[0])
	case server.FaultUnknown:
		f := &failure{code: exitFailed, what: fmt.Sprintf("nobody here is called %s", name), fix: "all of them:  parley user list"}
		if list, err := a.do(context.Background(), server.Request{Do: server.DoList}); err == nil {
			var names []string
			for _, acc := range list.Accounts {
				names = append(names, acc.Name)
			}
			if near := config.Nearest(name, names); near != "" {
				f.fix = "did you mean:  " + near
			}
		}
		return f
	case server.FaultShort:
		return misuse("a longer one, or  --make-password", "the password is too short: %s", r.Text)
	case server.FaultPassword:
		return misuse("another one, or  --make-password", "this cannot be a password: %s", r.Text)
	case server.FaultStopping:
		return &failure{code: exitFailed, what: "the server on " + a.dir + " stopped before it was done", fix: "try again"}
	case server.FaultFull:
		return &failure{code: exitFailed, what: "the disk with " + a.dir + " is full", fix: "make room; nothing that was kept is lost"}
	}
	return &failure{code: exitFailed, what: "the accounts could not be changed", why: r.Text}
}

func existsFailure(acc server.Account) error {
	return &failure{code: exitFailed, what: fmt.Sprintf("%s exists already (added %s)", acc.Address, day(acc.Added)),
		fix: fmt.Sprintf("new password for %s:  parley user reset %s", acc.Name, acc.Name)}
}

// betterName proposes a user name that is like the one that cannot be; "" when nothing is left.
func betterName(name string) string {
	name, _, _ = strings.Cut(name, "@")
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == ' ', r == '/':
			return '.'
		}
		return -1
	}, strings.TrimSpace(name)), ".")
}
