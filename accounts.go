package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"parley/auth"
	"parley/config"
	"parley/ext/admin"
	"parley/server"
	"parley/store"
	"parley/xmpp/stanza"
)

// startingTime is how long a server may take from locking the data to listening on its control socket.
const startingTime = 5 * time.Second

// accounts are the accounts of one data directory: of the server that runs on it, or opened by this process.
type accounts struct {
	dir   string
	port  int // for clients, of the server; as far as it is known
	do    func(context.Context, admin.Request) (admin.Answer, error)
	close func() error
	word  string // the command that works on them, after `parley user`
}

// openAccounts finds out who has the data and opens it if nobody has.
func openAccounts(ctx context.Context, c config.Config) (a *accounts, err error) {
	err = withData(ctx, c.Data, func() error {
		r, err := server.CallControl(ctx, c.Data, admin.Request{Node: admin.NodeCount})
		if err == nil {
			a, err = runningAccounts(r, c)
		}
		return err
	}, func() error {
		own, closeData, err := server.OpenAdmin(ctx, c)
		if err == nil {
			do := func(ctx context.Context, req admin.Request) (admin.Answer, error) { return own.Do(ctx, req), nil }
			a = &accounts{dir: c.Data, port: c.Port, do: do, close: closeData}
		}
		return err
	})
	var said *failure
	if err == nil || errors.As(err, &said) || errors.Is(err, context.Canceled) {
		return a, err
	}
	if f := dataFailure(err, c.Data); f != nil {
		return nil, f
	}
	return nil, &failure{code: exitFailed, what: "cannot open the accounts in " + c.Data, why: err.Error()}
}

// withData has the server that runs on a data directory do something, or does it alone when there is none (what running
// returns is then server.ErrNoServer). What goes wrong between this process and the server is put into words, the rest
// is alone's.
func withData(ctx context.Context, dir string, running, alone func() error) error {
	for until := time.Now().Add(startingTime); ; {
		err := running()
		var said *failure
		switch {
		case errors.Is(err, server.ErrNoServer):
		case err == nil, errors.As(err, &said):
			return err
		default:
			return controlFailure(err, dir)
		}
		// The data is locked and nobody answers: a server that is just starting or stopping, or another command.
		if err = alone(); !errors.Is(err, store.ErrInUse) || time.Now().After(until) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// runningAccounts are those of a server that said hello.
func runningAccounts(hello admin.Answer, c config.Config) (*accounts, error) {
	if hello.Condition != "" {
		return nil, &failure{code: exitFailed, what: "the server that runs on " + c.Data + " does not answer", why: hello.Text,
			fix: "stop it and try again: it may be another version (this one is " + version + ")"}
	}
	if c.Asked("domain") && hello.Domain != "" && c.Domain != hello.Domain {
		return nil, dataFailure(&server.DomainError{Recorded: hello.Domain, Asked: c.Domain}, c.Data)
	}
	do := func(ctx context.Context, req admin.Request) (admin.Answer, error) {
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
		return foreignServer(dir)
	case errors.Is(err, server.ErrNoServer), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return &failure{code: exitFailed, what: "the server on " + dir + " stopped before it answered", fix: "try again"}
	}
	return &failure{code: exitFailed, what: "the server on " + dir + " did not answer", why: err.Error(), fix: "try again, or stop the server first"}
}

// find finds the account of a name, or the failure to tell.
func (a *accounts) find(ctx context.Context, name string) (admin.Account, error) {
	return a.one(ctx, name, admin.Request{Node: admin.NodeUsers, Fields: map[string][]string{"accountjid": {name}}})
}

// one has one thing done with the account of a name, and returns it as it is then.
func (a *accounts) one(ctx context.Context, name string, req admin.Request) (admin.Account, error) {
	r, err := a.ask(ctx, name, req)
	if err != nil {
		return admin.Account{}, err
	}
	list := r.Accounts()
	if len(list) != 1 {
		return admin.Account{}, a.failure(admin.Answer{Condition: stanza.InternalServerError, Text: "the server does not say which account it was"}, name)
	}
	return list[0], nil
}

// errUnknown says that there is no account of a name yet.
var errUnknown = errors.New("no such account")

// vacant returns nil when a name can be given to a new account, as far as one can say before.
func (a *accounts) vacant(ctx context.Context, name string) error {
	acc, err := a.find(ctx, name)
	switch {
	case err == nil:
		return existsFailure(acc)
	case errors.Is(err, errUnknown):
		return nil
	}
	return err
}

// ask has one thing done that is about a name, and puts into words why it was not.
func (a *accounts) ask(ctx context.Context, name string, req admin.Request) (admin.Answer, error) {
	if strings.Contains(name, "@") {
		_, err := auth.CheckName(name)
		return admin.Answer{}, a.nameFailure(name, err.Error())
	}
	r, err := a.do(ctx, req)
	if err == nil && r.Condition != "" {
		err = a.failure(r, name)
	}
	return r, err
}

// unknownFailure is the failure that an account does not exist; errors.Is finds errUnknown in it.
type unknownFailure struct{ *failure }

func (f unknownFailure) Unwrap() []error { return []error{f.failure, errUnknown} }

// nameFailure is the failure that nobody can be called that.
func (a *accounts) nameFailure(name, what string) error {
	fix := ""
	if better := betterName(name); better != "" {
		fix = fmt.Sprintf("parley user %s %s", a.word, better)
		if a.word == "add" || a.word == "reset" {
			fix += " --make-password"
		}
	}
	return misuse(fix, "%s", what)
}

// failure words what was refused about a name.
func (a *accounts) failure(r admin.Answer, name string) error {
	switch {
	case r.Condition == stanza.NotAcceptable && r.Field != "password":
		return a.nameFailure(name, r.Text)
	case r.Condition == stanza.Conflict:
		return &failure{code: exitFailed, what: r.Text, fix: fmt.Sprintf("new password for %s:  parley user reset %s", name, quoted(name))}
	case r.Condition == stanza.ItemNotFound:
		f := &failure{code: exitFailed, what: r.Text, fix: "all of them:  parley user list"}
		if list, err := a.do(context.Background(), admin.Request{Node: admin.NodeUsers}); err == nil {
			var names []string
			for _, acc := range list.Accounts() {
				names = append(names, acc.Name)
			}
			if near := config.Nearest(name, names); near != "" {
				f.fix = "did you mean:  " + near
			}
		}
		return unknownFailure{f}
	case r.Condition == stanza.PolicyViolation:
		return misuse("a longer one, or  --make-password", "%s", r.Text)
	case r.Condition == stanza.NotAcceptable:
		return misuse("another one, or  --make-password", "%s", r.Text)
	case r.Condition == stanza.ServiceUnavailable:
		return &failure{code: exitFailed, what: "the server on " + a.dir + " stopped before it was done", fix: "try again"}
	case r.Condition == stanza.ResourceConstraint:
		return &failure{code: exitFailed, what: "the disk with " + a.dir + " is full", fix: "make room; nothing that was kept is lost"}
	case r.Condition == stanza.Forbidden:
		return foreignServer(a.dir)
	}
	return &failure{code: exitFailed, what: "the accounts could not be changed", why: r.Text}
}

func existsFailure(acc admin.Account) error {
	return &failure{code: exitFailed, what: fmt.Sprintf("%s exists already (added %s)", acc.Address, day(acc.Added)),
		fix: fmt.Sprintf("new password for %s:  parley user reset %s", acc.Name, acc.Name)}
}

// foreignServer is the failure that a server is not this user's to administer.
func foreignServer(dir string) error {
	return &failure{code: exitFailed, what: fmt.Sprintf("the server on %s belongs to another user (running as user %s)", dir, userName()),
		why: "only the one that runs the server may administer it", fix: "the same command with  sudo -u  and the user of the server"}
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
