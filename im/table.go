package im

import (
	"hash/maphash"
	"sync"

	"parley/store"
)

const shards = 64

// table finds the accounts that are in memory, by localpart. A shard's mutex is held for the look-up alone.
type table struct {
	seed   maphash.Seed
	shards [shards]struct {
		mu       sync.Mutex
		accounts map[string]*Account // guarded by mu
	}
}

func (t *table) init() {
	t.seed = maphash.MakeSeed()
	for i := range t.shards {
		t.shards[i].accounts = map[string]*Account{}
	}
}

// get returns the account with that number, or puts the one in that fresh makes. An entry with another number is of
// an account that was removed, and is replaced.
func (t *table) get(localpart string, owner store.Owner, fresh func() *Account) *Account {
	s := &t.shards[maphash.String(t.seed, localpart)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[localpart]; a != nil && a.owner == owner {
		return a
	}
	a := fresh()
	if a != nil {
		s.accounts[a.jid.Local()] = a
	}
	return a
}

// find returns the account with that number if it is in memory; nil if it is not.
func (t *table) find(localpart string, owner store.Owner) *Account {
	s := &t.shards[maphash.String(t.seed, localpart)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.accounts[localpart]; a != nil && a.owner == owner {
		return a
	}
	return nil
}

func (t *table) remove(localpart string) *Account {
	s := &t.shards[maphash.String(t.seed, localpart)%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[localpart]
	delete(s.accounts, localpart)
	return a
}

// each visits every account, with no lock held while it visits.
func (t *table) each(visit func(*Account)) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		list := make([]*Account, 0, len(s.accounts))
		for _, a := range s.accounts {
			list = append(list, a)
		}
		s.mu.Unlock()
		for _, a := range list {
			visit(a)
		}
	}
}
