package sasl

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/scram"

	"parley/xmpp/jid"
)

// Client is the client's side of one exchange.
type Client struct {
	// fixed
	who *scram.Client

	// owned by the caller of Step
	conv  *scram.ClientConversation
	state clientState
	nonce string
}

type clientState uint8

const (
	sendFirst clientState = iota
	awaitChallenge
	awaitSignature
	ended
)

// NewClient is the client's side of an exchange for an account, named by its localpart. authzid is normally "": to act
// for oneself. Errors: ErrName, ErrPassword.
func NewClient(name, password, authzid string) (*Client, error) {
	return newClient(name, password, authzid, nil)
}

// newClient lets a test choose the nonce.
func newClient(name, password, authzid string, nonce func() string) (*Client, error) {
	name, err := jid.Localpart(name)
	if err != nil {
		return nil, fmt.Errorf("sasl: %w", ErrName)
	}
	prepared, err := Prepare(password)
	if err != nil {
		return nil, fmt.Errorf("sasl: %w", err)
	}
	who, err := scram.SHA256.NewClientUnprepped(name, prepared, authzid)
	if err != nil {
		return nil, fmt.Errorf("sasl: make a client: %w", err)
	}
	if nonce != nil {
		who = who.WithNonceGenerator(nonce)
	}
	return &Client{who: who.WithMinIterations(MinIterations), conv: who.NewConversation()}, nil
}

// Again is a new exchange with the same name and password. What was computed from the password is remembered, so that
// signing in again with a server that has not changed its salt costs nothing.
func (c *Client) Again() *Client {
	return &Client{who: c.who, conv: c.who.NewConversation()}
}

// Step takes the server's message, nil at first, and returns the next one to send. With done the server has proven
// that it knows the account; only then is the client signed in, whatever else the server says. Errors end the
// exchange: ErrMalformed, ErrIterations, ErrProof (the server says that the password is wrong), ErrSignature.
//
// The step that answers the challenge computes for as long as the server's iteration count asks.
func (c *Client) Step(in []byte) (out []byte, done bool, err error) {
	state := c.state
	c.state = ended
	if len(in) > maxMessage || !utf8.Valid(in) {
		return nil, false, malformed("message")
	}
	switch state {
	case sendFirst:
		if out, err = c.first(in); err == nil {
			c.state = awaitChallenge
		}
		return out, false, err
	case awaitChallenge:
		if out, err = c.answer(string(in)); err == nil {
			c.state = awaitSignature
		}
		return out, false, err
	case awaitSignature:
		err = c.verify(string(in))
		return nil, err == nil, err
	}
	return nil, false, malformed("nothing, the exchange is over")
}

// first makes client-first-message (RFC 5802 §7).
func (c *Client) first(in []byte) ([]byte, error) {
	if len(in) > 0 {
		return nil, malformed("nothing before the client's first message")
	}
	out, err := c.conv.Step("")
	if err != nil {
		return nil, fmt.Errorf("sasl: client-first-message: %w", err)
	}
	_, c.nonce, _ = strings.Cut(out, ",r=")
	return []byte(out), nil
}

// answer takes server-first-message and makes client-final-message.
func (c *Client) answer(in string) ([]byte, error) {
	fields := strings.Split(in, ",")
	if len(fields) < 3 || !goodNonce(in, 0) || len(fields[0]) <= len("r=")+len(c.nonce) || fields[1] == "s=" {
		return nil, malformed("server-first-message")
	}
	count, ok := strings.CutPrefix(fields[2], "i=")
	if !ok || count == "" || strings.Trim(count, "0123456789") != "" {
		return nil, malformed("server-first-message")
	}
	// A number that is too long to be one is out of bounds as well.
	if n, err := strconv.Atoi(count); err != nil || n < MinIterations || n > MaxIterations {
		return nil, fmt.Errorf("sasl: server-first-message: %.20s: %w", count, ErrIterations)
	}
	out, err := c.conv.Step(in)
	if err != nil {
		return nil, malformed("server-first-message")
	}
	return []byte(out), nil
}

// verify takes server-final-message. The library compares in constant time.
func (c *Client) verify(in string) error {
	if strings.HasPrefix(in, "e=") {
		return fmt.Errorf("sasl: server-final-message: %w", ErrProof)
	}
	if _, err := c.conv.Step(in); err != nil || !c.conv.Valid() {
		return fmt.Errorf("sasl: server-final-message: %w", ErrSignature)
	}
	return nil
}
