package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/client"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/words"
)

// answerPatience is how long a command waits for its answer.
const answerPatience = 30 * time.Second

// desk carries out commands on a session. Its errors are *complaint or *client.End.
type desk struct{ s Session }

// complaint is why something that somebody asked for was not done: a sentence for people, and a code for programs,
// which stays the same (docs/client.md). Both are fit for a terminal.
type complaint struct{ code, text string }

func (c *complaint) Error() string { return c.text }

func complain(code, format string, args ...any) *complaint {
	return &complaint{code, fmt.Sprintf(format, args...)}
}

// result is what a command that succeeded has to tell.
type result struct {
	words.Line
	who    string // block, unblock: what they are called
	note   string // broadcast: the server's words
	people []client.Person
}

// do carries out one command; message, logout and help are the caller's.
func (d desk) do(ctx context.Context, c words.Line) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	r := result{Line: c}
	var err error
	switch c.Verb {
	case "broadcast":
		var o client.Outcome
		o, err = d.s.Broadcast(ctx, c.Text)
		r.note = o.Note
	case "whoelse":
		r.people, err = d.s.WhoElse(ctx)
	case "whoelsesince":
		r.people, err = d.s.WhoElseSince(ctx, c.Text)
	case "block":
		r.who, err = d.block(ctx, c.User)
	case "unblock":
		r.who, err = d.unblock(ctx, c.User)
	}
	return r, d.inSentence(c.Verb, err)
}

// inSentence turns what the server says no with into a sentence.
func (d desk) inSentence(verb string, err error) error {
	var refused *stanza.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return complain("no-answer", "%s: the server did not answer in %s", verb, inWords(answerPatience))
	case !errors.As(err, &refused):
		return err
	}
	code, why := "refused", "the server refused it"
	switch refused.Condition {
	case stanza.ItemNotFound, stanza.FeatureNotImplemented, stanza.ServiceUnavailable:
		code, why = "not-offered", "this server does not offer it"
	case stanza.Forbidden, stanza.NotAllowed:
		code, why = "not-allowed", "this server does not allow it"
	case stanza.ResourceConstraint, stanza.PolicyViolation:
		code, why = "too-much", "too much at once. Wait a little, then try again"
	}
	if refused.Text != "" {
		why = OneLine(refused.Text)
	}
	return complain(code, "%s: %s", verb, why)
}

// address finds out whom a name means: a user of this server, or a whole address.
func (d desk) address(name string) (jid.JID, error) {
	me := d.s.JID()
	var j jid.JID
	var err error
	switch {
	case strings.Contains(name, "@"):
		j, err = jid.Parse(name)
	case name == me.Domain():
		j = d.s.Server()
	default:
		j, err = jid.New(name, me.Domain(), "")
	}
	if err != nil {
		return j, d.nobody(name)
	}
	return j.Bare(), nil
}

// called is what somebody is called: users of the same server by their names alone.
func (d desk) called(j jid.JID) string {
	if j.Local() != "" && j.Domain() == d.s.JID().Domain() {
		return j.Local()
	}
	return j.Bare().String()
}

// name is how somebody is shown.
func (d desk) name(j jid.JID) string { return OneLine(d.called(j)) }

// nobody is the error about a name that nobody has.
func (d desk) nobody(name string) *complaint {
	var names []string
	for _, c := range d.s.Contacts() {
		names = append(names, d.name(c.JID))
	}
	return complain("no-such-user", "nobody here is called %s%s", OneLine(name), didYouMean(name, names))
}

// didYouMean names the one that was probably meant, if there is one.
func didYouMean(name string, names []string) string {
	if near := words.Nearest(name, names); near != "" {
		return ". Did you mean " + near + "?"
	}
	return ""
}

// known tells whether somebody is in the roster.
func (d desk) known(j jid.JID) bool {
	for _, c := range d.s.Contacts() {
		if c.JID == j {
			return true
		}
	}
	return false
}

func (d desk) block(ctx context.Context, name string) (string, error) {
	who, err := d.address(name)
	switch {
	case err != nil:
		return "", err
	case who == d.s.JID().Bare():
		return "", complain("yourself", "you cannot block yourself")
	case who == d.s.Server():
		return "", complain("not-allowed", "the server itself cannot be blocked")
	case who.Domain() == d.s.Server().Domain() && d.s.Complete() && !d.known(who):
		return "", d.nobody(name)
	}
	return d.called(who), d.s.Block(ctx, who)
}

func (d desk) unblock(ctx context.Context, name string) (string, error) {
	who, err := d.address(name)
	if err != nil {
		return "", err
	}
	list, err := d.s.BlockList(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for _, j := range list {
		if j == who {
			return d.called(who), d.s.Unblock(ctx, who)
		}
		names = append(names, d.name(j))
	}
	return "", complain("not-blocked", "%s is not blocked%s", d.name(who), didYouMean(name, names))
}

// noSuchAccount is what a Parley server says about an address without an account (docs/protocol.md).
const noSuchAccount = "There is no such account here."

// unknown tells whether a message came back because nobody has that name.
func (d desk) unknown(to jid.JID, e *stanza.Error) bool {
	switch {
	case e.Condition == stanza.ItemNotFound:
		return true
	case e.Condition != stanza.ServiceUnavailable || to.Domain() != d.s.Server().Domain() || to.Local() == "" || to == d.s.JID().Bare():
		return false
	}
	return e.Text == noSuchAccount || d.s.Complete() && !d.known(to)
}

// bounced says why a message was not delivered.
func (d desk) bounced(b client.Bounce) *complaint {
	name := d.name(b.To)
	e := b.Err
	code, why := "refused", "the server refused it"
	switch {
	case e.App != nil && e.App.Name.Local == "blocked":
		return complain("you-blocked", "not sent: you have blocked %s. First: unblock %s", name, name)
	case d.unknown(b.To.Bare(), e):
		return d.nobody(name)
	case e.Condition == stanza.ServiceUnavailable, e.Condition == stanza.Forbidden:
		code, why = "not-accepted", "that account does not accept your messages."
	case e.Condition == stanza.ResourceConstraint, e.Condition == stanza.InternalServerError:
		code, why = "try-later", "the server cannot keep it now. Try again later."
	case e.Condition == stanza.PolicyViolation:
		code = "not-allowed"
	case e.Condition == stanza.RemoteServerNotFound:
		code, why = "no-way", "there is no way to "+OneLine(b.To.Domain())
	}
	if e.Text != "" {
		why = OneLine(e.Text)
	}
	return complain(code, "not delivered to %s: %s", name, why)
}
