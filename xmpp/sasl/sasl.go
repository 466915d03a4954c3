// Package sasl is SCRAM-SHA-256 (RFC 5802, RFC 7677), the way in which passwords are proven, for both sides of the wire:
// [Server] and [Client] are state machines that take a message and return the next one. They do no I/O; the elements
// around the messages (RFC 6120 §6.4) are the caller's, [Encode] and [Decode] are the text inside them.
//
// For old clients a server can do SCRAM-SHA-1 and PLAIN ([ReadPlain]) too. The client's side knows neither, so that
// nobody can talk our own client into them.
package sasl

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// The names of the mechanisms, as they stand in lists and in the attribute of <auth/>.
const (
	Mechanism     = "SCRAM-SHA-256" // always there, and the only one of Client
	MechanismSHA1 = "SCRAM-SHA-1"   // RFC 5802
	Plain         = "PLAIN"         // RFC 4616: the password itself, thus inside TLS only
)

// The iteration counts that are made and accepted: below, a stolen proof is too cheap to try passwords on (RFC 7677 §4);
// above, a hostile server would make its clients compute for ever.
const (
	MinIterations = 4096
	MaxIterations = 5_000_000
)

// maxMessage bounds the bytes of one message; the longest sensible one, with every character of name and
// authorization identity escaped, is shorter.
const maxMessage = 16 << 10

// Errors of exchanges; errors.Is finds them through what is wrapped around them. Only ErrProof means that somebody
// tried a password that is wrong.
var (
	// ErrProof: the proof was computed from a wrong password. RFC 6120 §6.5.10, not-authorized.
	ErrProof = errors.New("wrong password")
	// ErrName: the user name cannot be one of an account (RFC 7622 §3.3). RFC 6120 §6.5.10, not-authorized.
	ErrName = errors.New("not a user name")
	// ErrAuthzid: the client wants to act for somebody else. RFC 6120 §6.5.6, invalid-authzid.
	ErrAuthzid = errors.New("the authorization identity is not the account's own")
	// ErrBinding: the client asks for channel binding, or what it bound to is not what it said first. RFC 6120 §6.5.10.
	ErrBinding = errors.New("channel binding refused")
	// ErrMalformed: a message that RFC 5802 §7 does not allow at this point. RFC 6120 §6.5.8, malformed-request.
	ErrMalformed = errors.New("malformed message")
	// ErrEncoding: text that is not strict base64. RFC 6120 §6.5.5, incorrect-encoding.
	ErrEncoding = errors.New("not base64")
	// ErrIterations: the server asks for fewer than MinIterations or more than MaxIterations.
	ErrIterations = errors.New("iteration count out of bounds")
	// ErrSignature: the server did not prove that it knows the account; somebody may be in between.
	ErrSignature = errors.New("the server did not prove that it knows the password")
	// ErrPassword: the password holds what no password may (RFC 8265 §4.2), such as control characters, or nothing.
	ErrPassword = errors.New("not a password: it is empty or has characters that passwords cannot have")
)

// malformed is ErrMalformed with what was expected.
func malformed(expected string) error { return fmt.Errorf("sasl: %s: %w", expected, ErrMalformed) }

// Encode is the text of an element that carries data (RFC 6120 §6.4.2): nothing for nil, "=" for data of no bytes.
func Encode(data []byte) string {
	if data != nil && len(data) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(data)
}

// Decode is the reverse of Encode: nil for no text, an empty slice that is not nil for "=". It refuses white space,
// missing padding and stray bits with ErrEncoding.
func Decode(text string) ([]byte, error) {
	switch text {
	case "":
		return nil, nil
	case "=":
		return []byte{}, nil
	}
	// The decoder of the standard library skips line breaks even when it is strict.
	if strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("sasl: decode: %w", ErrEncoding)
	}
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("sasl: decode: %w", ErrEncoding)
	}
	return data, nil
}
