// Package im is the hall: accounts, their sessions, routing, presence, the roster and the block list, and what an
// extension is.
//
// One goroutine, the sender's reader, carries a message from his socket to the recipient's outbox:
//
//	c2s reader ─ Session.Receive     parse, stamp 'from', begin the journey
//	           ─ Account.send        the sender's turn: block list, what he sent before (repeat.go), Sending steps (his archive)
//	           ─ Server.Route        whose domain, which account; a loop, never recursion
//	           ─ Account.arrive      the recipient's turn: block list, targets (RFC 6121 §8.5), Arriving steps (archive)
//	           ─ Session.send        bytes into the outbox, with the number of the batch they rest on
//	c2s writer ─ Session.Next        what is durable, in order; then, if the session is catching up, its Log
//
// An iq takes the same way as far as Route, then one look-up in a table; the extension's function returns the reply.
//
// # Locks
//
// Ranked, each taken only after those before it: journey (the store's gate), Server.agreeing (subscriptions),
// Account.mu (the turn), outbox.mu. Never two accounts; no I/O and no Route under Account.mu or outbox.mu. What states an account's condition (its presence,
// answers to probes, pushes of the block list) enters that account's queue inside the turn, and one goroutine
// at a time routes that queue, so that "unavailable" never overtakes "available".
//
// # Keeping
//
// Every message that must not be lost is in the recipient's Log before anybody sees it. A session is either live or
// catching up: then arriving messages are only kept, and the session's writer feeds it from the Log, page by page,
// until it has reached the end; it turns live inside one turn. Offline delivery, slow readers and (later) resumption
// are this one mechanism.
package im
