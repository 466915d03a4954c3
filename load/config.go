package load

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// The ways to protect a connection.
const (
	StartTLS = "starttls"
	Direct   = "direct" // TLS from the first byte (XEP-0368)
	NoTLS    = "none"
)

// The mechanisms of signing in.
const (
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA1   = "SCRAM-SHA-1"
	Plain       = "PLAIN"
)

// Config says what is measured, and where.
type Config struct {
	Scenario string
	HostPort string
	Domain   string // "": the server says
	TLS      string // StartTLS, Direct or NoTLS; the server's key is not checked

	Mechanism string
	Accounts  []Account // who signs in; scenarios with pairs need an even number
	Register  bool      // make the accounts first (XEP-0077); one that is there already is no error
	Managed   bool      // with stream management (XEP-0198)
	Full      bool      // messages go to full addresses, else to bare ones
	Sources   int       // source addresses, 127.0.0.1 and so on: one has no more than 28,000 ports; 0: as the system chooses

	Window   int           // what is under way at once: messages of a pair, sign-ins, broadcasts
	Rate     float64       // messages a second, for "rate"
	Messages int           // messages for each account, for "offline" and "history"
	Body     int           // bytes of a message's body
	Via      string        // "broadcast" or "room", for "fanout"
	Warmup   time.Duration // passes before anything is counted
	Duration time.Duration // is counted

	PID      int                                    // the server's process, whose time and memory are told; 0: unknown
	Progress func(what string, done, total float64) // may be nil; called from one goroutine at a time
}

func (c *Config) check() error {
	switch {
	case !slices.Contains([]string{StartTLS, Direct, NoTLS}, c.TLS):
		return fmt.Errorf("%q is none of %s, %s, %s", c.TLS, StartTLS, Direct, NoTLS)
	case !slices.Contains([]string{ScramSHA256, ScramSHA1, Plain}, c.Mechanism):
		return fmt.Errorf("%q is none of %s, %s, %s", c.Mechanism, ScramSHA256, ScramSHA1, Plain)
	case len(c.Accounts) < 2:
		return errors.New("at least two accounts are needed")
	case c.Body < minBody:
		return fmt.Errorf("a body needs at least %d bytes, for a number and a time", minBody)
	case c.Window < 1:
		return errors.New("a window of less than 1 lets nobody send")
	case c.Duration <= 0:
		return errors.New("the duration has to be more than nothing")
	}
	return nil
}

func (c *Config) progress(what string, done, total float64) {
	if c.Progress != nil {
		c.Progress(what, done, total)
	}
}
