package sasl

import (
	"strings"
	"unicode/utf8"
)

// ReadPlain reads the one message of PLAIN (RFC 4616 §2): [authzid] NUL authcid NUL passwd, the last two not empty. It
// returns the user name, normalised as a localpart, and the password as it came, for [Credentials.Check]. Errors:
// ErrMalformed, ErrName, ErrAuthzid; with them the password has not been looked at, and does not count as wrong.
func ReadPlain(domain string, message []byte) (name, password string, err error) {
	if len(message) > maxMessage || !utf8.Valid(message) {
		return "", "", malformed("message")
	}
	parts := strings.Split(string(message), "\x00")
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return "", "", malformed("message of PLAIN")
	}
	if name, err = identify(domain, parts[1], parts[0]); err != nil {
		return "", "", err
	}
	return name, parts[2], nil
}
