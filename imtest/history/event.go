// Package history holds what the clients of a test saw, as an append-only list of events, and the checker that finds in
// it whatever refutes the promise (docs/promise.md). Only tests import it.
//
//	Recorder   clients write events, one JSON line each
//	Check      reads them once, and applies one rule after the other: each is the refutation of one sentence
//
// The sentences are those of the promise: P1 to P7, P9, P13 and P14; Isolation and Origin are two that need no number:
// nobody is shown what is not for him, and nobody is shown what nobody wrote.
package history

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// Kind says what happened.
type Kind string

// The kinds of event. Those in the second group belong to a session: the one that a bind began and resumptions go on with.
const (
	Crash Kind = "crash" // the server, or its machine, has been ended without warning, and not yet begun again
	Stop  Kind = "stop"  // the server was asked to end in order
	Start Kind = "start" // it accepts connections again
	Quiet Kind = "quiet" // of a client: everybody has done, and it has read all that there is for it

	Bound    Kind = "bound"    // a new session
	Ready    Kind = "ready"    // it is available, has asked for copies, and an answer has covered both
	Send     Kind = "send"     // a stanza was written, as number N of the session; with Msg, when it is a message
	Ack      Kind = "ack"      // the server has counted up to H
	Resumed  Kind = "resumed"  // the session goes on on a new connection; the server has counted up to H, the client Seen
	Failed   Kind = "failed"   // the session is over, and was not to be; H < 0: the server did not say
	Refused  Kind = "refused"  // Msg came back as an error
	Receive  Kind = "receive"  // Msg came live or from the outbox
	Presence Kind = "presence" // somebody came, changed or went, says Text
	Lost     Kind = "lost"     // the connection is gone, the session may go on
	Left     Kind = "left"     // the client ended the session, or gave it up by binding anew
	Entry    Kind = "entry"    // one message of an archive, in answer to Query
	Page     Kind = "page"     // the end of a page: Query asked for what comes after After
)

// Via says in which form a message came.
type Via string

// The forms.
const (
	Direct Via = ""         // the message itself
	Sent   Via = "sent"     // a copy of what another device of the account sent
	Copied Via = "received" // a copy of what another device of the account got
)

// Event is one line of a history.
type Event struct {
	At      time.Duration `json:"at"` // since the recording began, by the monotonic clock
	Kind    Kind          `json:"kind"`
	Client  string        `json:"client,omitempty"`  // "account/device"; none: the test itself
	Session int           `json:"session,omitempty"` // a number of its own for each session
	N       int64         `json:"n,omitempty"`       // Send: the stanza's number; 64 bits, however the wire counts
	H       int64         `json:"h,omitempty"`       // likewise
	Msg     Msg           `json:"msg,omitempty"`     // "": not a message of this test
	Via     Via           `json:"via,omitempty"`
	IDs     []string      `json:"ids,omitempty"`   // Receive: what claims to be the account's stanza-id; Entry: the id
	Text    string        `json:"text,omitempty"`  // what came, when Msg is ""; otherwise for people
	Query   int           `json:"query,omitempty"` // one walk through an archive, of as many pages as it takes
	After   string        `json:"after,omitempty"`
	Asked   time.Duration `json:"asked,omitempty"` // Page: when it was asked for; Bound, Resumed: when the connection was
	All     bool          `json:"all,omitempty"`   // Page: nothing comes after it
	Audit   bool          `json:"audit,omitempty"` // Entry, Page: read by the test at the end; the device has not seen it
}

// Recorder takes events from any number of clients.
type Recorder struct {
	began time.Time

	mu       sync.Mutex
	events   []Event // guarded by mu
	sessions int     // guarded by mu: last number given
	queries  int     // guarded by mu
}

// NewRecorder begins a history.
func NewRecorder() *Recorder { return &Recorder{began: time.Now()} }

// Now is the time since the recording began.
func (r *Recorder) Now() time.Duration { return time.Since(r.began) }

// Add writes one event; its time is now.
func (r *Recorder) Add(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.At = time.Since(r.began)
	r.events = append(r.events, e)
}

// NewSession gives a number that no other session has.
func (r *Recorder) NewSession() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessions++
	return r.sessions
}

// NewQuery gives a number that no other walk through an archive has.
func (r *Recorder) NewQuery() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queries++
	return r.queries
}

// Events are those so far.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[:len(r.events):len(r.events)]
}

// Write writes events as JSON lines.
func Write(w io.Writer, events []Event) error {
	b := bufio.NewWriter(w)
	enc := json.NewEncoder(b)
	for _, e := range events {
		if err := enc.Encode(e); err != nil {
			return fmt.Errorf("history: write an event: %w", err)
		}
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("history: write: %w", err)
	}
	return nil
}

// Read reads what Write wrote.
func Read(r io.Reader) ([]Event, error) {
	var events []Event
	for dec := json.NewDecoder(r); ; {
		var e Event
		switch err := dec.Decode(&e); err {
		case nil:
			events = append(events, e)
		case io.EOF:
			return events, nil
		default:
			return events, fmt.Errorf("history: read event %d: %w", len(events)+1, err)
		}
	}
}
