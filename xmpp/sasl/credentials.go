package sasl

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"unicode/utf8"

	"github.com/xdg-go/scram"
	"github.com/xdg-go/stringprep"
	"golang.org/x/text/secure/precis"
)

// saltSize is the bytes of salt of a new password.
const saltSize = 16

// Credentials are what a server keeps of a password (RFC 5802 §3): enough to check a proof and to prove itself, not
// enough to sign in with. They show nothing of themselves when printed or logged.
type Credentials struct {
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
	Iterations int
}

// String hides the keys.
func (Credentials) String() string { return "***" }

// GoString hides the keys from %#v.
func (Credentials) GoString() string { return "***" }

// LogValue hides the keys from slog.
func (Credentials) LogValue() slog.Value { return slog.StringValue("***") }

// NewCredentials derives credentials from a password with a new random salt. It computes for some milliseconds per
// 10,000 iterations. Errors: ErrPassword, ErrIterations.
func NewCredentials(password string, iterations int) (Credentials, error) {
	if iterations < MinIterations || iterations > MaxIterations {
		return Credentials{}, fmt.Errorf("sasl: make credentials: %d: %w", iterations, ErrIterations)
	}
	prepared, err := Prepare(password)
	if err != nil {
		return Credentials{}, fmt.Errorf("sasl: make credentials: %w", err)
	}
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails
	c, err := scram.SHA256.NewClientUnprepped("", prepared, "")
	if err != nil {
		return Credentials{}, fmt.Errorf("sasl: make credentials: %w", err)
	}
	stored, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	if err != nil {
		return Credentials{}, fmt.Errorf("sasl: make credentials: %w", err)
	}
	return Credentials{Salt: salt, StoredKey: stored.StoredKey, ServerKey: stored.ServerKey, Iterations: iterations}, nil
}

// stored is c as the library wants it.
func (c Credentials) stored() scram.StoredCredentials {
	return scram.StoredCredentials{
		KeyFactors: scram.KeyFactors{Salt: string(c.Salt), Iters: c.Iterations},
		StoredKey:  c.StoredKey,
		ServerKey:  c.ServerKey,
	}
}

// Prepare normalises a password as both sides must (RFC 5802 §2.2): by SASLprep. That knows no character younger than
// Unicode 3.2, no emoji among them; passwords that it refuses are taken by its successor, the OpaqueString profile
// (RFC 8265 §4.2). The one error is ErrPassword.
func Prepare(password string) (string, error) {
	if !utf8.ValidString(password) {
		return "", ErrPassword
	}
	if p, err := stringprep.SASLprep.Prepare(password); err == nil && p != "" {
		return p, nil
	}
	if p, err := precis.OpaqueString.String(password); err == nil && p != "" {
		return p, nil
	}
	return "", ErrPassword // without the cause, which quotes
}
