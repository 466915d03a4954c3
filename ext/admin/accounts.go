package admin

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"parley/auth"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
)

// localpart is the localpart that an account's address, or its name alone, stands for.
func (a *Admin) localpart(given, field string) (string, error) {
	if !strings.Contains(given, "@") {
		return given, nil
	}
	j, err := jid.Parse(given)
	switch {
	case err != nil:
		return "", refuse(stanza.NotAcceptable, field, "%q is no address", shown(given))
	case j.Domain() != a.o.Domain:
		return "", refuse(stanza.NotAcceptable, field, "%q is not an address of %s", shown(given), a.o.Domain)
	}
	return j.Local(), nil
}

// shown is as much of what somebody typed as is said back.
func shown(s string) string {
	if r := []rune(s); len(r) > 2*auth.MaxName {
		return string(r[:2*auth.MaxName]) + "…"
	}
	return s
}

// find finds one account.
func (a *Admin) find(given, field string) (auth.Account, error) {
	name, err := a.localpart(strings.TrimSpace(given), field)
	if err != nil {
		return auth.Account{}, err
	}
	if acc, ok := a.o.Accounts.Find(name); ok {
		return acc, nil
	}
	if _, err := auth.CheckName(name); err != nil {
		return auth.Account{}, refuse(stanza.NotAcceptable, field, "%v", err)
	}
	return auth.Account{}, refuse(stanza.ItemNotFound, field, "nobody here is called %s", shown(name))
}

// each finds the accounts that a call names, each once, or fails for the first that does not exist, so that nothing is done
// by halves. Whoever asks is not to be among them unless self is said: he would shut himself out.
func (a *Admin) each(c *call, self bool) (list []auth.Account, names string, err error) {
	var all []string
	for _, given := range c.values[fieldAccounts] {
		if strings.TrimSpace(given) == "" {
			continue
		}
		acc, err := a.find(given, fieldAccounts)
		if err != nil {
			return nil, "", err
		}
		if !self && c.by != nil && c.by.Account().JID().Local() == acc.Name {
			return nil, "", refuse(stanza.NotAllowed, fieldAccounts,
				"this cannot be done to one's own account; another administrator can, or \"parley user\" where the server runs")
		}
		if !slices.Contains(all, acc.Name) {
			all, list = append(all, acc.Name), append(list, acc)
		}
	}
	return list, strings.Join(all, ", "), nil
}

// all does one thing to each account that a call names.
func (a *Admin) all(ctx context.Context, c *call, done string, f func(context.Context, string) (auth.Account, error)) (*result, error) {
	list, names, err := a.each(c, false)
	if err != nil {
		return nil, err
	}
	for i, acc := range list {
		if list[i], err = f(ctx, acc.Name); err != nil {
			return nil, err
		}
	}
	r := a.table(list...)
	r.note, r.about = done+" "+names+".", names
	return r, nil
}

func (a *Admin) add(ctx context.Context, c *call) (*result, error) {
	name, err := a.localpart(c.value(fieldAccount), fieldAccount)
	if err != nil {
		return nil, err
	}
	if again, ok := c.values["password-verify"]; ok && (len(again) != 1 || again[0] != c.value(fieldPassword)) {
		return nil, refuse(stanza.NotAcceptable, "password-verify", "the two passwords are not the same")
	}
	add := a.o.Accounts.Add
	switch c.value("admin") {
	case "1", "true":
		add = a.o.Accounts.AddAdmin
	case "", "0", "false":
	default:
		return nil, refuse(stanza.BadRequest, "admin", "the field admin is 1 or 0")
	}
	acc, err := add(ctx, name, c.value(fieldPassword))
	if err != nil {
		return nil, err
	}
	r := a.table(acc)
	r.note, r.about = "Added "+a.address(acc)+".", acc.Name
	return r, nil
}

func (a *Admin) reset(ctx context.Context, c *call) (*result, error) {
	acc, err := a.find(c.value(fieldAccount), fieldAccount)
	if err != nil {
		return nil, err
	}
	if err = a.o.Accounts.SetPassword(ctx, acc.Name, c.value(fieldPassword)); err == nil {
		err = a.o.Unblock(ctx, acc.Name) // whoever needs a new password has mostly tried the old one three times
	}
	if err != nil {
		return nil, err
	}
	r := a.table(acc)
	r.note, r.about = "New password for "+a.address(acc)+".", acc.Name
	return r, nil
}

func (a *Admin) remove(ctx context.Context, c *call) (*result, error) {
	return a.all(ctx, c, "Removed", a.o.Accounts.Remove)
}

func (a *Admin) lock(ctx context.Context, c *call) (*result, error) {
	return a.all(ctx, c, "Locked", func(ctx context.Context, name string) (auth.Account, error) {
		return a.o.Accounts.SetLocked(ctx, name, true)
	})
}

func (a *Admin) unlock(ctx context.Context, c *call) (*result, error) {
	return a.all(ctx, c, "Unlocked", func(ctx context.Context, name string) (auth.Account, error) {
		acc, err := a.o.Accounts.SetLocked(ctx, name, false)
		if err == nil {
			err = a.o.Unblock(ctx, name)
		}
		return acc, err
	})
}

func (a *Admin) promote(ctx context.Context, c *call) (*result, error) {
	return a.all(ctx, c, "Now an administrator:", func(ctx context.Context, name string) (auth.Account, error) {
		return a.o.Accounts.SetAdmin(ctx, name, true)
	})
}

func (a *Admin) demote(ctx context.Context, c *call) (*result, error) {
	return a.all(ctx, c, "No longer an administrator:", func(ctx context.Context, name string) (auth.Account, error) {
		return a.o.Accounts.SetAdmin(ctx, name, false)
	})
}

func (a *Admin) endSessions(ctx context.Context, c *call) (*result, error) {
	list, names, err := a.each(c, true)
	if err != nil {
		return nil, err
	}
	ended := 0
	for _, acc := range list {
		for _, resource := range c.resourcesOf(acc.Name) {
			n, err := a.o.Hall.EndSessions(ctx, acc.Name, resource,
				&stream.Error{Condition: stream.PolicyViolation, Text: "An administrator has ended this session."})
			if err != nil {
				return nil, err
			}
			ended += n
		}
	}
	return &result{note: "Ended " + number(ended, "session") + ".", about: names}, nil
}

// resourcesOf are the resources of an account that a call names; "" alone, which is all of them, if it names the account
// without one.
func (c *call) resourcesOf(name string) []string {
	var list []string
	for _, given := range c.values[fieldAccounts] {
		j, err := jid.Parse(strings.TrimSpace(given))
		switch {
		case err != nil || !strings.Contains(given, "@"): // a name alone
			if local, err := jid.Localpart(strings.TrimSpace(given)); err == nil && local == name {
				return []string{""}
			}
		case j.Local() == name && j.Resource() == "":
			return []string{""}
		case j.Local() == name && !slices.Contains(list, j.Resource()):
			list = append(list, j.Resource())
		}
	}
	return list
}

// table lists accounts.
func (a *Admin) table(list ...auth.Account) *result {
	r := &result{columns: []string{colName, colJID, colAdded, colAdmin, colLocked}}
	legacy := a.o.Accounts.Legacy()
	if legacy {
		r.columns = append(r.columns, colSHA1)
	}
	mark := func(on bool) string {
		if on {
			return yes
		}
		return ""
	}
	for _, acc := range list {
		row := []string{acc.Name, a.address(acc), acc.Created.Format(time.RFC3339), mark(acc.Admin), mark(acc.Locked)}
		if legacy {
			row = append(row, mark(a.o.Accounts.HasSHA1(acc.Name)))
		}
		r.rows = append(r.rows, row)
	}
	return r
}

func (a *Admin) address(acc auth.Account) string { return acc.Name + "@" + a.o.Domain }

// importFile makes accounts from a file. Its table has a row for each line that is worth a word: "added", "short" (added
// with a short password) or "refused", with the number of the line and the reason where there is one.
func (a *Admin) importFile(ctx context.Context, c *call) (*result, error) {
	done, err := a.o.Accounts.Import(ctx, bytes.NewReader(c.file), auth.ImportOptions{AllowShort: true})
	r := &result{columns: []string{"what", "line", "name", "reason"}, about: number(len(done.Added), "account"),
		values: facts("remarks", "Lines that begin with #", done.Remarks)}
	for _, acc := range done.Added {
		what := "added"
		if slices.Contains(done.Short, acc.Name) {
			what = "short"
		}
		r.rows = append(r.rows, []string{what, "", acc.Name, ""})
	}
	for _, l := range done.Refused {
		r.rows = append(r.rows, []string{"refused", strconv.Itoa(l.Line), l.Name, l.Err.Error()})
	}
	return r, err // what was done until then is told all the same
}
