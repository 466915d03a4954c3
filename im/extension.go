package im

import (
	"context"
	"errors"
	"time"

	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// Extension is one protocol extension, described as data. Every field but Name is optional. Extensions run in the
// order in which they are given to [Server.Use].
type Extension struct {
	Name     string
	Specs    []string // "XEP-0199 2.0.1"
	Features []string // announced by service discovery for the server's address
	Account  []string // announced by service discovery for every account's bare address

	Answers  []Answer  // iq payloads it replies to
	Before   Before    // every message that a local session sends to somebody, before its journey
	Sending  Step      // every stanza that a local session sends to somebody, before routing
	Arriving Step      // every message and iq that reaches a local account, before delivery
	Missed   Step      // a message that must be kept, because not every target can take it now
	Contact  Contact   // chat with the server's own address
	Commands []Command // ad-hoc commands (XEP-0050) it contributes
	Changed  func(Change)
	Closed   func(*Session) // the session is gone for good
	// Save is what the extension keeps with a session that is to be there again after a restart, and Restore gives it back.
	// Save is asked in the turn of the session's account, when the session has said that it has changed (see Slot.Set).
	Save    func(*Session) string
	Restore func(*Session, string)
	// CatchUp is asked what a session that is catching up gets for a message which its account has sent meanwhile, given
	// with its id; nil for nothing.
	CatchUp func(*Session, *stanza.Stanza) *stanza.Stanza
}

// Step sees one stanza on its way through one account, during that account's turn. It may replace d.Stanza and call
// d.Emit. An error ends the way: ErrDrop in silence, a *stanza.Error goes back to the sender, anything else is logged
// and becomes internal-server-error. It must not wait for a network or a disk, and must not call Route.
type Step func(ctx context.Context, d *Delivery) error

// ErrDrop, returned by a Step, ends a stanza's way in silence.
var ErrDrop = errors.New("im: dropped")

// Delivery is a stanza on its way through one account. It is valid during the turn: a Step keeps no pointer to it.
type Delivery struct {
	Stanza  *stanza.Stanza // immutable: replace it, never edit it
	Account *Account       // whose turn it is
	Session *Session       // the sending session while Sending, else nil
	Targets []*Session     // while Arriving: who gets the original (RFC 6121 §8.5)
	Journey store.Journey  // what the step writes belongs to it
	ID      store.ID       // the place in this account's Log, 0 if it was not kept

	// Copies are sessions of the account that get, beside the targets, what Wrap makes of the stanza as it stands at the end
	// of the turn, with its id. A copy rests on what the stanza rests on. Who cannot take it begins to catch up.
	Copies []*Session
	Wrap   func(*stanza.Stanza) *stanza.Stanza

	by      *Session // whose reader carries it and comes to Flush; nil: nobody's
	emitted []*stanza.Stanza
	late    bool // nobody is handling it: it was kept back by a session that has ended
}

// Emit hands over a stanza that follows from this one; it is routed after the turn.
func (d *Delivery) Emit(st *stanza.Stanza) { d.emitted = append(d.emitted, st) }

// Target says whom an Answer serves. The zero value is the strictest.
type Target uint8

// The targets.
const (
	AtSelf    Target = iota // the account's owner asks his own account (no 'to', or his bare address)
	AtAccount               // anybody asks an account's bare address
	AtServer                // anybody asks the server's address
)

// Reply answers one iq. Its result is the payload of the answer (nil: an empty one); an error is answered as one.
// There is no other way to reply.
type Reply func(ctx context.Context, q *Query) (*xml.Element, error)

// Answer replies to one iq payload. A nil Get or Set answers with feature-not-implemented.
type Answer struct {
	At   Target
	Name xml.Name
	Get  Reply // runs outside a journey: it may read the store, and writes nothing
	Set  Reply // runs inside a journey, q.Journey: what it writes is durable before the answer leaves
	// InTurn makes Get run in the turn of the account that is asked, which lasts until the answer is in the outbox: no push
	// of what changes afterwards overtakes it.
	InTurn bool
	// Outside makes Set run outside a journey, because it reads the store, or reaches many; it may Begin its own.
	Outside bool
	// Plain says that what Get answers rests on nothing that is kept. It waits for the disk only with what its asker has
	// written, and is thus at once there on a slow or stopped disk for who wrote nothing.
	Plain bool
}

// Query is an iq that asks.
type Query struct {
	Stanza  *stanza.Stanza
	Payload *xml.Element
	Session *Session      // who asks; nil when he is not of this server
	Account *Account      // who is asked; nil AtServer
	Journey store.Journey // for Set, see Answer
}

// Contact answers chat with the server's own address. It returns what the server says, "" for nothing, and whether it
// took the words as its own; the first that does ends the search.
type Contact func(ctx context.Context, s *Session, words string) (reply string, mine bool)

// Command is an ad-hoc command on the server's own address (XEP-0050). Its engine is ext/adhoc.
type Command struct {
	Node string
	Name string
	// Allowed tells who may see and run the command; nil: every account.
	Allowed func(*Session) bool
	// Form is what the command asks for; nil: nothing, it runs at once.
	Form func(*Session) *xml.Element
	// Run executes with the submitted form (nil when there is none) and returns a note in words and the result form.
	Run func(ctx context.Context, s *Session, form *xml.Element) (CommandResult, error)
}

// CommandResult is what a finished command shows.
type CommandResult struct {
	Note     string
	NoteType string       // "info" (also ""), "warn" or "error"
	Form     *xml.Element // may be nil
}

// Change is an account's coming (its first available session) or going (its last). It is told inside the account's
// turn: what the hook writes belongs to Journey.
type Change struct {
	Account *Account
	Online  bool
	Again   bool // it was there when the server ended
	Time    time.Time
	Journey store.Journey
}
