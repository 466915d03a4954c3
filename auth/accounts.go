// Package auth knows who may sign in: the accounts with what is kept of their passwords, and the lock-out that wrong
// passwords lead to.
//
// All accounts are in memory; what changes is kept among the server's own values in the store (owner 0):
//
//	account/<localpart>      number, credentials and time of creation of an account, as JSON
//	accounts/next            the number that the next new account gets
//	accounts/gone/<number>   a removed account whose data is still to be erased
//	auth/secret              32 random bytes, from which made-up credentials are derived
//	auth/legacy              is there while the server signs in with SCRAM-SHA-1 and PLAIN too
//	lockout/<key>            a block that lasts, as JSON
//
// Whatever changes accounts begins a journey of its own and waits for the disk. It must therefore never be called
// inside a journey.
package auth

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/sasl"
)

// DefaultIterations is how often a new password is hashed (PBKDF2, RFC 7677 §4), unless the options say otherwise.
const DefaultIterations = 100_000

// Account is one account.
type Account struct {
	Name    string      // canonical localpart
	Owner   store.Owner // its number, which no other account ever had or gets, not even one of the same name
	Created time.Time   // UTC, to the second
	Admin   bool        // may run the commands of administrators
	Locked  bool        // may not sign in, whatever the password
}

// Options are the settings of Accounts.
type Options struct {
	Domain     string // canonical; only what people are told needs it
	Iterations int    // for passwords that are set from now on; 0: DefaultIterations
	Logger     *slog.Logger
}

// Accounts are all accounts of a server. Its methods may be called by any goroutine, those that change something
// outside of journeys only.
type Accounts struct {
	// Hooks are told of what was changed, once it is durable and Lookup knows it, with no lock held that Lookup or
	// Credentials need, and outside of journeys; they must not change accounts. They are set before the first change.
	// OnRemoved is to end the account's sessions: what they keep after it returns stays in the database for ever.
	// OnLocked is to end them, too.
	OnAdded    func(ctx context.Context, name string)
	OnRemoved  func(ctx context.Context, a Account)
	OnPassword func(ctx context.Context, name string)
	OnLocked   func(ctx context.Context, name string)

	// fixed
	opts    Options
	store   *store.Store
	log     *slog.Logger
	secret  secret
	nobody  sasl.Credentials // what no password belongs to
	seed    maphash.Seed
	hashing chan struct{} // a place for each password that is being hashed
	legacy  bool          // fixed after UseLegacy

	shards  [64]shard
	count   atomic.Int64
	lacking atomic.Int64  // accounts without a verifier for SCRAM-SHA-1
	version atomic.Uint64 // counts accounts that come and go
	names   atomic.Pointer[nameList]

	changing chan struct{} // holds one: whoever changes accounts
	// guarded by changing
	next  store.Owner
	looks map[string]string // from what a name looks like to the name
}

// nameList is what Everyone returns, as it was after so many changes.
type nameList struct {
	changes uint64
	names   []string
	version string
}

// shard is a part of all accounts.
type shard struct {
	mu      sync.RWMutex
	entries map[string]*entry // guarded by mu
}

// entry is an account with its credentials. It never changes; a new password makes a new one.
type entry struct {
	Account
	credentials verifiers
}

// Open loads all accounts. At the first start it makes the secret of the server, which is durable soon after the
// committer of the store runs. Errors are those of the store.
func Open(ctx context.Context, st *store.Store, o Options) (*Accounts, error) {
	if o.Iterations == 0 {
		o.Iterations = DefaultIterations
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Accounts{
		opts: o, store: st, log: o.Logger, seed: maphash.MakeSeed(), next: 1, looks: map[string]string{},
		hashing: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), changing: make(chan struct{}, 1),
	}
	for i := range a.shards {
		a.shards[i].entries = map[string]*entry{}
	}
	var err error
	if a.secret, err = loadSecret(ctx, st); err != nil {
		return nil, err
	}
	a.nobody = a.secret.credentials(o.Iterations)
	if err := a.load(ctx); err != nil {
		return nil, fmt.Errorf("auth: load the accounts: %w", err)
	}
	return a, nil
}

// shardOf is where a name is or would be.
func (a *Accounts) shardOf(name string) *shard {
	return &a.shards[maphash.String(a.seed, name)%uint64(len(a.shards))]
}

func (a *Accounts) find(name string) *entry {
	s := a.shardOf(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries[name]
}

// put makes an entry known in place of the one that has its name.
func (a *Accounts) put(e *entry) {
	s := a.shardOf(e.Name)
	s.mu.Lock()
	old, known := s.entries[e.Name]
	s.entries[e.Name] = e
	s.mu.Unlock()
	a.lacking.Add(e.lacks() - old.lacks())
	if !known {
		a.looks[skeleton(e.Name)] = e.Name
		a.count.Add(1)
		a.version.Add(1)
	}
}

// drop makes an entry unknown.
func (a *Accounts) drop(e *entry) {
	s := a.shardOf(e.Name)
	s.mu.Lock()
	delete(s.entries, e.Name)
	s.mu.Unlock()
	if look := skeleton(e.Name); a.looks[look] == e.Name {
		delete(a.looks, look)
	}
	a.count.Add(-1)
	a.lacking.Add(-e.lacks())
	a.version.Add(1)
}

// Lookup finds an account by its canonical localpart, as jid.JID.Local returns it. It answers from memory.
func (a *Accounts) Lookup(name string) (Account, bool) {
	if e := a.find(name); e != nil {
		return e.Account, true
	}
	return Account{}, false
}

// Find is Lookup for names as people type them.
func (a *Accounts) Find(name string) (Account, bool) {
	local, err := jid.Localpart(name)
	if err != nil {
		return Account{}, false
	}
	return a.Lookup(local)
}

// Credentials returns what is kept of an account's password for SCRAM-SHA-256. For a name without an account it makes up credentials
// that nobody has the password of, the same ones every time, so that one cannot ask the server who exists
// (RFC 5802 §9).
func (a *Accounts) Credentials(name string) sasl.Credentials {
	fake := a.madeUp(name) // always, so that it takes the same time
	if e := a.find(name); e != nil {
		return e.credentials.Credentials
	}
	return fake
}

// madeUp are the credentials of a name without an account. The salt, which is shown, is the name's own.
func (a *Accounts) madeUp(name string) sasl.Credentials {
	c := a.nobody
	c.Salt = a.secret.salt(name)
	return c
}

// Count is the number of accounts.
func (a *Accounts) Count() int { return int(a.count.Load()) }

// All returns all accounts, sorted by name.
func (a *Accounts) All() []Account {
	all := make([]Account, 0, a.Count())
	for i := range a.shards {
		s := &a.shards[i]
		s.mu.RLock()
		for _, e := range s.entries {
			all = append(all, e.Account)
		}
		s.mu.RUnlock()
	}
	slices.SortFunc(all, func(x, y Account) int { return cmp.Compare(x.Name, y.Name) })
	return all
}

// Names returns the names of all accounts, sorted. The slice is shared: it must not be changed.
func (a *Accounts) Names() []string {
	names, _ := a.Everyone()
	return names
}

// Everyone returns the names of all accounts, sorted, and a version that is another one after every change, across
// restarts, too. The slice is shared: it must not be changed.
func (a *Accounts) Everyone() (names []string, version string) {
	changes := a.version.Load() // before the accounts are looked at
	if known := a.names.Load(); known != nil && known.changes == changes {
		return known.names, known.version
	}
	all := a.All()
	names = make([]string, len(all))
	var last store.Owner
	for i := range all {
		names[i], last = all[i].Name, max(last, all[i].Owner)
	}
	// Numbers are never given again: as long as the last account is there, only removals change anything, and their number
	// tells which.
	version = fmt.Sprintf("%d-%d", last, len(all))
	a.names.Store(&nameList{changes: changes, names: names, version: version})
	return names, version
}
