package jid

import (
	"errors"
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/secure/precis"
)

// Part is one of the three parts of an address.
type Part string

// The parts, by the names that people know them by.
const (
	Local    Part = "local part"
	Domain   Part = "domain"
	Resource Part = "resource"
)

// Error says which part of an address is not one, and why. It quotes nothing of what it refuses: that may be long,
// hostile, or a password typed into the wrong field.
type Error struct {
	Part   Part
	Reason string // a few words, such as "too long"
	cause  error
}

// Error implements error.
func (e *Error) Error() string { return "jid: " + string(e.Part) + ": " + e.Reason }

// Unwrap returns what the profile of the part objected to, or nil.
func (e *Error) Unwrap() error { return e.cause }

// maxRaw is the most bytes that are looked at: mapping and composing may make a part shorter, but not by so much.
const maxRaw = 4 * MaxPart

// Localpart normalises a localpart alone (RFC 7622 §3.3), as names of accounts are before there is a domain to them.
// Errors are of type *Error.
func Localpart(s string) (string, error) {
	if plainLocal(s) {
		return s, nil
	}
	return normalise(Local, s, localProfile)
}

func localProfile(s string) (string, error) {
	s, err := precis.UsernameCaseMapped.String(s)
	if err == nil && strings.ContainsFunc(s, excluded) {
		err = &Error{Part: Local, Reason: `it has one of " & ' / : < > @`}
	}
	return s, err
}

// resourcepart normalises a resourcepart (RFC 7622 §3.4).
func resourcepart(s string) (string, error) {
	if plainResource(s) {
		return s, nil
	}
	return normalise(Resource, s, resourceProfile)
}

func resourceProfile(s string) (string, error) { return precis.OpaqueString.String(s) }

// domainpart normalises a domainpart (RFC 7622 §3.2).
func domainpart(s string) (string, error) {
	if end, ok := scanDomain(s, 0); ok && end == len(s) && end <= MaxPart {
		return s, nil
	}
	if strings.HasPrefix(s, "[") {
		return ipv6part(s)
	}
	return normalise(Domain, s, hostname)
}

// hostname maps a name to U-labels. What DNS asks beyond that (63 bytes a label, 253 in all) is left to DNS.
func hostname(s string) (string, error) {
	u, err := idna.Lookup.ToUnicode(s)
	if err != nil {
		return "", err
	}
	// After the mapping, because there are other full stops that map to the dot.
	u = strings.TrimSuffix(u, ".")
	for label := range strings.SplitSeq(u, ".") {
		if label == "" {
			return "", &Error{Part: Domain, Reason: "it has an empty label"}
		}
	}
	return u, nil
}

// ipv6part normalises an IP literal in brackets (RFC 3986 §3.2.2; written as RFC 5952 says).
func ipv6part(s string) (string, error) {
	inside, closed := strings.CutSuffix(s[1:], "]")
	ip, err := netip.ParseAddr(inside)
	if !closed || err != nil || !ip.Is6() || ip.Zone() != "" {
		return "", &Error{Part: Domain, Reason: "it is not an IPv6 address in brackets", cause: err}
	}
	return "[" + ip.String() + "]", nil
}

// normalise applies a profile to a part and checks what is true of every part: UTF-8, 1 to MaxPart bytes, and that the
// profile applied once more changes nothing. Profiles promise that, but accounts were stolen where one did not keep it.
func normalise(p Part, s string, profile func(string) (string, error)) (string, error) {
	switch {
	case s == "":
		return "", &Error{Part: p, Reason: "empty"}
	case len(s) > maxRaw:
		return "", &Error{Part: p, Reason: "too long"}
	case !utf8.ValidString(s):
		return "", &Error{Part: p, Reason: "not UTF-8"}
	}
	out, err := profile(s)
	if own := (*Error)(nil); errors.As(err, &own) {
		return "", err
	} else if err != nil {
		return "", &Error{Part: p, Reason: "it has characters that are not allowed there", cause: err}
	}
	switch {
	case out == "":
		return "", &Error{Part: p, Reason: "empty"}
	case len(out) > MaxPart:
		return "", &Error{Part: p, Reason: "too long"}
	case out == s:
		return out, nil
	}
	if again, err := profile(out); err != nil || again != out {
		return "", &Error{Part: p, Reason: "it has no stable form", cause: err}
	}
	return out, nil
}
