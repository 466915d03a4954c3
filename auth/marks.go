package auth

import (
	"context"
	"fmt"
	"log/slog"

	"parley/store"
)

// SetAdmin makes an account an administrator, or takes that back, and returns it when that is durable. name may be
// written as people do. Errors: *UnknownError, ctx's and the store's. When ctx ends during the last wait, it is done in
// spite of the error.
func (a *Accounts) SetAdmin(ctx context.Context, name string, on bool) (Account, error) {
	return a.mark(ctx, name, func(acc *Account) { acc.Admin = on })
}

// SetLocked locks an account, so that nobody can sign in to it, or unlocks it. It is otherwise as SetAdmin.
func (a *Accounts) SetLocked(ctx context.Context, name string, on bool) (Account, error) {
	return a.mark(ctx, name, func(acc *Account) { acc.Locked = on })
}

// mark changes the marks of an account. Nothing is written when they are so already.
func (a *Accounts) mark(ctx context.Context, name string, change func(*Account)) (Account, error) {
	if err := a.begin(ctx); err != nil {
		return Account{}, err
	}
	defer a.end()
	old, err := a.existing(name)
	if err != nil {
		return Account{}, err
	}
	e := *old
	change(&e.Account)
	if e.Account == old.Account {
		return e.Account, nil
	}
	mark, err := a.write(ctx, func(j store.Journey) error { return a.keep(j, &e) })
	if err != nil {
		return Account{}, fmt.Errorf("auth: mark %q: %w", e.Name, err)
	}
	cut, err := a.wait(ctx, mark)
	if err != nil && !cut {
		return Account{}, fmt.Errorf("auth: mark %q: %w", e.Name, err)
	}
	a.put(&e)
	a.log.Info("account marked", slog.String("name", e.Name), slog.Bool("admin", e.Admin), slog.Bool("locked", e.Locked))
	if e.Locked && !old.Locked {
		tell(ctx, a.OnLocked, e.Name)
	}
	return e.Account, err
}
