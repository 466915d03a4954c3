// Package store keeps what must survive: the Log, an append-only history per owner, and KV, small values per owner.
//
// Both sit behind one gate. A journey (one stanza's way through the server, with all that it causes) holds the gate for
// reading from Begin to End; everything it writes gathers in the current batch. The committer takes the gate for writing
// only while it swaps the batch, so a batch never cuts a journey in two, and the ids an owner's entries got in one batch
// are all lower than those of the next. It then writes and syncs the batch in one transaction and publishes its number,
// a Mark, as durable. There is no waiting window: batches form by what gathers while the last one is being written.
//
// Whoever sends something that rests on what was written keeps it back until that Mark is durable (Notify, Wait).
// Reads see everything that was written before them, durable or not; an answer made from a read therefore rests on
// Store.Mark.
//
// Locks are ranked: gate, then the account's turn of the caller, then the store's own. Nothing that waits may happen
// inside a journey: no read from disk (Load the owner first), no second Begin, no network. An answer to many recipients
// is cut into several journeys.
package store

import (
	"errors"
	"time"
)

// Owner is the internal number of an account; 0 is the server itself. It is never given to another account again.
// Numbers are below 1<<48.
type Owner uint64

// ID is an entry's place in its owner's Log: 1, 2, 3 … in commit order and without gaps. 0 is no entry.
// IDs are never used twice, not even after Trim.
type ID uint64

// Mark is the number of a batch. What rests on Mark m may be shown when Durable() ≥ m; 0 rests on nothing.
type Mark uint64

// Entry is one piece of an owner's history.
type Entry struct {
	ID   ID
	Time time.Time // UTC, kept to the nanosecond; Append takes the present for the zero value
	Peer string    // bare address of the other side
	Sent bool      // the owner wrote it
	Note uint64    // what its writer notes beside it; opaque to the store, and not changed by Replace
	Body []byte    // opaque to the store
}

// Head is where an owner's Log stands: the last id ever given, and the last one trimmed away. All ids in between exist.
type Head struct {
	Owner       Owner
	Last, Floor ID
}

// Query selects a stretch of a Log. The zero value is all of it, oldest first.
type Query struct {
	After, Before ID     // exclusive bounds; 0 is open
	Backward      bool   // newest first
	Limit         int    // at most so many entries; 0 is no limit
	Peer          string // only entries with this Peer; "" is any
}

// Pair is one value of KV with the key it is kept under.
type Pair struct {
	Owner Owner
	Key   string
	Value []byte
}

// Waker is told once that a Mark has become durable. Durable is called with no lock held, by the committer: it must not
// block.
type Waker interface{ Durable() }

// Errors of the store; errors.Is finds them through what is wrapped around them.
var (
	// ErrNotFound says that there is no such entry or value.
	ErrNotFound = errors.New("not found")
	// ErrFull says that nothing can be stored at the moment, because the disk is full or the database is busy. What the
	// journey wants to store must be refused; the state passes by itself. It is the same from the begin of a journey to
	// its end, so a journey is refused as a whole.
	ErrFull = errors.New("the disk is full")
	// ErrFailed says that the store broke (see Store.Err); the process must stop.
	ErrFailed = errors.New("the store has failed")
	// ErrDisk says that the disk failed, or became read-only: the process must stop, for what a failed write left behind is
	// unknown until the database is opened again.
	ErrDisk = errors.New("the disk failed")
	// ErrClosed says that the store was closed or its Run has ended.
	ErrClosed = errors.New("the store is closed")
	// ErrNoJourney says that a write came without a journey of this store.
	ErrNoJourney = errors.New("a write needs a journey")
	// ErrInUse says that another process uses the data directory.
	ErrInUse = errors.New("the data directory is in use")
	// ErrCorrupt says that the database is damaged.
	ErrCorrupt = errors.New("the database is damaged")
	// ErrForeign says that the file is not one of Parley's databases.
	ErrForeign = errors.New("not a database of Parley")
	// ErrNewer says that a newer program wrote the database.
	ErrNewer = errors.New("the database is from a newer version")
)
