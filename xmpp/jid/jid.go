// Package jid is the address format of XMPP (RFC 7622): localpart@domainpart/resourcepart, in its one canonical form.
//
// A JID can only be made by normalising, so two addresses are the same exactly if the values are equal with ==, and
// rendering one and parsing it again gives it back. What is canonical already, which is nearly everything that a
// client sends, is recognised in one pass over the bytes and costs no memory.
package jid

import (
	"fmt"
	"strings"
)

// MaxPart is the most bytes that each of the three parts may have (RFC 7622 §3.2 to §3.4).
const MaxPart = 1023

// JID is an address in canonical form. The zero value is no address. JIDs are compared with == and may be keys of maps.
type JID struct {
	full string // canonical
	// Equal full strings always have equal offsets, because a canonical string can be cut in one way only.
	local uint16 // bytes of the localpart, 0 if there is none
	bare  uint16 // bytes before the resource's slash, or all
}

// Parse normalises an address (RFC 7622 §3): the localpart by the UsernameCaseMapped profile of PRECIS, the domainpart
// to lower-case U-labels without a trailing dot, the resourcepart by the OpaqueString profile. IPv4 addresses and IPv6
// addresses in brackets are domainparts too. Errors are of type *Error.
//
// The result of an already canonical s shares its memory.
func Parse(s string) (JID, error) {
	if j, ok := parseCanonical(s); ok {
		return j, nil
	}
	return parse(s)
}

// parse is Parse for everything that is not canonical ASCII.
func parse(s string) (JID, error) {
	// The order matters (RFC 7622 §3.1): a resource may hold @ and /.
	rest, resource, hasResource := strings.Cut(s, "/")
	local, domain, hasLocal := strings.Cut(rest, "@")
	if !hasLocal {
		local, domain = "", rest
	}
	switch {
	case hasLocal && local == "":
		return JID{}, &Error{Part: Local, Reason: "empty"}
	case hasResource && resource == "":
		return JID{}, &Error{Part: Resource, Reason: "empty"}
	}
	return New(local, domain, resource)
}

// New normalises the three parts as Parse does and puts them together. An empty local or resource means that the
// address has none. Errors are of type *Error.
func New(local, domain, resource string) (JID, error) {
	var err error
	if local != "" {
		if local, err = Localpart(local); err != nil {
			return JID{}, err
		}
	}
	if domain, err = domainpart(domain); err != nil {
		return JID{}, err
	}
	if resource != "" {
		if resource, err = resourcepart(resource); err != nil {
			return JID{}, err
		}
	}
	return join(local, domain, resource), nil
}

// join puts canonical parts together.
func join(local, domain, resource string) JID {
	bare := domain
	if local != "" {
		bare = local + "@" + domain
	}
	full := bare
	if resource != "" {
		full = bare + "/" + resource
	}
	return JID{full: full, local: uint16(len(local)), bare: uint16(len(bare))}
}

// MustParse is Parse for constants and tests; it panics on an error.
func MustParse(s string) JID {
	j, err := Parse(s)
	if err != nil {
		panic(fmt.Sprintf("jid: parse %q: %v", s, err))
	}
	return j
}

// Local is the part before the @, "" if there is none.
func (j JID) Local() string { return j.full[:j.local] }

// Domain is the part that names the server, "" only in the zero value.
func (j JID) Domain() string { return j.full[j.domainAt():j.bare] }

// Resource is the part behind the first slash, "" if there is none.
func (j JID) Resource() string {
	if j.IsBare() {
		return ""
	}
	return j.full[j.bare+1:]
}

// String is the whole address, "" for the zero value. It allocates nothing.
func (j JID) String() string { return j.full }

// Bare is the address without its resource. It allocates nothing.
func (j JID) Bare() JID { return JID{full: j.full[:j.bare], local: j.local, bare: j.bare} }

// Server is the domain alone as an address. It allocates nothing.
func (j JID) Server() JID {
	domain := j.Domain()
	return JID{full: domain, bare: uint16(len(domain))}
}

// WithResource is the bare address with resource r, normalised; an empty r gives the bare address. Errors are of
// type *Error.
func (j JID) WithResource(r string) (JID, error) {
	if r == "" {
		return j.Bare(), nil
	}
	if j.IsZero() {
		return JID{}, &Error{Part: Domain, Reason: "empty"}
	}
	r, err := resourcepart(r)
	if err != nil {
		return JID{}, err
	}
	return JID{full: j.full[:j.bare] + "/" + r, local: j.local, bare: j.bare}, nil
}

// IsZero tells whether j is no address.
func (j JID) IsZero() bool { return j.full == "" }

// IsBare tells whether j has no resource.
func (j JID) IsBare() bool { return int(j.bare) == len(j.full) }

// IsServer tells whether j is a domain alone: an address without local part and resource.
func (j JID) IsServer() bool { return j.local == 0 && j.IsBare() && !j.IsZero() }

// Compare orders addresses by the bytes of their canonical form: -1, 0 (exactly if j == o) or 1.
func (j JID) Compare(o JID) int { return strings.Compare(j.full, o.full) }

// domainAt is where the domainpart begins.
func (j JID) domainAt() uint16 {
	if j.local == 0 {
		return 0
	}
	return j.local + 1
}
