package team

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"

	"parley/im"
	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/words"
)

// contact answers chat with the server's own address: everything, success too.
func (t *Team) contact(ctx context.Context, s *im.Session, line string) (reply string, mine bool) {
	w, err := ParseWords(line)
	if err != nil {
		return err.Error(), true
	}
	if !t.on(w.Verb) {
		return w.Verb + " is switched off on this server.", true
	}
	reply, err = t.do(ctx, s, w)
	if err == nil {
		return reply, true
	}
	var refused *stanza.Error
	if errors.As(err, &refused) && refused.Text != "" {
		return refused.Text, true
	}
	t.log.Error("the contact could not do what it was asked", slog.String("jid", s.JID().String()),
		slog.String("command", w.Verb), slog.Any("err", err))
	return "Something went wrong in the server; its log has the reason.", true
}

// on tells whether a function is offered.
func (t *Team) on(verb string) bool {
	switch verb {
	case "broadcast":
		return t.opts.Broadcast
	case "whoelse":
		return t.opts.Whoelse
	case "whoelsesince":
		return t.opts.Whoelsesince
	}
	return true
}

func (t *Team) do(ctx context.Context, s *im.Session, w words.Line) (string, error) {
	switch w.Verb {
	case "help":
		return help(t.on), nil
	case "broadcast":
		note, _, err := t.broadcast(ctx, s, w.Text)
		return note, err
	case "whoelse":
		people := t.whoelse(s)
		return lines(count(people, online), people), nil
	case "whoelsesince":
		d, err := parseSince(w.Text)
		if err != nil {
			return "", err
		}
		people, err := t.whoelsesince(ctx, s, d)
		if err != nil {
			return "", err
		}
		return lines(count(people, "in "+last(d)), people), nil
	case "unblock":
		return t.unblock(ctx, s, w.User)
	}
	a, err := t.find(ctx, w.User)
	if err != nil {
		return "", err
	}
	if w.Verb == "block" {
		return t.block(ctx, s, a)
	}
	return t.message(ctx, s, a, w.Text)
}

// address is what a user's name, or his whole address, means here; zero when it cannot be an account's.
func (t *Team) address(user string) jid.JID {
	j, err := jid.New(user, t.srv.Domain().Domain(), "")
	if strings.Contains(user, "@") {
		j, err = jid.Parse(user)
	}
	if err != nil || j.Server() != t.srv.Domain() || j.Local() == "" {
		return jid.JID{}
	}
	return j.Bare()
}

// find is the account of that name. The error names the nearest one when there is none.
func (t *Team) find(ctx context.Context, user string) (*im.Account, error) {
	j := t.address(user)
	if !j.IsZero() {
		a, err := t.srv.Account(ctx, j.Local())
		if a != nil || err != nil {
			return a, err
		}
	}
	text := "Nobody here is called " + shorten(user) + "."
	if t.opts.Accounts != nil {
		name, _, _ := strings.Cut(strings.ToLower(user), "@")
		if near := words.Nearest(name, t.opts.Accounts()); near != "" && near != name {
			text += " Did you mean " + near + "?"
		}
	}
	return nil, stanza.Bad(stanza.ItemNotFound, text)
}

// message sends what the user could have sent himself: it is his message, with all that comes of it.
func (t *Team) message(ctx context.Context, s *im.Session, to *im.Account, text string) (string, error) {
	if err := checkText(text); err != nil {
		return "", err
	}
	name := to.JID().Local()
	if s.Account().Blocks(to.JID()) {
		return "", stanza.Bad(stanza.NotAcceptable, "Not sent: you have blocked "+name+". First: unblock "+name)
	}
	st := stanza.New(stanza.Message, stanza.Chat, s.JID(), to.JID(), stanza.Body(text))
	st.ID = rand.Text()
	there := to.Online() && !to.Blocks(s.JID()) // who says nothing of his block looks offline in this, too
	refused, err := s.Submit(ctx, st)
	var no *stanza.Error
	switch {
	case err != nil:
		return "", err
	case errors.As(refused, &no) && no.Text == "":
		return "", stanza.Bad(no.Condition, "Your message to "+name+" could not be delivered.")
	case refused != nil && !errors.Is(refused, im.ErrDrop):
		return "", refused
	case !there:
		return "To " + name + ": sent. " + name + " is offline and gets it at the next sign-in.", nil
	}
	return "To " + name + ": sent.", nil
}

func (t *Team) block(ctx context.Context, s *im.Session, who *im.Account) (string, error) {
	own, name := s.Account(), who.JID().Local()
	if own.Blocks(who.JID()) {
		return name + " is blocked already.", nil
	}
	if err := t.setBlocked(ctx, own, true, []jid.JID{who.JID()}); err != nil {
		return "", err
	}
	return name + " is blocked: no messages either way, and " + name + " does not see you online. Undo: unblock " + name, nil
}

// unblock also takes back a block of somebody whose account is gone, and blocks of single clients of his.
func (t *Team) unblock(ctx context.Context, s *im.Session, user string) (string, error) {
	own, who := s.Account(), t.address(user)
	var listed []jid.JID
	for _, j := range own.Blocked() {
		if !who.IsZero() && j.Bare() == who {
			listed = append(listed, j)
		}
	}
	if len(listed) == 0 {
		if _, err := t.find(ctx, user); err != nil {
			return "", err
		}
		return "", stanza.Bad(stanza.ItemNotFound, who.Local()+" is not blocked.")
	}
	if err := t.setBlocked(ctx, own, false, listed); err != nil {
		return "", err
	}
	return who.Local() + " is not blocked any more. What was written to you meanwhile was not kept.", nil
}

// setBlocked changes the block list as a client would (XEP-0191 §3.3, §3.4), all clients being told.
func (t *Team) setBlocked(ctx context.Context, own *im.Account, on bool, who []jid.JID) error {
	return t.srv.Within(ctx, own, func(j store.Journey) error { return own.SetBlocked(j, on, who) })
}
