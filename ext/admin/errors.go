package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"parley/auth"
	"parley/store"
	"parley/xmpp/stanza"
)

// refusal is why a command is not done: the condition of the error that a client gets, the field that is to blame, and
// the reason without capital and full stop.
type refusal struct {
	condition stanza.Condition
	field     string
	text      string
}

func (r *refusal) Error() string { return r.text }

func refuse(c stanza.Condition, field, text string, args ...any) error {
	return &refusal{condition: c, field: field, text: fmt.Sprintf(text, args...)}
}

// Fields that refusals of auth blame.
const (
	fieldAccount  = "accountjid"
	fieldAccounts = "accountjids"
	fieldPassword = "password"
)

// asRefusal gives what auth and the store refuse its condition. Other errors stay what they are.
func asRefusal(err error) error {
	var name *auth.NameError
	var exists *auth.ExistsError
	var password *auth.PasswordError
	var no *refusal
	var st *stanza.Error
	switch {
	case errors.As(err, &no):
		return err
	case errors.As(err, &st): // of the hall
		return refuse(st.Condition, "", "%s", strings.TrimSuffix(st.Text, "."))
	case errors.As(err, &name):
		return refuse(stanza.NotAcceptable, fieldAccount, "%v", name)
	case errors.As(err, &exists):
		return refuse(stanza.Conflict, fieldAccount, "%v", exists)
	case errors.Is(err, auth.ErrUnknown):
		return refuse(stanza.ItemNotFound, fieldAccount, "%v", err)
	case errors.As(err, &password) && password.Short: // RFC 6120 §8.3.3.12 has just this example
		return refuse(stanza.PolicyViolation, fieldPassword, "%v", password)
	case errors.As(err, &password):
		return refuse(stanza.NotAcceptable, fieldPassword, "%v", password)
	case errors.Is(err, store.ErrFull):
		return refuse(stanza.ResourceConstraint, "", "the server's disk is full")
	case errors.Is(err, context.Canceled), errors.Is(err, store.ErrClosed):
		return refuse(stanza.ServiceUnavailable, "", "the server is stopping")
	}
	return err
}

// sentence is a reason as people read it in a client. An address at its beginning stays as it is.
func sentence(text string) string {
	first, _, _ := strings.Cut(text, " ")
	r, n := utf8.DecodeRuneInString(text)
	if strings.Contains(first, "@") {
		return text + "."
	}
	return string(unicode.ToUpper(r)) + text[n:] + "."
}
