package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/store"
	"parley/xmpp/sasl"
)

const (
	prefixAccount = "account/"
	prefixGone    = "accounts/gone/"
	keyNext       = "accounts/next"
)

// record is an account as it is kept.
type record struct {
	Number     store.Owner `json:"number"`
	Salt       []byte      `json:"salt"`
	StoredKey  []byte      `json:"stored_key"`
	ServerKey  []byte      `json:"server_key"`
	Iterations int         `json:"iterations"`
	Created    time.Time   `json:"created"`
	Admin      bool        `json:"admin,omitempty"`
	Locked     bool        `json:"locked,omitempty"`
	SHA1       *recordSHA1 `json:"sha1,omitempty"` // nil: none
}

// recordSHA1 is the verifier for SCRAM-SHA-1, in the record of an account.
type recordSHA1 struct {
	Salt       []byte `json:"salt"`
	StoredKey  []byte `json:"stored_key"`
	ServerKey  []byte `json:"server_key"`
	Iterations int    `json:"iterations"`
}

func (e *entry) record() record {
	c := e.credentials
	return record{Number: e.Owner, Salt: c.Salt, StoredKey: c.StoredKey, ServerKey: c.ServerKey, Iterations: c.Iterations, Created: e.Created,
		Admin: e.Admin, Locked: e.Locked, SHA1: (*recordSHA1)(c.sha1)}
}

func (r *record) entry(name string) *entry {
	return &entry{
		Account: Account{Name: name, Owner: r.Number, Created: r.Created, Admin: r.Admin, Locked: r.Locked},
		credentials: verifiers{
			Credentials: sasl.Credentials{Salt: r.Salt, StoredKey: r.StoredKey, ServerKey: r.ServerKey, Iterations: r.Iterations},
			sha1:        (*sasl.Credentials)(r.SHA1),
		},
	}
}

// load reads all accounts, and goes on with removals that were cut off.
func (a *Accounts) load(ctx context.Context) error {
	for p, err := range a.store.KV.All(ctx, 0, prefixAccount) {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(p.Key, prefixAccount)
		var r record
		if err := json.Unmarshal(p.Value, &r); err != nil || r.Number == 0 {
			return fmt.Errorf("account %q: %w", name, errors.Join(store.ErrCorrupt, err))
		}
		a.put(r.entry(name))
		a.next = max(a.next, r.Number+1)
	}
	if err := a.loadLegacy(ctx); err != nil {
		return err
	}
	next, err := a.store.KV.Get(ctx, 0, keyNext)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err == nil {
		n, err := strconv.ParseUint(string(next), 10, 48)
		if err != nil {
			return fmt.Errorf("number of the next account: %w", errors.Join(store.ErrCorrupt, err))
		}
		a.next = max(a.next, store.Owner(n))
	}
	return a.loadGone(ctx)
}

// loadGone erases what is left of accounts whose removal was cut off.
func (a *Accounts) loadGone(ctx context.Context) error {
	var gone []store.Owner
	for p, err := range a.store.KV.All(ctx, 0, prefixGone) {
		if err != nil {
			return err
		}
		n, err := strconv.ParseUint(strings.TrimPrefix(p.Key, prefixGone), 10, 48)
		if err != nil {
			return fmt.Errorf("number of a removed account: %w", errors.Join(store.ErrCorrupt, err))
		}
		gone = append(gone, store.Owner(n))
	}
	for _, o := range gone {
		a.next = max(a.next, o+1)
		if _, err := a.forget(ctx, o); errors.Is(err, store.ErrFull) {
			a.log.Warn("the data of a removed account could not be erased yet", "number", uint64(o), "err", err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// keep writes an entry.
func (a *Accounts) keep(j store.Journey, e *entry) error {
	value, err := json.Marshal(e.record())
	if err != nil {
		return fmt.Errorf("write account %q: %w", e.Name, err)
	}
	return a.store.KV.Set(j, 0, prefixAccount+e.Name, value)
}

// keepNext writes the number of the next account.
func (a *Accounts) keepNext(j store.Journey, next store.Owner) error {
	return a.store.KV.Set(j, 0, keyNext, strconv.AppendUint(nil, uint64(next), 10))
}

func keyGone(o store.Owner) string { return prefixGone + strconv.FormatUint(uint64(o), 10) }

// forget erases all data of a removed account and the note that this is to be done. It does not wait for the disk.
func (a *Accounts) forget(ctx context.Context, o store.Owner) (store.Mark, error) {
	if err := a.store.Log.Load(ctx, o); err != nil { // so that nothing is read inside the journey
		return 0, err
	}
	return a.write(ctx, func(j store.Journey) error {
		if err := a.store.Forget(j, o); err != nil {
			return err
		}
		return a.store.KV.Set(j, 0, keyGone(o), nil)
	})
}

// write runs f in a journey and returns what its writes rest on.
func (a *Accounts) write(ctx context.Context, f func(store.Journey) error) (store.Mark, error) {
	j, err := a.store.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer j.End()
	return j.Mark(), f(j)
}
