package sasl

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/scram"

	"parley/xmpp/jid"
)

// Lookup returns the credentials of the account with a name, which is a canonical localpart. For a name without an
// account it must make some up, always the same for the same name, so that the exchange goes on as for any other and
// fails at its end. An error stops the exchange before anything is sent; Step returns it wrapped.
type Lookup func(name string) (Credentials, error)

// Server is the server's side of one exchange. A new one is made for each <auth/>.
type Server struct {
	// fixed
	domain string
	lookup Lookup
	conv   *scram.ServerConversation

	// owned by the caller of Step
	state   serverState
	name    string
	refusal error // why the look-up stopped the exchange
}

type serverState uint8

const (
	awaitFirst serverState = iota
	awaitFirstAgain
	awaitFinal
	over
)

// NewServer is the server's side of an exchange with Mechanism or MechanismSHA1, in a domain (canonical, as
// jid.JID.Domain returns it). What lookup returns was made for that mechanism.
func NewServer(mechanism, domain string, lookup Lookup) *Server {
	return newServer(mechanism, domain, lookup, nil)
}

// newServer lets a test choose the nonce.
func newServer(mechanism, domain string, lookup Lookup, nonce func() string) *Server {
	s := &Server{domain: domain, lookup: lookup}
	server, err := hashOf(mechanism).NewServer(s.credentials)
	if err != nil {
		panic(fmt.Sprintf("sasl: a server cannot be made: %v", err)) // the library has no such case
	}
	if nonce != nil {
		server = server.WithNonceGenerator(nonce)
	}
	s.conv = server.NewConversation()
	return s
}

// Name is the user name, normalised as a localpart. It is known as soon as Lookup has been called, thus after the
// first step, before the client proved anything.
func (s *Server) Name() string { return s.name }

// Step takes a message of the client, nil if <auth/> had none, and returns the next one to send: first as a challenge;
// with done, together with the success. An error ends the exchange: ErrName, ErrAuthzid, ErrBinding, ErrMalformed or
// that of Lookup at the first message; ErrProof, ErrBinding or ErrMalformed at the second. After an error nothing of
// the exchange is to be sent.
func (s *Server) Step(in []byte) (out []byte, done bool, err error) {
	state := s.state
	s.state = over
	if len(in) > maxMessage || !utf8.Valid(in) {
		return nil, false, malformed("message")
	}
	switch state {
	case awaitFirst, awaitFirstAgain:
		if in == nil && state == awaitFirst {
			s.state = awaitFirstAgain
			return []byte{}, false, nil // an empty challenge asks for it (RFC 4422 §5.1)
		}
		if out, err = s.first(string(in)); err == nil {
			s.state = awaitFinal
		}
		return out, false, err
	case awaitFinal:
		out, err = s.final(string(in))
		return out, err == nil, err
	}
	return nil, false, malformed("nothing, the exchange is over")
}

// first takes client-first-message (RFC 5802 §7).
func (s *Server) first(in string) ([]byte, error) {
	if strings.HasPrefix(in, "p=") {
		return nil, fmt.Errorf("sasl: client-first-message: %w", ErrBinding)
	}
	if !goodNonce(in, 3) {
		return nil, malformed("client-first-message")
	}
	out, err := s.conv.Step(in)
	switch {
	case s.refusal != nil:
		return nil, fmt.Errorf("sasl: client-first-message: %w", s.refusal)
	case err != nil:
		return nil, malformed("client-first-message")
	}
	return []byte(out), nil
}

// credentials is called by the library when it has read the client's first message.
func (s *Server) credentials(name string) (scram.StoredCredentials, error) {
	var c Credentials
	s.name, s.refusal = identify(s.domain, name, s.conv.AuthzID())
	if s.refusal == nil {
		c, s.refusal = s.lookup(s.name)
	}
	return c.stored(), s.refusal
}

// identify returns the account that a client claims, if it may act for whom it wants to (RFC 6120 §6.3.8).
func identify(domain, name, authzid string) (string, error) {
	local, err := jid.Localpart(name)
	if err != nil {
		return "", ErrName
	}
	if authzid == "" {
		return local, nil
	}
	as, at := authzid, domain
	if strings.Contains(authzid, "@") {
		j, err := jid.Parse(authzid)
		if err != nil || !j.IsBare() {
			return "", ErrAuthzid
		}
		as, at = j.Local(), j.Domain()
	} else if as, err = jid.Localpart(authzid); err != nil {
		return "", ErrAuthzid
	}
	if as != local || at != domain {
		return "", ErrAuthzid
	}
	return local, nil
}

// final takes client-final-message (RFC 5802 §7). The library compares in constant time.
func (s *Server) final(in string) ([]byte, error) {
	out, err := s.conv.Step(in)
	switch {
	case err == nil && s.conv.Valid():
		return []byte(out), nil
	case out == scram.ErrInvalidProof:
		return nil, fmt.Errorf("sasl: client-final-message: %w", ErrProof)
	case out == scram.ErrChannelBindingsDontMatch:
		return nil, fmt.Errorf("sasl: client-final-message: %w", ErrBinding)
	}
	return nil, malformed("client-final-message")
}

// goodNonce tells whether a message's field at an index is a nonce: printable, not empty (RFC 5802 §7).
func goodNonce(message string, index int) bool {
	fields := strings.Split(message, ",")
	if index >= len(fields) {
		return false
	}
	nonce, ok := strings.CutPrefix(fields[index], "r=")
	return ok && nonce != "" && !strings.ContainsFunc(nonce, func(r rune) bool { return r <= ' ' || r > '~' })
}
