package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"parley/config"
)

// Exit codes; docs/configuration.md lists them too.
const (
	exitFailed      = 1   // for another reason
	exitUsage       = 2   // the command line is wrong, or a question has nobody to answer it
	exitConfig      = 3   // the settings are wrong
	exitSignIn      = 4   // signing in failed or is locked
	exitUnreachable = 5   // the server cannot be reached
	exitUntrusted   = 6   // the server's key is not trusted or has changed
	exitRefused     = 7   // the server refused
	exitEnded       = 8   // the server ended the session
	exitInterrupted = 130 // a second Ctrl-C, or one before there was anything to end
)

// A failure is what ends a command: the exit code and the three things that a person wants to know. Only what is
// needed; a line break in fix begins another way out, or goes on with the same when a space follows.
type failure struct {
	code           int
	what, why, fix string
	alarm          bool // what is no "error" but begins with a louder word of its own
}

// Error returns what happened, in one line.
func (f *failure) Error() string { return f.what }

// misuse makes the failure of a command line that is wrong.
func misuse(fix, what string, args ...any) error {
	return &failure{code: exitUsage, what: fmt.Sprintf(what, args...), fix: fix}
}

// asFailure turns any error into a failure.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	var c *config.Error
	if errors.As(err, &c) {
		f = &failure{code: exitConfig, what: c.What, why: c.Why, fix: c.Fix}
		if c.Usage {
			f.code = exitUsage
		}
		return f
	}
	if errors.Is(err, context.Canceled) {
		return &failure{code: exitInterrupted, what: "interrupted"}
	}
	return &failure{code: exitFailed, what: "something failed that should not", why: err.Error()}
}

// print writes the failure as people see it.
func (f *failure) print(w io.Writer) {
	text := f.what + "\n"
	if !f.alarm {
		text = "error: " + text
	}
	if f.why != "" {
		text += "  why  " + f.why + "\n"
	}
	for i, fix := range strings.Split(f.fix, "\n") {
		switch {
		case f.fix == "":
		case i == 0:
			text += "  fix  " + fix + "\n"
		case strings.HasPrefix(fix, " "):
			text += "      " + fix + "\n"
		default:
			text += "       or  " + fix + "\n"
		}
	}
	fmt.Fprint(w, harmless(text))
}

// harmless takes the controls out of a text that may hold what somebody else wrote, so that it cannot steer the
// terminal: C0 but for line breaks, C1, and what reverses the direction of writing.
func harmless(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r < ' ', r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return '\ufffd'
		}
		return r
	}, s)
}
