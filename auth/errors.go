package auth

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"parley/xmpp/jid"
	"parley/xmpp/sasl"
)

// What names and passwords may be.
const (
	MaxName     = 64   // characters
	MinPassword = 10   // characters
	MaxPassword = 1024 // bytes
)

// Errors that errors.Is finds, for callers who need no more than the kind.
var (
	ErrExists  = errors.New("the account exists already")  // *ExistsError
	ErrUnknown = errors.New("there is no such account")    // *UnknownError
	ErrShort   = errors.New("the password is too short")   // *PasswordError with Short
	ErrBusy    = errors.New("too many attempts at a time") // of Lockout.Try and Accounts.Verify
)

// NameError says why a name cannot be one of an account. Its text is a sentence for people.
type NameError struct {
	Name   string // as it was given; the beginning of a long one
	Reason string // such as "it has a space"
}

func (e *NameError) Error() string {
	return fmt.Sprintf("%q cannot be a user name: %s", e.Name, e.Reason)
}

// badName makes a *NameError that is not longer than it must be.
func badName(name, reason string) error {
	if r := []rune(name); len(r) > 2*MaxName {
		name = string(r[:MaxName]) + "…"
	}
	return &NameError{Name: name, Reason: reason}
}

// ExistsError says that a name is taken. Its text is a sentence for people.
type ExistsError struct {
	Account Account // the one that has it
	Domain  string
	Given   string // the name that was asked for
}

func (e *ExistsError) Error() string {
	address := e.Account.Name + "@" + e.Domain
	added := e.Account.Created.Local().Format("2 Jan 2006")
	if e.CaseOnly() {
		return fmt.Sprintf("%q differs only in case from %s, which exists already (added %s)", e.Given, address, added)
	}
	return fmt.Sprintf("%s exists already (added %s)", address, added)
}

// CaseOnly tells whether the name was written with other capitals than the one that exists.
func (e *ExistsError) CaseOnly() bool {
	return e.Given != e.Account.Name && strings.EqualFold(e.Given, e.Account.Name)
}

// Is makes errors.Is find ErrExists.
func (e *ExistsError) Is(target error) bool { return target == ErrExists }

// UnknownError says that there is no account of a name. Its text is a sentence for people.
type UnknownError struct{ Name, Domain string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("nobody on %s is called %q", e.Domain, e.Name)
}

// Is makes errors.Is find ErrUnknown.
func (e *UnknownError) Is(target error) bool { return target == ErrUnknown }

// PasswordError says why a password is refused. Its text is a sentence for people and quotes nothing of the password.
type PasswordError struct {
	Short  bool   // it is one, but too short
	Reason string // such as "it has 5 characters, at least 10 are needed"
}

func (e *PasswordError) Error() string {
	if e.Short {
		return "the password is too short: " + e.Reason
	}
	return "this cannot be a password: " + e.Reason
}

// Is makes errors.Is find ErrShort.
func (e *PasswordError) Is(target error) bool { return target == ErrShort && e.Short }

// Locked says that an account does not let anybody sign in for a while, from everywhere or from one network. Its text
// is a sentence for people.
type Locked struct{ Remaining time.Duration }

func (e *Locked) Error() string {
	return fmt.Sprintf("too many wrong passwords; try again in %d seconds", e.Seconds())
}

// Seconds is the remaining time in whole seconds, rounded up.
func (e *Locked) Seconds() int { return int((e.Remaining + time.Second - 1) / time.Second) }

// CheckName returns a name in its canonical form, or a *NameError if no account can have it. Whether one has it
// already, or one that looks like it, is not asked.
func CheckName(name string) (string, error) {
	if reason := objection(name); reason != "" {
		return "", badName(name, reason)
	}
	local, err := jid.Localpart(name)
	if err != nil {
		return "", badName(name, "it has characters that names cannot have")
	}
	if utf8.RuneCountInString(local) > MaxName {
		return "", badName(name, fmt.Sprintf("it is longer than %d characters", MaxName))
	}
	if reason := mixture(local); reason != "" {
		return "", badName(name, reason)
	}
	return local, nil
}

// objection says what is plainly wrong with a name, or nothing.
func objection(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case !utf8.ValidString(name):
		return "it is not UTF-8 text"
	case strings.ContainsFunc(name, unicode.IsSpace):
		return "it has a space"
	case utf8.RuneCountInString(name) > 4*MaxName: // before anything is computed from it
		return fmt.Sprintf("it is longer than %d characters", MaxName)
	case strings.Contains(name, "@"):
		return "it has an @; the name alone is enough"
	}
	if i := strings.IndexAny(name, `"&'/:<>`); i >= 0 {
		return fmt.Sprintf("it has the character %c", name[i])
	}
	return ""
}

// checkPassword returns a *PasswordError if a new password is not to be taken. It may let a short one pass.
func checkPassword(password string, short bool) error {
	n := utf8.RuneCountInString(password)
	switch {
	case password == "":
		return &PasswordError{Reason: "it is empty"}
	case len(password) > MaxPassword:
		return &PasswordError{Reason: fmt.Sprintf("it is longer than %d bytes", MaxPassword)}
	case n < MinPassword && !short:
		chars := "characters"
		if n == 1 {
			chars = "character"
		}
		return &PasswordError{Short: true, Reason: fmt.Sprintf("it has %d %s, at least %d are needed", n, chars, MinPassword)}
	}
	if _, err := sasl.Prepare(password); err != nil {
		return &PasswordError{Reason: "it has control characters or others that cannot be typed everywhere"}
	}
	return nil
}
