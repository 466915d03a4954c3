package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"parley/auth"
	"parley/config"
	"parley/store"
)

// What a Request asks for.
const (
	DoHello  = "hello"  // who is there: the Domain of the answer
	DoFind   = "find"   // the account of a Name, or FaultName, FaultUnknown
	DoAdd    = "add"    // make it
	DoReset  = "reset"  // give it a new Password
	DoRemove = "remove" // remove it with all that is kept for it
	DoList   = "list"   // all accounts
	DoImport = "import" // make those of a File
)

// MaxImport is the most that a File may have, in bytes.
const MaxImport = 16 << 20

// Request is one thing to be done with the accounts, asked by a command of the administrator.
type Request struct {
	Do       string `json:"do"`
	Name     string `json:"name,omitempty"`
	Password string `json:"password,omitempty"`
	File     []byte `json:"file,omitempty"` // a name and a password on each line
}

// Fault is the kind of what went wrong.
type Fault string

// The faults. With FaultExists the one account of the answer is the one that is in the way.
const (
	FaultName     Fault = "name"     // nobody can be called that; Text says why
	FaultExists   Fault = "exists"   // somebody is called that
	FaultUnknown  Fault = "unknown"  // nobody is called that
	FaultShort    Fault = "short"    // the password is too short; Text says by how much
	FaultPassword Fault = "password" // this cannot be a password; Text says why
	FaultFull     Fault = "full"     // the disk is full
	FaultStopping Fault = "stopping" // the server stops
	FaultRequest  Fault = "request"  // the question was not understood
	FaultFailed   Fault = "failed"   // something else; Text is what the log says
)

// Response answers a Request.
type Response struct {
	Fault    Fault     `json:"fault,omitempty"` // "": it was done
	Text     string    `json:"text,omitempty"`
	Domain   string    `json:"domain,omitempty"`
	Port     int       `json:"port,omitempty"`     // for clients, where it is known
	Accounts []Account `json:"accounts,omitempty"` // that were found, made, changed or removed
	Short    []string  `json:"short,omitempty"`    // names among those imported that have short passwords
	Refused  []Refusal `json:"refused,omitempty"`  // lines of an import that were not taken
	Remarks  int       `json:"remarks,omitempty"`  // lines of an import that begin with #
}

// Account is an account as the administrator sees it.
type Account struct {
	Name    string    `json:"name"`
	Address string    `json:"address"`
	Added   time.Time `json:"added"`
	SHA1    *bool     `json:"scram_sha_1,omitempty"` // whether it can sign in with SCRAM-SHA-1; nil: nobody may
}

// Refusal says why a line of an import was not taken.
type Refusal struct {
	Line   int    `json:"line"` // 1 is the first
	Reason string `json:"reason"`
}

// Admin does what the administrator's commands ask for. The running server has one behind its control socket, and a
// command that finds no server has one of its own (OpenAdmin), so that both do the same.
type Admin struct {
	Accounts *auth.Accounts
	Domain   string                                       // of the addresses in answers
	Port     int                                          // for clients; 0: not known
	Unblock  func(ctx context.Context, name string) error // lifts what wrong passwords have led to
}

// Do does what a request asks for and returns when it is durable.
func (a *Admin) Do(ctx context.Context, req Request) Response {
	var acc auth.Account
	var err error
	switch req.Do {
	case DoHello:
		return Response{Domain: a.Domain, Port: a.Port}
	case DoFind:
		acc, err = a.find(req.Name)
	case DoAdd:
		acc, err = a.Accounts.Add(ctx, req.Name, req.Password)
	case DoReset:
		if acc, err = a.find(req.Name); err == nil {
			err = a.Accounts.SetPassword(ctx, acc.Name, req.Password)
		}
		if err == nil { // whoever needs a new password has mostly tried the old one three times
			err = a.Unblock(ctx, acc.Name)
		}
	case DoRemove:
		acc, err = a.Accounts.Remove(ctx, req.Name)
	case DoList:
		return Response{Domain: a.Domain, Accounts: a.shown(a.Accounts.All()...)}
	case DoImport:
		return a.importFile(ctx, req.File)
	default:
		return Response{Fault: FaultRequest, Text: fmt.Sprintf("the server does not know what %q means", req.Do)}
	}
	if err != nil {
		return a.fault(err)
	}
	return Response{Domain: a.Domain, Accounts: a.shown(acc)}
}

// find finds an account; a name that nobody can have is a *auth.NameError.
func (a *Admin) find(name string) (auth.Account, error) {
	if acc, ok := a.Accounts.Find(name); ok {
		return acc, nil
	}
	if _, err := auth.CheckName(name); err != nil {
		return auth.Account{}, err
	}
	return auth.Account{}, &auth.UnknownError{Name: name, Domain: a.Domain}
}

func (a *Admin) importFile(ctx context.Context, file []byte) Response {
	result, err := a.Accounts.Import(ctx, bytes.NewReader(file), auth.ImportOptions{AllowShort: true})
	var r Response
	if err != nil { // what was done until then is in the answer all the same
		r = a.fault(err)
	}
	r.Domain, r.Accounts, r.Short, r.Remarks = a.Domain, a.shown(result.Added...), result.Short, result.Remarks
	for _, l := range result.Refused {
		r.Refused = append(r.Refused, Refusal{Line: l.Line, Reason: l.Err.Error()})
	}
	return r
}

func (a *Admin) shown(accounts ...auth.Account) []Account {
	list := make([]Account, len(accounts))
	for i, acc := range accounts {
		list[i] = Account{Name: acc.Name, Address: acc.Name, Added: acc.Created}
		if a.Domain != "" {
			list[i].Address += "@" + a.Domain
		}
		if a.Accounts.Legacy() {
			has := a.Accounts.HasSHA1(acc.Name)
			list[i].SHA1 = &has
		}
	}
	return list
}

// fault says what kind of fault an error is.
func (a *Admin) fault(err error) Response {
	r := Response{Fault: FaultFailed, Text: err.Error(), Domain: a.Domain}
	var name *auth.NameError
	var exists *auth.ExistsError
	var password *auth.PasswordError
	switch {
	case errors.As(err, &name):
		r.Fault, r.Text = FaultName, name.Reason
	case errors.As(err, &exists):
		r.Fault, r.Accounts = FaultExists, a.shown(exists.Account)
	case errors.Is(err, auth.ErrUnknown):
		r.Fault = FaultUnknown
	case errors.As(err, &password):
		r.Fault, r.Text = FaultPassword, password.Reason
		if password.Short {
			r.Fault = FaultShort
		}
	case errors.Is(err, store.ErrFull):
		r.Fault = FaultFull
	case errors.Is(err, context.Canceled), errors.Is(err, store.ErrClosed):
		r.Fault = FaultStopping
	}
	return r
}

// OpenAdmin opens the accounts in the data directory of c, for a command that finds no server running on it. A new
// directory becomes that of c.Domain; otherwise its own domain counts unless another one was asked for (*DomainError).
// Whoever opened it calls done, once. Errors are those of sqlite.Open (store.ErrInUse: somebody else has it after all).
func OpenAdmin(ctx context.Context, c config.Config) (a *Admin, done func() error, err error) {
	db, err := openData(c.Data, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("server: %w", err)
	}
	st := store.New(db, store.Options{Logger: slog.New(slog.DiscardHandler)})
	var committer sync.WaitGroup
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	committer.Go(func() { _ = st.Run(run) }) // what breaks it breaks Close too
	done = func() error {
		err := st.Close(context.WithoutCancel(ctx))
		cancel()
		committer.Wait()
		if err != nil {
			return fmt.Errorf("server: close the store: %w", err)
		}
		return nil
	}
	domain, err := RecordDomain(ctx, st, c)
	if err == nil {
		a = &Admin{Domain: domain, Port: c.Port, Unblock: func(ctx context.Context, name string) error { return auth.Unblock(ctx, st, name) }}
		a.Accounts, err = auth.Open(ctx, st, auth.Options{Domain: domain, Iterations: c.Auth.Iterations})
	}
	if err == nil && c.Auth.Legacy { // else the server that ran last has said; its flags are not known here
		err = a.Accounts.UseLegacy(ctx, true)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("server: %w", err), done())
	}
	return a, done, nil
}
