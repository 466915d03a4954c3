package admin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"parley/im"
	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

const (
	fieldAnnouncement = "announcement"
	fieldMOTD         = "motd"

	maxText = 64 << 10 // bytes, as of every message
)

// keyMOTD is the key of the message of the day among the server's values, and of the number of the one that an account
// had last, among its own.
const keyMOTD = "admin/motd"

// motd is a message of the day. One that is deleted has no text.
type motd struct {
	Number uint64 `json:"number"` // each that is set has a higher one
	Text   string `json:"text,omitempty"`
}

// words reads a text that is to be sent.
func words(c *call, field string) (string, error) {
	text := c.text(field)
	switch {
	case strings.TrimSpace(text) == "":
		return "", refuse(stanza.BadRequest, field, "the text is empty")
	case len(text) > maxText:
		return "", refuse(stanza.BadRequest, field, "the text is longer than 64 KiB")
	}
	return text, nil
}

// message is a text from the server's own address.
func (a *Admin) message(typ string, to jid.JID, text string, more ...*xml.Element) *stanza.Stanza {
	st := stanza.New(stanza.Message, typ, a.o.Hall.Domain(), to, append([]*xml.Element{stanza.Body(text)}, more...)...)
	st.ID = rand.Text()
	return st
}

// shout tells everybody who is online; nobody gets it later (RFC 6121 §5.2.2, headline).
func (a *Admin) shout(ctx context.Context, text string) (reached int) {
	reached, _ = a.o.Hall.Headline(ctx, nil, a.message(stanza.Headline, jid.JID{}, text, xml.New(stanza.NSHints, "no-store")))
	return reached
}

func (a *Admin) announce(ctx context.Context, c *call) (*result, error) {
	text, err := words(c, fieldAnnouncement)
	if err != nil {
		return nil, err
	}
	return &result{note: "Announced to " + number(a.shout(ctx, text), "person") + " online."}, nil
}

// announceAll writes to every account: who is away gets it at the next sign-in.
func (a *Admin) announceAll(ctx context.Context, c *call) (*result, error) {
	text, err := words(c, fieldAnnouncement)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, name := range a.o.Accounts.Names() {
		switch err := a.post(ctx, name, text, nil); {
		case err == nil:
			n++
		case !isRefused(err):
			return nil, err
		}
	}
	return &result{note: "Announced to " + number(n, "account") + "; who is away gets it at the next sign-in."}, nil
}

// isRefused tells whether one account did not take a message, which is no reason not to go on with the next.
func isRefused(err error) bool {
	var no *stanza.Error
	return errors.As(err, &no) && no.Condition != stanza.ResourceConstraint
}

// post sends a text to an account as a message that is kept.
func (a *Admin) post(ctx context.Context, name, text string, also func(store.Journey) error) error {
	to, err := jid.New(name, a.o.Domain, "")
	if err != nil {
		return err
	}
	return a.o.Hall.Post(ctx, a.message(stanza.Normal, to, text), also)
}

func (a *Admin) loadMOTD(ctx context.Context) error {
	v, err := a.o.Hall.Store().KV.Get(ctx, 0, keyMOTD)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	var m motd
	if err == nil {
		err = json.Unmarshal(v, &m)
	}
	if err != nil {
		return fmt.Errorf("admin: read the message of the day: %w", err)
	}
	a.motd.Store(&m)
	return nil
}

// setMOTD sets a new message of the day: who is online gets it now, everybody else when he comes, each once.
func (a *Admin) setMOTD(ctx context.Context, c *call) (*result, error) {
	text, err := words(c, fieldMOTD)
	if err != nil {
		return nil, err
	}
	if err := a.change(ctx, func(m *motd) error { m.Number++; m.Text = text; return nil }); err != nil {
		return nil, err
	}
	for _, acc := range a.o.Hall.Online() {
		a.expect(acc.JID().Local())
	}
	return &result{note: "The message of the day is set; everybody gets it once."}, nil
}

// editMOTD changes the words of the message of the day. Who has had it does not get it again.
func (a *Admin) editMOTD(ctx context.Context, c *call) (*result, error) {
	text, err := words(c, fieldMOTD)
	if err != nil {
		return nil, err
	}
	if err := a.change(ctx, func(m *motd) error { return noMOTD(m, text) }); err != nil {
		return nil, err
	}
	return &result{note: "The message of the day is changed; who has had it does not get it again."}, nil
}

func (a *Admin) deleteMOTD(ctx context.Context, _ *call) (*result, error) {
	if err := a.change(ctx, func(m *motd) error { return noMOTD(m, "") }); err != nil {
		return nil, err
	}
	return &result{note: "The message of the day is deleted."}, nil
}

// noMOTD gives the message of the day other words, if there is one.
func noMOTD(m *motd, text string) error {
	if m.Text == "" {
		return refuse(stanza.ItemNotFound, "", "there is no message of the day")
	}
	m.Text = text
	return nil
}

// change changes the message of the day and returns when that is durable.
func (a *Admin) change(ctx context.Context, f func(*motd) error) error {
	a.setting.Lock()
	defer a.setting.Unlock()
	var m motd
	if now := a.motd.Load(); now != nil {
		m = *now
	}
	if err := f(&m); err != nil {
		return err
	}
	v, err := json.Marshal(m)
	if err != nil {
		return err
	}
	st := a.o.Hall.Store()
	j, err := st.Begin(ctx)
	if err != nil {
		return err
	}
	err = st.KV.Set(j, 0, keyMOTD, v)
	mark := j.Mark()
	j.End()
	if err == nil {
		err = st.Wait(ctx, mark)
	}
	if err != nil {
		return fmt.Errorf("admin: keep the message of the day: %w", err)
	}
	a.motd.Store(&m)
	return nil
}

// changed hears who comes. It is called in the account's turn, so the message of the day is left to Run.
func (a *Admin) changed(c im.Change) {
	if m := a.motd.Load(); c.Online && !c.Again && m != nil && m.Text != "" {
		a.expect(c.Account.JID().Local())
	}
}

// expect notes that an account is to get the message of the day, if it has not had it. There are never more of them
// than accounts.
func (a *Admin) expect(name string) {
	a.mu.Lock()
	a.came[name] = struct{}{}
	a.mu.Unlock()
	a.stir()
}

// greet gives the message of the day to an account that has not had it. That it has had it is written together with
// the message, so that a crash takes both or none.
func (a *Admin) greet(ctx context.Context, name string) {
	m := a.motd.Load()
	acc, ok := a.o.Accounts.Lookup(name)
	if m == nil || m.Text == "" || !ok {
		return
	}
	kv := a.o.Hall.Store().KV
	had, err := kv.Get(ctx, acc.Owner, keyMOTD)
	if err == nil && string(had) == strconv.FormatUint(m.Number, 10) {
		return
	}
	if err == nil || errors.Is(err, store.ErrNotFound) {
		err = a.post(ctx, name, m.Text, func(j store.Journey) error {
			return kv.Set(j, acc.Owner, keyMOTD, strconv.AppendUint(nil, m.Number, 10))
		})
	}
	if err != nil && ctx.Err() == nil {
		a.log.Warn("the message of the day was not delivered", slog.String("name", name), slog.Any("err", err))
	}
}
