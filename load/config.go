package load

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

// Error is what keeps a measurement from being made when its user can do something about it.
type Error struct {
	Why string
	Fix string // a line break begins another way out
}

// Error says why.
func (e *Error) Error() string { return e.Why }

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

	patience time.Duration // how long one sign-in, or one answer, may take; 0: a minute
}

// Check says what is wrong with the settings themselves; Run begins with it.
func (c *Config) Check() error {
	i := slices.IndexFunc(scenarios(), func(s scenario) bool { return s.name == c.Scenario })
	if i < 0 {
		return fmt.Errorf("there is no scenario %q", c.Scenario)
	}
	s := scenarios()[i]
	switch {
	case !slices.Contains([]string{StartTLS, Direct, NoTLS}, c.TLS):
		return oneOf("--tls", c.TLS, StartTLS, Direct, NoTLS)
	case !slices.Contains([]string{ScramSHA256, ScramSHA1, Plain}, c.Mechanism):
		return oneOf("--mechanism", c.Mechanism, ScramSHA256, ScramSHA1, Plain)
	case s.name == "fanout" && !slices.Contains([]string{Broadcast, Room}, c.Via):
		return oneOf("--via", c.Via, Broadcast, Room)
	case len(c.Accounts) < s.least:
		return fmt.Errorf("%s needs %d accounts, and there are %d", s.name, s.least, len(c.Accounts))
	case c.Body < minBody:
		return fmt.Errorf("a body needs at least %d bytes, for a number and a time", minBody)
	case c.Window < 1:
		return errors.New("a window of less than 1 lets nobody send")
	case s.name == "rate" && !(c.Rate > 0):
		return errors.New("the rate has to be more than nothing")
	case (s.name == "offline" || s.name == "history") && c.Messages < 1:
		return errors.New("each account needs at least 1 message")
	case c.Duration <= 0 || c.Warmup < 0:
		return errors.New("the duration has to be more than nothing, and the warm-up no less")
	case c.Sources < 0:
		return errors.New("there cannot be less than no source addresses")
	}
	return c.distinct()
}

func oneOf(what, given string, choices ...string) error {
	return fmt.Errorf("%s cannot be %q: it is one of %s", what, given, strings.Join(choices, ", "))
}

// distinct refuses an account that is there twice: each would end the session of the other.
func (c *Config) distinct() error {
	names := make(map[string]struct{}, len(c.Accounts))
	for _, a := range c.Accounts {
		if _, twice := names[a.Name]; twice {
			return fmt.Errorf("the account %s is there twice", a.Name)
		}
		names[a.Name] = struct{}{}
	}
	return nil
}

func (c *Config) progress(what string, done, total float64) {
	if c.Progress != nil {
		c.Progress(what, done, total)
	}
}
