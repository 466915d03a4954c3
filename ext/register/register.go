// Package register is in-band registration (XEP-0077): what people do to their accounts from a client.
//
//	before sign-in    get → form, set username and password → a new account     [Stranger], used by c2s
//	signed in         get → registered; set username and password → changed; set <remove/> → the account is gone
//
// [Register.Watch] keeps the hall in step with the accounts, whoever changes them.
package register

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"parley/auth"
	"parley/im"
	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// NS is the namespace of registration.
const NS = "jabber:iq:register"

// Register is the extension for those who are signed in.
type Register struct {
	// fixed
	srv      *im.Server
	accounts *auth.Accounts
	log      *slog.Logger

	mu     sync.Mutex
	asking map[string]*asking // who is changing his own account at this moment, by name; guarded by mu
}

// asking is a session that has asked for what auth is about to tell of: see Watch.
type asking struct {
	query    *im.Query
	answered bool // he has been told that his account is gone
}

// New is the extension. It does nothing before [Register.Watch] and [Register.Extension] are called.
func New(srv *im.Server, accounts *auth.Accounts, log *slog.Logger) *Register {
	return &Register{srv: srv, accounts: accounts, log: log, asking: map[string]*asking{}}
}

// Extension is what the hall uses.
func (r *Register) Extension() im.Extension {
	name := xml.Name{Space: NS, Local: "query"}
	return im.Extension{
		Name:     "register",
		Specs:    []string{"XEP-0077 2.4"},
		Features: []string{NS},
		// Passwords take their time to hash, and auth begins the journeys itself.
		Answers: []im.Answer{
			{At: im.AtServer, Name: name, Get: r.get, Set: r.set, Outside: true},
			{At: im.AtSelf, Name: name, Get: r.get, Set: r.set, Outside: true},
		},
	}
}

func (r *Register) get(_ context.Context, q *im.Query) (*xml.Element, error) {
	if q.Session == nil {
		return nil, foreign()
	}
	return xml.New(NS, "query").With(
		xml.New(NS, "registered"),
		xml.New(NS, "username").WithText(q.Session.Account().JID().Local()),
		xml.New(NS, "password"),
	), nil
}

func (r *Register) set(ctx context.Context, q *im.Query) (*xml.Element, error) {
	if q.Session == nil {
		return nil, foreign()
	}
	own := q.Session.Account().JID().Local()
	if q.Payload.Has(NS, "remove") {
		if q.Payload.Len() != 1 { // XEP-0077 §3.2
			return nil, stanza.Bad(stanza.BadRequest, "Nothing else may stand beside <remove/>.")
		}
		return r.remove(ctx, q, own)
	}
	username, password, ok := read(q.Payload)
	if !ok {
		return nil, stanza.Bad(stanza.BadRequest, "A new password needs the user name and the password.") // XEP-0077 §3.3
	}
	if local, err := jid.Localpart(username); err != nil || local != own {
		return nil, stanza.Bad(stanza.Forbidden, "You can change your own password only.")
	}
	_, done, err := r.ask(own, q)
	if err != nil {
		return nil, err
	}
	defer done()
	return nil, refusal(r.accounts.SetPassword(ctx, own, password))
}

// ask notes that q is about to change an account, so that Watch knows whose doing it is. One at a time does so for an
// account.
func (r *Register) ask(name string, q *im.Query) (a *asking, done func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.asking[name] != nil {
		return nil, nil, stanza.Bad(stanza.ResourceConstraint, "Another device is changing this account. Try again.")
	}
	a = &asking{query: q}
	r.asking[name] = a
	return a, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.asking, name)
	}, nil
}

// asks is who is changing this account himself, or nil.
func (r *Register) asks(name string) *asking {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asking[name]
}

// remove removes the account of whoever asks. He is answered once it is gone for good, and before his stream is ended,
// which Watch does both: it is told by auth in between.
func (r *Register) remove(ctx context.Context, q *im.Query, name string) (*xml.Element, error) {
	a, done, err := r.ask(name, q)
	if err != nil {
		return nil, err
	}
	defer done()
	_, err = r.accounts.Remove(ctx, name)
	switch {
	case !a.answered:
		return nil, refusal(err)
	case err != nil: // while data was erased, which the next start goes on with; for the log
		return nil, fmt.Errorf("register: %w", err)
	}
	return nil, im.ErrDrop
}

func foreign() error {
	return stanza.Bad(stanza.Forbidden, "Only users of this server have an account here.")
}

// read takes user name and password out of a query.
func read(el *xml.Element) (username, password string, ok bool) {
	u, p := el.Child(NS, "username"), el.Child(NS, "password")
	if u == nil || p == nil {
		return "", "", false
	}
	return u.Text(), p.Text(), true
}

// refusal is an error of auth as its cause is told: one sentence.
func refusal(err error) error {
	var name *auth.NameError
	var password *auth.PasswordError
	var exists *auth.ExistsError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exists): // not since when: that is nobody's business
		return stanza.Bad(stanza.Conflict, fmt.Sprintf("The name %s is taken. Choose another one.", exists.Account.Name))
	case errors.As(err, &name), errors.As(err, &password):
		return stanza.Bad(stanza.NotAcceptable, sentence(err))
	case errors.Is(err, auth.ErrUnknown):
		return stanza.Bad(stanza.ItemNotFound, "This account does not exist any more.")
	case errors.Is(err, store.ErrFull):
		return stanza.Bad(stanza.ResourceConstraint, "The server's disk is full. Try again later.")
	}
	return fmt.Errorf("register: %w", err)
}

func sentence(err error) string {
	text := strings.TrimSuffix(err.Error(), ".")
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:] + "."
}
