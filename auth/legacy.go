package auth

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"parley/store"
	"parley/xmpp/sasl"
)

// What a server that signs in with SCRAM-SHA-1 and PLAIN (the setting auth.legacy) needs besides. A verifier for
// SCRAM-SHA-1 can be made only while the password is at hand: when it is set, and when somebody signs in with PLAIN.

const keyLegacy = "auth/legacy"

// How long Verify waits for its turn to hash, and how many records are rewritten at a time.
const (
	verifyPatience = 10 * time.Second
	eraseBatch     = 64
)

// verifiers are what is kept of a password.
type verifiers struct {
	sasl.Credentials                   // for SCRAM-SHA-256
	sha1             *sasl.Credentials // for SCRAM-SHA-1; nil: none
}

// lacks is 1 for an account without a verifier for SCRAM-SHA-1, else 0.
func (e *entry) lacks() int64 {
	if e == nil || e.credentials.sha1 != nil {
		return 0
	}
	return 1
}

// loadLegacy reads what UseLegacy was told last.
func (a *Accounts) loadLegacy(ctx context.Context) error {
	_, err := a.store.KV.Get(ctx, 0, keyLegacy)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	a.legacy = err == nil
	return err
}

// UseLegacy says, before anybody changes or uses accounts, whether the server signs in with SCRAM-SHA-1 and PLAIN too.
// Then both verifiers are kept of every password that is set; otherwise those for SCRAM-SHA-1 that are there are erased.
// It returns when that is durable. It is remembered, so that a command that changes accounts while no server runs need
// not be told again. A full disk is no error, but a warning: what is still there then goes at the next start. Errors are
// the store's and ctx's.
func (a *Accounts) UseLegacy(ctx context.Context, on bool) error {
	if err := a.begin(ctx); err != nil {
		return err
	}
	defer a.end()
	var erased []*entry
	if !on {
		erased = a.withSHA1()
	}
	changed := on != a.legacy
	a.legacy = on
	if !changed && len(erased) == 0 {
		return nil
	}
	err := a.keepLegacy(ctx, on, erased)
	full := errors.Is(err, store.ErrFull) || errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil
	if err != nil && !full {
		return fmt.Errorf("auth: keep auth.legacy: %w", err)
	}
	for _, e := range erased {
		a.put(e)
	}
	switch {
	case full:
		a.log.Warn("the disk has not taken the change of auth.legacy yet", slog.Bool("legacy", on), slog.Any("err", err))
	case len(erased) > 0:
		a.log.Warn("auth.legacy is off: verifiers for SCRAM-SHA-1 erased", slog.Int("accounts", len(erased)))
	}
	return nil
}

// withSHA1 returns the entries that have a verifier for SCRAM-SHA-1, as they are without it.
func (a *Accounts) withSHA1() []*entry {
	var found []*entry
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.RLock()
		for _, e := range s.entries {
			if e.lacks() == 0 {
				without := *e
				without.credentials.sha1 = nil
				found = append(found, &without)
			}
		}
		s.mu.RUnlock()
	}
	return found
}

// keepLegacy writes the entries and, after them, the mark, and waits for the disk, but not for ever: a full one may stay
// so. What is cut off the next start finds.
func (a *Accounts) keepLegacy(ctx context.Context, on bool, entries []*entry) error {
	ctx, cancel := context.WithTimeout(ctx, keepTime)
	defer cancel()
	for batch := range slices.Chunk(entries, eraseBatch) {
		if _, err := a.write(ctx, func(j store.Journey) error {
			for _, e := range batch {
				if err := a.keep(j, e); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	var value []byte
	if on {
		value = []byte{'1'}
	}
	mark, err := a.write(ctx, func(j store.Journey) error { return a.store.KV.Set(j, 0, keyLegacy, value) })
	if err != nil {
		return err
	}
	return a.store.Wait(ctx, mark)
}

// Legacy tells whether the server signs in with SCRAM-SHA-1 and PLAIN too.
func (a *Accounts) Legacy() bool { return a.legacy }

// Lacking is the number of accounts that cannot sign in with SCRAM-SHA-1, for want of a verifier.
func (a *Accounts) Lacking() int { return int(a.lacking.Load()) }

// HasSHA1 tells whether an account, named by its canonical localpart, has a verifier for SCRAM-SHA-1.
func (a *Accounts) HasSHA1(name string) bool {
	e := a.find(name)
	return e != nil && e.credentials.sha1 != nil
}

// CredentialsSHA1 is Credentials for SCRAM-SHA-1. For an account without such a verifier they are made up as for a name
// without an account: what the client is told is the same, and takes the same time.
//
// counts says whether a wrong proof counts as an attempt. Of an account without the verifier it does not: no proof is
// right, so there is nothing to guess, and a phone that knows only SCRAM-SHA-1 and tries again and again must not lock
// its owner's other devices out. But if tries counted for every name except these, or for none except those with a
// verifier, three of them would tell who exists. So of the names without an account as large a part does not count as
// of the accounts, always the same names as long as that part is the same: what somebody sees is then equally likely
// whether there is an account or not.
func (a *Accounts) CredentialsSHA1(name string) (c sasl.Credentials, counts bool) {
	c = a.secret.credentialsSHA1(name, a.opts.Iterations) // all of this always, so that it takes the same time
	counts = a.secret.beyond(a.lacking.Load(), a.count.Load(), "counts", name)
	switch e := a.find(name); {
	case e == nil:
		return c, counts
	case e.credentials.sha1 == nil:
		return c, false
	default:
		return *e.credentials.sha1, true
	}
}

// beyond tells whether a value lies outside of a part of all values that is as large as part is of all.
func (s secret) beyond(part, all int64, use, value string) bool {
	at := uint64(binary.BigEndian.Uint32(s.derive(use, value)))
	return at*uint64(max(all, 1)) >= uint64(max(part, 0))<<32
}

// credentialsSHA1 makes up the credentials of a name for SCRAM-SHA-1.
func (s secret) credentialsSHA1(name string, iterations int) sasl.Credentials {
	return sasl.Credentials{
		Salt:       s.derive("salt SHA-1", name)[:16],
		StoredKey:  s.derive("stored key SHA-1", name)[:20],
		ServerKey:  s.derive("server key SHA-1", name)[:20],
		Iterations: iterations,
	}
}

// Verify tells whether a password, as PLAIN carries it, is the one of the account with a canonical localpart: nil, or
// sasl.ErrProof when it is not or there is no such account, which takes as long as for a password that was set with the
// iterations of today (SCRAM shows their number anyway). An account that has no verifier for SCRAM-SHA-1 yet gets one,
// which is durable on return; that this fails is no error. Other errors: ErrBusy when too many passwords are being
// hashed, ctx's. It hashes, so nobody may call it in a journey or with a lock held.
func (a *Accounts) Verify(ctx context.Context, name, password string) error {
	e := a.find(name)
	kept := a.madeUp(name)
	if e != nil {
		kept = e.credentials.Credentials
	}
	sha1, err := a.verify(ctx, kept, password, e.lacks() == 1)
	if err != nil || sha1 == nil {
		return err
	}
	if err := a.keepSHA1(ctx, e, sha1); err != nil {
		a.log.Warn("the verifier for SCRAM-SHA-1 could not be kept; the next sign-in with PLAIN tries again",
			slog.String("name", name), slog.Any("err", err))
	}
	return nil
}

// verify does the hashing of Verify, when it is its turn.
func (a *Accounts) verify(ctx context.Context, kept sasl.Credentials, password string, lacks bool) (sha1 *sasl.Credentials, err error) {
	wait, cancel := context.WithTimeout(ctx, verifyPatience)
	defer cancel()
	if err := a.beginHash(wait); err != nil {
		if ctx.Err() == nil {
			return nil, fmt.Errorf("auth: check a password: %w", ErrBusy)
		}
		return nil, err
	}
	defer a.endHash()
	if err := kept.Check(password); err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if !lacks || !a.legacy {
		return nil, nil
	}
	return a.hashSHA1(password)
}

func (a *Accounts) hashSHA1(password string) (*sasl.Credentials, error) {
	c, err := sasl.NewCredentialsSHA1(password, a.opts.Iterations)
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	return &c, nil
}

// keepSHA1 adds a verifier to an entry, unless the account has changed since the password was checked. It does not take
// for ever: somebody waits to be let in.
func (a *Accounts) keepSHA1(ctx context.Context, old *entry, sha1 *sasl.Credentials) error {
	ctx, cancel := context.WithTimeout(ctx, keepTime)
	defer cancel()
	if err := a.begin(ctx); err != nil {
		return err
	}
	defer a.end()
	if a.find(old.Name) != old {
		return nil
	}
	e := *old
	e.credentials.sha1 = sha1
	mark, err := a.write(ctx, func(j store.Journey) error { return a.keep(j, &e) })
	if err != nil {
		return err
	}
	cut, err := a.wait(ctx, mark)
	if err != nil && !cut {
		return err
	}
	a.put(&e)
	if err == nil {
		a.log.Info("verifier for SCRAM-SHA-1 made at a sign-in with PLAIN", slog.String("name", e.Name))
	}
	return err
}
