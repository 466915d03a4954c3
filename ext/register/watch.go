package register

import (
	"context"
	"log/slog"
	"strings"

	"parley/auth"
	"parley/im"
	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stream"
)

// Watch sets the hooks of accounts: what happens to an account, from wherever, happens to its sessions, to everybody's
// roster and to the block lists. It is called once, before the first change.
func (r *Register) Watch() {
	r.accounts.OnAdded = func(ctx context.Context, name string) { r.srv.RosterChanged(ctx, name) }
	r.accounts.OnPassword = r.endOthers
	r.accounts.OnLocked = r.endAll
	r.accounts.OnRemoved = func(ctx context.Context, account auth.Account) {
		name := account.Name
		if a := r.asks(name); a != nil {
			a.query.Session.Reply(a.query.Stanza.Result(nil))
			a.answered = true
		}
		r.srv.Removed(ctx, name, account.Owner)
		if err := unlist(ctx, r.srv, r.accounts.All(), name); err != nil {
			r.log.Error("a removed account is still on block lists", slog.String("name", name), slog.Any("err", err))
		}
	}
}

// endOthers ends the sessions of an account whose password is another one now: all but the one that changed it.
func (r *Register) endOthers(ctx context.Context, name string) {
	account, err := r.srv.Account(ctx, name)
	if account == nil || err != nil {
		return
	}
	by := r.asks(name)
	for _, s := range account.Sessions() {
		if by == nil || by.query.Session != s {
			s.End(&stream.Error{Condition: stream.NotAuthorized, Text: "The password of this account was changed."})
		}
	}
}

// endAll ends the sessions of an account that is locked now. New ones the hall refuses by itself.
func (r *Register) endAll(ctx context.Context, name string) {
	why := &stream.Error{Condition: stream.NotAuthorized, Text: "This account was locked by an administrator."}
	if _, err := r.srv.EndSessions(ctx, name, "", why); err != nil {
		r.log.Error("the sessions of a locked account are still open", slog.String("name", name), slog.Any("err", err))
	}
}

// unlist takes a removed account off all block lists, so that who gets the name later is not blocked by anybody. The
// clients of whoever had blocked it are told, as if he had taken the block back himself.
func unlist(ctx context.Context, srv *im.Server, all []auth.Account, name string) error {
	gone, err := jid.New(name, srv.Domain().Domain(), "")
	if err != nil {
		return err
	}
	var owners []store.Owner
	for p, err := range srv.Store().KV.Each(ctx, im.KeyBlocked) {
		if err != nil {
			return err
		}
		if strings.Contains(string(p.Value), gone.String()) {
			owners = append(owners, p.Owner)
		}
	}
	if len(owners) == 0 {
		return nil
	}
	names := make(map[store.Owner]string, len(all))
	for _, a := range all {
		names[a.Owner] = a.Name
	}
	for _, o := range owners {
		a, err := srv.Account(ctx, names[o])
		if err != nil {
			return err
		}
		if a == nil {
			continue // the removed account's own list, which goes with it
		}
		if err := unblock(ctx, srv, a, gone); err != nil {
			return err
		}
	}
	return nil
}

// unblock takes an address, and its resources, off one list.
func unblock(ctx context.Context, srv *im.Server, a *im.Account, gone jid.JID) error {
	var listed []jid.JID
	for _, j := range a.Blocked() {
		if j.Bare() == gone {
			listed = append(listed, j)
		}
	}
	if len(listed) == 0 {
		return nil
	}
	return srv.Within(ctx, a, func(j store.Journey) error { return a.SetBlocked(j, false, listed) })
}
