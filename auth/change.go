package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/sasl"
)

// Add makes an account and returns when it is durable. Errors: *NameError, *ExistsError, *PasswordError, ctx's and the
// store's (store.ErrFull among them). When ctx ends during the last wait, the account exists in spite of the error.
func (a *Accounts) Add(ctx context.Context, name, password string) (Account, error) {
	return a.add(ctx, name, password, false, false)
}

// AddAdmin is Add for an administrator.
func (a *Accounts) AddAdmin(ctx context.Context, name, password string) (Account, error) {
	return a.add(ctx, name, password, false, true)
}

// AddShort is Add for a password that may be shorter than MinPassword, as they come with accounts from elsewhere.
func (a *Accounts) AddShort(ctx context.Context, name, password string) (Account, error) {
	return a.add(ctx, name, password, true, false)
}

func (a *Accounts) add(ctx context.Context, name, password string, short, admin bool) (Account, error) {
	local, err := CheckName(name)
	if err != nil {
		return Account{}, err
	}
	if err := checkPassword(password, short); err != nil {
		return Account{}, err
	}
	// Asked before the hashing, which takes its time, and again when nobody else can add it.
	if err := a.vacant(local, name); err != nil {
		return Account{}, err
	}
	credentials, err := a.hash(ctx, password)
	if err != nil {
		return Account{}, err
	}
	if err := a.begin(ctx); err != nil {
		return Account{}, err
	}
	defer a.end()
	if err := a.vacant(local, name); err != nil {
		return Account{}, err
	}
	if err := a.distinct(local, name); err != nil {
		return Account{}, err
	}
	e := a.entryFor(local, credentials)
	e.Admin = admin
	if err := a.addAll(ctx, []*entry{e}); err != nil {
		return e.Account, err
	}
	return e.Account, nil
}

// SetPassword gives an account another password and returns when it is durable. name may be written as people do.
// Errors: *UnknownError, *PasswordError, ctx's and the store's. When ctx ends during the last wait, the new password
// is in force in spite of the error.
func (a *Accounts) SetPassword(ctx context.Context, name, password string) error {
	if _, ok := a.Find(name); !ok {
		return &UnknownError{Name: name, Domain: a.opts.Domain}
	}
	if err := checkPassword(password, false); err != nil {
		return err
	}
	credentials, err := a.hash(ctx, password)
	if err != nil {
		return err
	}
	if err := a.begin(ctx); err != nil {
		return err
	}
	defer a.end()
	old, err := a.existing(name)
	if err != nil {
		return err
	}
	e := &entry{Account: old.Account, credentials: credentials}
	mark, err := a.write(ctx, func(j store.Journey) error { return a.keep(j, e) })
	if err != nil {
		return fmt.Errorf("auth: set the password of %q: %w", e.Name, err)
	}
	cut, err := a.wait(ctx, mark)
	if err != nil && !cut {
		return fmt.Errorf("auth: set the password of %q: %w", e.Name, err)
	}
	a.put(e)
	a.log.Info("password set", slog.String("name", e.Name))
	tell(ctx, a.OnPassword, e.Name)
	return err
}

// Remove removes an account with all that is kept for it and returns it, when that is durable. name may be written as
// people do. Errors: *UnknownError, ctx's and the store's. When ctx ends before the erasure, the account is gone in
// spite of the error, and what is left of its data is erased at the next start.
func (a *Accounts) Remove(ctx context.Context, name string) (Account, error) {
	if err := a.begin(ctx); err != nil {
		return Account{}, err
	}
	defer a.end()
	e, err := a.existing(name)
	if err != nil {
		return Account{}, err
	}
	mark, err := a.write(ctx, func(j store.Journey) error {
		if err := a.store.KV.Set(j, 0, prefixAccount+e.Name, nil); err != nil {
			return err
		}
		return a.store.KV.Set(j, 0, keyGone(e.Owner), []byte{'1'})
	})
	if err != nil {
		return Account{}, fmt.Errorf("auth: remove %q: %w", e.Name, err)
	}
	if cut, err := a.wait(ctx, mark); err != nil && !cut {
		return Account{}, fmt.Errorf("auth: remove %q: %w", e.Name, err)
	}
	a.drop(e)
	a.log.Info("account removed", slog.String("name", e.Name))
	tell(ctx, a.OnRemoved, e.Account)
	// Only now: a session that was still there may have written until its end.
	if mark, err = a.forget(ctx, e.Owner); err == nil {
		_, err = a.wait(ctx, mark)
	}
	if err != nil {
		return e.Account, fmt.Errorf("auth: erase the data of %q: %w", e.Name, err)
	}
	return e.Account, nil
}

// restoredGap is how many accounts may have been made between a backup and the loss that made it needed.
const restoredGap = 1 << 24

// Restored is for accounts that have been put back to an earlier state: it passes over the numbers that were given out
// since, and returns when that is durable. Errors are ctx's and the store's.
func (a *Accounts) Restored(ctx context.Context) error {
	if err := a.begin(ctx); err != nil {
		return err
	}
	defer a.end()
	next := a.next + restoredGap
	mark, err := a.write(ctx, func(j store.Journey) error { return a.keepNext(j, next) })
	if err == nil {
		err = a.store.Wait(ctx, mark)
	}
	if err != nil {
		return fmt.Errorf("auth: pass over numbers of accounts: %w", err)
	}
	a.next = next
	return nil
}

// begin waits until nobody else changes accounts.
func (a *Accounts) begin(ctx context.Context) error {
	select {
	case a.changing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("auth: wait for another change: %w", ctx.Err())
	}
}

func (a *Accounts) end() { <-a.changing }

// wait returns when mark is durable. cut says that only ctx was the reason not to wait longer: what was written counts.
func (a *Accounts) wait(ctx context.Context, mark store.Mark) (cut bool, err error) {
	if err = a.store.Wait(ctx, mark); err != nil {
		cut = !errors.Is(err, store.ErrFailed) && !errors.Is(err, store.ErrClosed)
	}
	return cut, err
}

// existing finds an account for a change; the caller holds changing.
func (a *Accounts) existing(name string) (*entry, error) {
	local, err := jid.Localpart(name)
	if err == nil {
		if e := a.find(local); e != nil {
			return e, nil
		}
	}
	return nil, &UnknownError{Name: name, Domain: a.opts.Domain}
}

// vacant returns an error if there is an account of that name.
func (a *Accounts) vacant(local, given string) error {
	if e := a.find(local); e != nil {
		return &ExistsError{Account: e.Account, Domain: a.opts.Domain, Given: given}
	}
	return nil
}

// distinct returns an error if another account looks like that name; the caller holds changing.
func (a *Accounts) distinct(local, given string) error {
	if other, ok := a.looks[skeleton(local)]; ok && other != local {
		return badName(given, fmt.Sprintf("it looks the same as %s, which exists already", other))
	}
	return nil
}

// hash derives what is kept of a password, not too many at a time.
func (a *Accounts) hash(ctx context.Context, password string) (v verifiers, err error) {
	if err := a.beginHash(ctx); err != nil {
		return v, err
	}
	defer a.endHash()
	if v.Credentials, err = sasl.NewCredentials(password, a.opts.Iterations); err != nil {
		return v, fmt.Errorf("auth: %w", err)
	}
	if a.legacy {
		v.sha1, err = a.hashSHA1(password)
	}
	return v, err
}

// beginHash waits until not too many passwords are being hashed.
func (a *Accounts) beginHash(ctx context.Context) error {
	select {
	case a.hashing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("auth: wait for other passwords: %w", ctx.Err())
	}
}

func (a *Accounts) endHash() { <-a.hashing }

// entryFor makes a new account, without a number yet.
func (a *Accounts) entryFor(local string, v verifiers) *entry {
	return &entry{Account: Account{Name: local, Created: time.Now().UTC().Truncate(time.Second)}, credentials: v}
}

// addAll gives entries their numbers, keeps them all or none, and makes them known; the caller holds changing.
func (a *Accounts) addAll(ctx context.Context, entries []*entry) error {
	next := a.next
	for _, e := range entries {
		e.Owner = next
		next++
	}
	mark, err := a.write(ctx, func(j store.Journey) error {
		if err := a.keepNext(j, next); err != nil {
			return err
		}
		for _, e := range entries {
			if err := a.keep(j, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("auth: add accounts: %w", err)
	}
	a.next = next
	cut, err := a.wait(ctx, mark)
	if err != nil && !cut {
		return fmt.Errorf("auth: add accounts: %w", err)
	}
	for _, e := range entries {
		a.put(e)
		a.log.Info("account added", slog.String("name", e.Name))
	}
	for _, e := range entries {
		tell(ctx, a.OnAdded, e.Name)
	}
	return err
}

// tell calls a hook, if there is one.
func tell[T any](ctx context.Context, hook func(context.Context, T), what T) {
	if hook != nil {
		hook(context.WithoutCancel(ctx), what) // it has happened, whoever does not wait for it any more
	}
}
