package store

import "context"

// Engine is a database under the store. The store gives ids, keeps order and answers reads of what is not yet durable;
// an engine only has to write batches and to read what it has written.
//
// Commit, Tend and Close are called by one goroutine at a time; the reads by any number, also during them. What an
// engine returns belongs to the caller. Errors about a damaged database wrap ErrCorrupt: the store stops on them.
type Engine interface {
	// Commit writes all of ops, in their order, or nothing; when it returns nil they survive a power cut. The byte
	// slices in ops are only borrowed. An error that wraps ErrFull (no room, busy) means nothing was written and the
	// same batch can be tried again; any other error is final, and what was written then is unknown.
	Commit(ops []Op) error

	// Tend does one short piece of housekeeping between two commits, if there is any to do; more asks to be called
	// again soon. idle says that nothing was written for a while. It is called after each Commit, and every second while
	// there is none. Errors are as for Commit: after one that wraps ErrFull the store takes nothing more, until Tend returns
	// nil. An engine should say so while there is still room for what has been taken already (Options.MaxPending).
	Tend(idle bool) (more bool, err error)

	// Head returns the owner's last id ever given and the last id trimmed away; both 0 for an unknown owner. All ids in
	// between exist.
	Head(ctx context.Context, o Owner) (last, floor ID, err error)

	// Range returns a page of the entries that q selects, at least one if there is one. q.Limit is never 0. more says
	// that the page ended before the stretch did (by q.Limit or by the engine's own bound in bytes); the rest is asked
	// for with a bound at the page's last entry. The caller keeps q within Head, thus q.Before is never 0; what was
	// trimmed since may be there or not.
	Range(ctx context.Context, o Owner, q Query) (page []Entry, more bool, err error)

	// Get returns a value, or ErrNotFound.
	Get(ctx context.Context, o Owner, key string) ([]byte, error)

	// All returns at most limit values of an owner whose keys begin with prefix and are not below from, in byte order.
	All(ctx context.Context, o Owner, prefix, from string, limit int) ([]Pair, error)

	// Each returns the value under key of at most limit owners not below from, in ascending order.
	Each(ctx context.Context, key string, from Owner, limit int) ([]Pair, error)

	// Close does the last housekeeping and lets everything go.
	Close() error
}

// Kind says what an Op does.
type Kind uint8

// Kinds of Op.
const (
	OpAppend  Kind = iota // Entry is added to the owner's Log
	OpReplace             // Entry.Body is the new body of Entry.ID, if that exists; never of one appended by the same Commit
	OpTrim                // all up to Entry.ID go
	OpSet                 // Value is kept under Key
	OpDelete              // Key goes
	OpForget              // all values of the owner go, and all entries up to Entry.ID
)

// Op is one write within a batch.
type Op struct {
	Kind  Kind
	Owner Owner
	Entry Entry
	Key   string
	Value []byte
}
