package sasl

import (
	"crypto/hmac"
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
	return newCredentials(Mechanism, password, iterations)
}

// NewCredentialsSHA1 is NewCredentials for SCRAM-SHA-1: neither of the two can be computed from the other.
func NewCredentialsSHA1(password string, iterations int) (Credentials, error) {
	return newCredentials(MechanismSHA1, password, iterations)
}

func newCredentials(mechanism, password string, iterations int) (Credentials, error) {
	if iterations < MinIterations || iterations > MaxIterations {
		return Credentials{}, fmt.Errorf("sasl: make credentials: %d: %w", iterations, ErrIterations)
	}
	prepared, err := Prepare(password)
	if err != nil {
		return Credentials{}, fmt.Errorf("sasl: make credentials: %w", err)
	}
	salt := make([]byte, saltSize)
	rand.Read(salt) // never fails
	c, err := derive(mechanism, prepared, salt, iterations)
	if err != nil {
		return Credentials{}, fmt.Errorf("sasl: make credentials: %w", err)
	}
	return c, nil
}

// derive computes the credentials of a prepared password.
func derive(mechanism, prepared string, salt []byte, iterations int) (Credentials, error) {
	c, err := hashOf(mechanism).NewClientUnprepped("", prepared, "")
	if err != nil {
		return Credentials{}, err
	}
	stored, err := c.GetStoredCredentialsWithError(scram.KeyFactors{Salt: string(salt), Iters: iterations})
	return Credentials{Salt: salt, StoredKey: stored.StoredKey, ServerKey: stored.ServerKey, Iterations: iterations}, err
}

// hashOf is what a SCRAM mechanism computes with.
func hashOf(mechanism string) scram.HashGeneratorFcn {
	if mechanism == MechanismSHA1 {
		return scram.SHA1
	}
	return scram.SHA256
}

// Check returns ErrProof unless c, which were made for SCRAM-SHA-256, are those of this password. It computes as long
// as NewCredentials did, whether the password is right or not, and compares in constant time. A text that cannot be a
// password is a wrong one.
func (c Credentials) Check(password string) error {
	prepared, err := Prepare(password)
	if err != nil {
		return fmt.Errorf("sasl: check a password: %w", ErrProof)
	}
	is, err := derive(Mechanism, prepared, c.Salt, c.Iterations)
	if err != nil {
		return fmt.Errorf("sasl: check a password: %w", err)
	}
	if !hmac.Equal(is.StoredKey, c.StoredKey) {
		return fmt.Errorf("sasl: check a password: %w", ErrProof)
	}
	return nil
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
