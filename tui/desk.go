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

// desk carries out commands on a session. Its errors are sentences for people, or *client.End.
type desk struct{ s Session }

// result is what a command that succeeded has to tell.
type result struct {
	words.Line
	who    string // block, unblock: the name as it is shown
	note   string // broadcast: the server's words
	people []client.Person
}

// do carries out one command; logout and help are the caller's.
func (d desk) do(ctx context.Context, c words.Line) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	r := result{Line: c}
	var err error
	switch c.Verb {
	case "message":
		err = d.message(c)
	case "broadcast":
		var o client.Outcome
		o, err = d.s.Broadcast(ctx, c.Text)
		r.note = OneLine(o.Note)
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
		return fmt.Errorf("%s: the server did not answer in %s", verb, inWords(answerPatience))
	case !errors.As(err, &refused):
		return err
	case refused.Text != "":
		return fmt.Errorf("%s: %s", verb, OneLine(refused.Text))
	case refused.Condition == stanza.ItemNotFound, refused.Condition == stanza.FeatureNotImplemented, refused.Condition == stanza.ServiceUnavailable:
		return fmt.Errorf("%s: this server does not offer it", verb)
	case refused.Condition == stanza.Forbidden, refused.Condition == stanza.NotAllowed:
		return fmt.Errorf("%s: this server does not allow it", verb)
	case refused.Condition == stanza.ResourceConstraint, refused.Condition == stanza.PolicyViolation:
		return fmt.Errorf("%s: too much at once. Wait a little, then try again", verb)
	}
	return fmt.Errorf("%s: the server refused it", verb)
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

// name is how somebody is shown: users of the same server by their names alone.
func (d desk) name(j jid.JID) string {
	if j.Local() != "" && j.Domain() == d.s.JID().Domain() {
		return OneLine(j.Local())
	}
	return OneLine(j.Bare().String())
}

// nobody is the error about a name that nobody has.
func (d desk) nobody(name string) error {
	var names []string
	for _, c := range d.s.Contacts() {
		names = append(names, d.name(c.JID))
	}
	text := "nobody here is called " + OneLine(name)
	if near := words.Nearest(name, names); near != "" {
		text += ". Did you mean " + near + "?"
	}
	return errors.New(text)
}

func (d desk) message(c words.Line) error {
	to, err := d.address(c.User)
	if err != nil {
		return err
	}
	_, err = d.s.Message(to, c.Text)
	return err
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
		return "", errors.New("you cannot block yourself")
	case who == d.s.Server():
		return "", errors.New("the server itself cannot be blocked")
	case who.Domain() == d.s.Server().Domain() && d.s.Complete() && !d.known(who):
		return "", d.nobody(name)
	}
	return d.name(who), d.s.Block(ctx, who)
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
	for _, j := range list {
		if j == who {
			return d.name(who), d.s.Unblock(ctx, who)
		}
	}
	return "", fmt.Errorf("%s is not blocked", d.name(who))
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
func (d desk) bounced(b client.Bounce) string {
	name := d.name(b.To)
	e := b.Err
	switch {
	case e.App != nil && e.App.Name.Local == "blocked":
		return fmt.Sprintf("not sent: you have blocked %s. First: unblock %s", name, name)
	case d.unknown(b.To.Bare(), e):
		return d.nobody(name).Error()
	case e.Text != "":
		return fmt.Sprintf("not delivered to %s: %s", name, OneLine(e.Text))
	case e.Condition == stanza.ServiceUnavailable, e.Condition == stanza.Forbidden:
		return fmt.Sprintf("not delivered to %s: that account does not accept your messages.", name)
	case e.Condition == stanza.ResourceConstraint, e.Condition == stanza.InternalServerError:
		return fmt.Sprintf("not delivered to %s: the server cannot keep it now. Try again later.", name)
	case e.Condition == stanza.RemoteServerNotFound:
		return fmt.Sprintf("not delivered to %s: there is no way to %s", name, OneLine(b.To.Domain()))
	}
	return fmt.Sprintf("not delivered to %s: the server refused it", name)
}
