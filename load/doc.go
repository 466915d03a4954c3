// Package load is the load generator behind `parley bench`: it signs many accounts in to a server that speaks XMPP, lets
// them do one kind of work, and says how much of it was done, how long it took, and whether anything was lost on the way.
//
//	Run ─ accounts ─ registration ─ one scenario: its own file
//	        │
//	        ├─ signIn    one goroutine for each sign-in under way: negotiation
//	        └─ loop      one goroutine for all connections that have signed in: epoll, reader, scenario
//
// The loop is lean because it shares the machine with the server that is measured: it frames what comes without checking
// it, and looks only at what a scenario needs. It believes the server; everything else of Parley does not.
package load
