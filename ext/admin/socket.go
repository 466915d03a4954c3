package admin

import (
	"context"
	"errors"
	"time"

	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
)

// MaxImport is the most that a File may have, in bytes.
const MaxImport = 16 << 20

// Request asks for one act, on the control socket.
type Request struct {
	Node   string              `json:"node"`
	Fields map[string][]string `json:"fields,omitempty"`
	File   []byte              `json:"file,omitempty"` // for NodeImport: a name and a password on each line
}

// Answer is what came of a Request.
type Answer struct {
	Condition stanza.Condition    `json:"condition,omitempty"` // "": it was done
	Field     string              `json:"field,omitempty"`     // the field that is to blame
	Text      string              `json:"text,omitempty"`      // why, without capital and full stop
	Note      string              `json:"note,omitempty"`      // what was done, a sentence
	Values    map[string][]string `json:"values,omitempty"`
	Columns   []string            `json:"columns,omitempty"`
	Rows      [][]string          `json:"rows,omitempty"`
	Domain    string              `json:"domain"`
	Port      int                 `json:"port,omitempty"` // for clients, where it is known
}

// Account is an account as its administrator sees it.
type Account struct {
	Name    string    `json:"name"`
	Address string    `json:"address"`
	Added   time.Time `json:"added"`
	Admin   bool      `json:"admin"`
	Locked  bool      `json:"locked"`
	SHA1    *bool     `json:"scram_sha_1,omitempty"` // whether it can sign in with SCRAM-SHA-1; nil: nobody may
}

// Do does what a request asks for, and returns when that is durable.
func (a *Admin) Do(ctx context.Context, req Request) Answer {
	answer := Answer{Domain: a.o.Domain, Port: a.o.Port}
	r, err := a.local(ctx, req)
	var no *refusal
	switch {
	case errors.As(err, &no):
		answer.Condition, answer.Field, answer.Text = no.condition, no.field, no.text
	case err != nil:
		answer.Condition, answer.Text = stanza.InternalServerError, err.Error()
	}
	if r == nil {
		return answer
	}
	answer.Note, answer.Columns, answer.Rows = r.note, r.columns, r.rows
	for _, f := range r.values {
		if answer.Values == nil {
			answer.Values = map[string][]string{}
		}
		answer.Values[f.Var] = append([]string{}, f.Values...)
	}
	return answer
}

func (a *Admin) local(ctx context.Context, req Request) (*result, error) {
	for _, c := range Commands() {
		if c.Node != req.Node {
			continue
		}
		r, err := a.run(ctx, c, &call{values: req.Fields, file: req.File})
		if err == nil && a.o.Hall != nil && !c.quiet {
			st := a.o.Hall.Store()
			err = asRefusal(st.Wait(context.WithoutCancel(ctx), st.Mark()))
		}
		return r, err
	}
	return nil, refuse(stanza.FeatureNotImplemented, "", "the server does not know the command %q", req.Node)
}

// The columns of a table of accounts.
const (
	colName   = "name"
	colJID    = "jid"
	colAdded  = "added"
	colAdmin  = "admin"
	colLocked = "locked"
	colSHA1   = "scram-sha-1" // only where accounts may sign in so
)

// Accounts reads a table of accounts.
func (r Answer) Accounts() []Account {
	list := make([]Account, 0, len(r.Rows))
	for _, row := range r.Rows {
		var acc Account
		for i, cell := range row[:min(len(row), len(r.Columns))] {
			switch r.Columns[i] {
			case colName:
				acc.Name = cell
			case colJID:
				acc.Address = cell
			case colAdded:
				acc.Added, _ = time.Parse(time.RFC3339, cell)
			case colAdmin:
				acc.Admin = cell == yes
			case colLocked:
				acc.Locked = cell == yes
			case colSHA1:
				has := cell == yes
				acc.SHA1 = &has
			}
		}
		list = append(list, acc)
	}
	return list
}

// yes is the value of a mark that is set; the other one is empty.
const yes = "yes"

func fact(name, label string, values ...string) form.Field {
	return form.Field{Var: name, Label: label, Values: values}
}
