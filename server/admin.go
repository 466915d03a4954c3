package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"parley/auth"
	"parley/config"
	"parley/ext/admin"
	"parley/store"
)

// OpenAdmin opens the accounts in the data directory of c, for a command that finds no server running on it. A new
// directory becomes that of c.Domain; otherwise its own domain counts unless another one was asked for (*DomainError).
// Whoever opened it calls done, once. Errors are those of sqlite.Open (store.ErrInUse: somebody else has it after all).
func OpenAdmin(ctx context.Context, c config.Config) (a *admin.Admin, done func() error, err error) {
	db, err := openData(c.Data, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("server: %w", err)
	}
	st, done := quietStore(ctx, db)
	domain, err := RecordDomain(ctx, st, c)
	var accounts *auth.Accounts
	if err == nil {
		accounts, err = auth.Open(ctx, st, auth.Options{Domain: domain, Iterations: c.Auth.Iterations})
	}
	if err == nil && c.Auth.Legacy { // else the server that ran last has said; its flags are not known here
		err = accounts.UseLegacy(ctx, true)
	}
	if err == nil {
		a, err = admin.New(ctx, admin.Options{Accounts: accounts, Domain: domain, Port: c.Port,
			Unblock: func(ctx context.Context, name string) error { return auth.Unblock(ctx, st, name) }})
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("server: %w", err), done())
	}
	return a, done, nil
}

// quietStore runs a store over db for a command. Whoever opened it calls done, once.
func quietStore(ctx context.Context, db store.Engine) (st *store.Store, done func() error) {
	st = store.New(db, store.Options{Logger: slog.New(slog.DiscardHandler)})
	var committer sync.WaitGroup
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	committer.Go(func() { _ = st.Run(run) }) // what breaks it breaks Close too
	return st, func() error {
		err := st.Close(context.WithoutCancel(ctx))
		cancel()
		committer.Wait()
		if err != nil {
			return fmt.Errorf("server: close the store: %w", err)
		}
		return nil
	}
}
