package admin

import (
	"context"
	"slices"
	"strconv"
	"time"

	"parley/auth"
	"parley/im"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
)

// idleAfter is after how long without doing anything somebody who is online counts as idle.
const idleAfter = 10 * time.Minute

// kind is one set of accounts that can be counted and listed (XEP-0133 §4.13 to §4.22).
type kind struct {
	num, list string // the nodes after NS
	word      string // after `parley admin`
	what      string // for people: the … accounts
	field     string // of the list; that of the number is the same with another end
	count     string
	live      bool
	of        func(*Admin) []string // the names, sorted
}

func kinds() []kind {
	return []kind{
		{num: "get-registered-users-num", list: "get-registered-users-list", word: "registered", what: "registered",
			field: "registereduserjids", count: "registeredusersnum", of: func(a *Admin) []string { return a.registered(false) }},
		{num: "get-disabled-users-num", list: "get-disabled-users-list", word: "locked", what: "locked",
			field: "disableduserjids", count: "disabledusersnum", of: func(a *Admin) []string { return a.registered(true) }},
		{num: "get-online-users-num", list: "get-online-users-list", word: "online", what: "online", live: true,
			field: "onlineuserjids", count: "onlineusersnum", of: func(a *Admin) []string { return a.online(func(time.Duration) bool { return true }) }},
		{num: "get-active-users-num", list: "get-active-users", word: "active", what: "active", live: true,
			field: "activeuserjids", count: "activeusersnum", of: func(a *Admin) []string { return a.online(func(d time.Duration) bool { return d < idleAfter }) }},
		{num: "get-idle-users-num", list: "get-idle-users", word: "idle", what: "idle", live: true,
			field: "idleuserjids", count: "idleusersnum", of: func(a *Admin) []string { return a.online(func(d time.Duration) bool { return d >= idleAfter }) }},
	}
}

func listCommands() []Command {
	most := Field{Word: "max", Field: form.Field{Var: fieldMax, Type: form.TextSingle, Label: "How many to list, or none for no limit"}}
	list := []Command{{Node: NodeUsers, Name: "The accounts and their marks", quiet: true, atOnce: true, run: (*Admin).users,
		Fields: []Field{{Field: form.Field{Var: fieldAccount, Type: form.JIDSingle, Label: "Only this one"}}}}}
	for _, k := range kinds() {
		list = append(list,
			Command{Node: NS + "#" + k.num, Name: "Number of " + k.what + " accounts", Live: k.live, quiet: true,
				run: func(a *Admin, _ context.Context, _ *call) (*result, error) {
					n := len(k.of(a))
					return &result{note: number(n, k.what+" account") + ".", values: facts(k.count, "The number of "+k.what+" accounts", n)}, nil
				}},
			Command{Node: NS + "#" + k.list, Word: k.word, Name: "List of " + k.what + " accounts", Live: k.live, quiet: true, atOnce: true,
				Fields: []Field{most}, run: func(a *Admin, _ context.Context, c *call) (*result, error) { return a.list(k, c) }})
	}
	return list
}

const fieldMax = "max_items"

func (a *Admin) list(k kind, c *call) (*result, error) {
	names := k.of(a)
	note := number(len(names), k.what+" account")
	if most := c.value(fieldMax); most != "" && most != "none" {
		n, err := strconv.Atoi(most)
		if err != nil || n < 1 {
			return nil, refuse(stanza.BadRequest, fieldMax, "how many to list is a number, or none")
		}
		if n < len(names) {
			names = names[:n]
			note += ", of which the first " + strconv.Itoa(n) + " are listed"
		}
	}
	f := fact(k.field, "The "+k.what+" accounts")
	f.Type = jidMulti
	for _, name := range names {
		f.Values = append(f.Values, name+"@"+a.o.Domain)
	}
	return &result{note: note + ".", values: []form.Field{f}}, nil
}

// registered is who has an account, or of them those that are locked.
func (a *Admin) registered(locked bool) []string {
	if !locked {
		return a.o.Accounts.Names()
	}
	var names []string
	for _, acc := range a.o.Accounts.All() {
		if acc.Locked {
			names = append(names, acc.Name)
		}
	}
	return names
}

// online is who is online and has done nothing for a time that counts.
func (a *Admin) online(counts func(time.Duration) bool) []string {
	var names []string
	now := time.Now()
	for _, acc := range a.o.Hall.Online() {
		if counts(now.Sub(lastDid(acc))) {
			names = append(names, acc.JID().Local())
		}
	}
	slices.Sort(names)
	return names
}

// lastDid is when somebody last did something, on whichever device.
func lastDid(acc *im.Account) time.Time {
	var last time.Time
	for _, s := range acc.Sessions() {
		if t := s.Seen(); t.After(last) {
			last = t
		}
	}
	return last
}

// users lists accounts with their marks.
func (a *Admin) users(_ context.Context, c *call) (*result, error) {
	list := a.o.Accounts.All
	if given := c.value(fieldAccount); given != "" {
		acc, err := a.find(given, fieldAccount)
		if err != nil {
			return nil, err
		}
		list = func() []auth.Account { return []auth.Account{acc} }
	}
	r := a.table(list()...)
	r.note = number(len(r.rows), "account") + "."
	return r, nil
}

func (a *Admin) lastSeen(_ context.Context, c *call) (*result, error) {
	acc, err := a.find(c.value(fieldAccount), fieldAccount)
	if err != nil {
		return nil, err
	}
	last, online := a.o.Seen(acc.Owner)
	value := stanza.DateTime(last)
	note := a.address(acc) + " was last here at " + value + "."
	switch {
	case online:
		value, note = "now", a.address(acc)+" is online now."
	case last.IsZero():
		value, note = "never", a.address(acc)+" has never been here."
	}
	return &result{note: note, values: []form.Field{fact("lastlogin", "Last here", value)}}, nil
}

func (a *Admin) stats(ctx context.Context, c *call) (*result, error) {
	acc, err := a.find(c.value(fieldAccount), fieldAccount)
	if err != nil {
		return nil, err
	}
	here, err := a.o.Hall.Account(ctx, acc.Name)
	switch {
	case err != nil:
		return nil, err
	case here == nil: // it has gone meanwhile
		return nil, refuse(stanza.ItemNotFound, fieldAccount, "nobody here is called %s", acc.Name)
	}
	f := fact("onlineresources", "Resources that are signed in")
	for _, s := range here.Sessions() {
		f.Values = append(f.Values, s.JID().Resource())
	}
	return &result{note: number(len(f.Values), "session") + " of " + a.address(acc) + ".", values: []form.Field{f}}, nil
}

// facts is one number.
func facts(name, label string, n int) []form.Field {
	return []form.Field{fact(name, label, strconv.Itoa(n))}
}
