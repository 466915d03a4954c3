package client

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"

	"parley/xmpp/stanza"
	"parley/xmpp/stream"
)

// Errors of signing in that need no more than their name.
var (
	ErrPassword       = errors.New("client: wrong name or password")
	ErrNotXMPP        = errors.New("client: what answers there does not speak XMPP")
	ErrNoTLS          = errors.New("client: the server offers no TLS")
	ErrName           = errors.New("client: that cannot be a user name")
	ErrNoMechanism    = errors.New("client: the server offers no way to sign in that this client knows")
	ErrServerProof    = errors.New("client: the server does not know the password it was given, so it is not the right one")
	ErrNoRegistration = errors.New("client: the server lets nobody register")
)

// UnreachableError tells that no server answered.
type UnreachableError struct {
	Tried []string // host:port
	Err   error    // of the last one tried
}

// Error says what was tried.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("client: reach %s: %v", strings.Join(e.Tried, " or "), e.Err)
}

// Unwrap is the error of the last attempt.
func (e *UnreachableError) Unwrap() error { return e.Err }

// LockedError tells that signing in is refused for a while, whatever the password.
type LockedError struct {
	For  time.Duration // 0: the server did not say how long
	Text string        // the server's words
}

// Error says for how long.
func (e *LockedError) Error() string {
	return fmt.Sprintf("client: sign-in is locked for %v: %s", e.For, e.Text)
}

// AuthError is any other refusal to sign in (RFC 6120 §6.5).
type AuthError struct {
	Condition string
	Text      string // the server's words, may be empty
}

// Error says the condition and the text.
func (e *AuthError) Error() string {
	return "client: sign-in refused: " + strings.TrimSuffix(e.Condition+": "+e.Text, ": ")
}

// RegisterError is a refusal to make an account (XEP-0077 §3.1).
type RegisterError struct {
	Err *stanza.Error // conflict: the name is taken; not-acceptable: name or password do not fit the server's rules
}

// Error says why.
func (e *RegisterError) Error() string { return "client: registration refused: " + e.Err.Error() }

// Unwrap is the server's error.
func (e *RegisterError) Unwrap() error { return e.Err }

// Reason is why a session ended.
type Reason uint8

// The reasons that people are told apart.
const (
	Lost      Reason = iota // the connection broke off
	LoggedOut               // by Close
	Closed                  // the server closed the stream without a reason
	Inactive                // nothing was done for too long: a rule of the server
	Shutdown                // the server stops
	Replaced                // another session took this one's place
	Refused                 // another stream error
)

// End is the end of a session: the last event, and the error of everything that was still waiting.
type End struct {
	Reason Reason
	After  time.Duration // Inactive: the length of the rule, 0 when the server did not say
	Text   string        // the server's words, may be empty
	Err    error         // Lost: how; a *stream.Error when the server sent one
}

// Error says the reason.
func (e *End) Error() string {
	words := [...]string{"connection lost", "logged out", "the server closed the stream", "signed out for inactivity",
		"the server stops", "replaced by another session", "the server ended the session"}
	s := "client: " + words[e.Reason]
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap is the error underneath.
func (e *End) Unwrap() error { return e.Err }

// Passing tells of an end that a client may answer by signing in again by itself: the connection broke off, the server
// stops or closed the stream without a reason, or had trouble of its own (RFC 6120 §4.9.3). Whoever was signed out,
// replaced or refused is not to come back unasked.
func (e *End) Passing() bool {
	switch e.Reason {
	case Lost, Closed, Shutdown:
		return true
	case Refused:
		var err *stream.Error
		if errors.As(e.Err, &err) {
			switch err.Condition {
			case stream.ConnectionTimeout, stream.InternalServerError, stream.ResourceConstraint, "reset":
				return true
			}
		}
	}
	return false
}

// lost is the end of a stream without a word of the server: in order, by a broken connection, or because what came was
// no XMPP.
func lost(err error) *End {
	if errors.Is(err, io.EOF) {
		return &End{Reason: Closed}
	}
	return &End{Reason: Lost, Err: err}
}

// endOf reads the reason from the server's stream error.
func endOf(e *stream.Error) *End {
	end := &End{Reason: Refused, Text: e.Text, Err: e}
	switch e.Condition {
	case stream.SystemShutdown:
		end.Reason = Shutdown
	case stream.Conflict:
		end.Reason = Replaced
	case stream.PolicyViolation:
		if e.App != nil && e.App.Name.Space == stanza.NSParley && e.App.Name.Local == "inactive" {
			end.Reason = Inactive
			if n, err := strconv.ParseUint(e.App.Attr("seconds"), 10, 31); err == nil {
				end.After = time.Duration(n) * time.Second
			}
		}
	}
	return end
}

var number = regexp.MustCompile(`\d{1,7}`)

// secondsIn finds the remaining time in the server's words ("Try again in 60 seconds."), 0 when there is none.
func secondsIn(text string) time.Duration {
	n, err := strconv.Atoi(number.FindString(text))
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
