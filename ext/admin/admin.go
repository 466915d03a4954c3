// Package admin is the administration of a server: one implementation of each act, for two ways to ask for it.
//
//	ad-hoc commands (XEP-0050, XEP-0133) on the server's address     for the accounts that are administrators
//	Do, which the server's control socket and `parley user` call     for whoever may open the data directory
//
// The acts are the table in commands.go. Whatever they change is auth's or the hall's to change; the rules about names
// and passwords are auth's. Each act leaves one line in the log with who did it.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"parley/auth"
	"parley/im"
	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
	"parley/xmpp/xml"
)

// NS is the namespace of XEP-0133: the FORM_TYPE of the forms, and what the nodes begin with.
const NS = "http://jabber.org/protocol/admin"

// Options say what is administered. Accounts, Domain and Unblock are always needed.
type Options struct {
	Accounts *auth.Accounts
	Domain   string                                       // of all addresses
	Port     int                                          // for clients; 0: not known
	Unblock  func(ctx context.Context, name string) error // lifts what wrong passwords have led to

	// The running server. Without a hall only what concerns accounts can be done.
	Hall *im.Server
	Seen func(store.Owner) (last time.Time, online bool) // when somebody was last here; the zero time: never

	Logger *slog.Logger // nil discards
}

// Admin does the acts. [Admin.Run] must be running while the server serves.
type Admin struct {
	// fixed
	o   Options
	log *slog.Logger

	motd    atomic.Pointer[motd] // nil: there is none. Written while setting is held
	setting sync.Mutex           // held while the message of the day is changed

	wake chan struct{} // holds one: there is something for Run
	mu   sync.Mutex
	came map[string]struct{} // who may not know the message of the day yet, by name; guarded by mu
	plan *plan               // when the server stops; guarded by mu
}

// New reads the message of the day. Errors are those of the store.
func New(ctx context.Context, o Options) (*Admin, error) {
	a := &Admin{o: o, log: o.Logger, wake: make(chan struct{}, 1), came: map[string]struct{}{}}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if o.Hall == nil {
		return a, nil
	}
	return a, a.loadMOTD(ctx)
}

// Log is where acts of administration are noted.
func (a *Admin) Log() *slog.Logger { return a.log }

// Extension is what the hall uses.
func (a *Admin) Extension() im.Extension {
	x := im.Extension{Name: "admin", Specs: []string{"XEP-0133 1.3.1"}, Changed: a.changed}
	for _, c := range Commands() {
		if c.file {
			continue
		}
		cmd := im.Command{Node: c.Node, Name: c.Name, Allowed: a.allowed}
		if len(c.Fields) > 0 && !c.atOnce {
			cmd.Form = func(*im.Session) *xml.Element { return a.ask(c) }
		}
		cmd.Run = func(ctx context.Context, s *im.Session, x *xml.Element) (im.CommandResult, error) {
			return a.execute(ctx, c, s, x)
		}
		x.Commands = append(x.Commands, cmd)
	}
	return x
}

// allowed tells whether a session is an administrator's.
func (a *Admin) allowed(s *im.Session) bool { return a.IsAdmin(s.Account().JID().Local()) }

// IsAdmin tells whether an account, by its localpart, is an administrator's.
func (a *Admin) IsAdmin(localpart string) bool {
	acc, ok := a.o.Accounts.Lookup(localpart)
	return ok && acc.Admin && !acc.Locked
}

// ask is the form of a command.
func (a *Admin) ask(c Command) *xml.Element {
	f := form.New(form.Ask, NS, c.Name)
	for _, x := range c.Fields {
		if now := a.motd.Load(); x.current && now != nil {
			x.Values = strings.Split(now.Text, "\n")
		}
		f.Fields = append(f.Fields, x.Field)
	}
	return f.Element()
}

// maxListed is how many rows and values a form has at most; over the socket there are all.
const maxListed = 1000

// execute runs a command for an administrator's session.
func (a *Admin) execute(ctx context.Context, c Command, s *im.Session, x *xml.Element) (im.CommandResult, error) {
	values := map[string][]string{}
	if x != nil {
		f, err := form.Parse(x)
		if err != nil {
			return im.CommandResult{}, stanza.Bad(stanza.BadRequest, "That is no form.")
		}
		for _, field := range f.Fields {
			values[field.Var] = field.Values
		}
	}
	r, err := a.run(ctx, c, &call{by: s, values: values})
	var no *refusal
	if errors.As(err, &no) {
		return im.CommandResult{}, stanza.Bad(no.condition, sentence(no.text))
	}
	if err != nil {
		return im.CommandResult{}, err
	}
	res := im.CommandResult{Note: r.note}
	if len(r.values) == 0 && len(r.columns) == 0 {
		return res, nil
	}
	f := form.New(form.Result, NS, c.Name)
	for _, v := range r.values {
		v.Values = v.Values[:min(len(v.Values), maxListed)]
		f.Fields = append(f.Fields, v)
	}
	for _, name := range r.columns {
		f.Reported = append(f.Reported, form.Field{Var: name, Type: form.TextSingle, Label: name})
	}
	for _, row := range r.rows[:min(len(r.rows), maxListed)] {
		var item []form.Field
		for i, cell := range row {
			item = append(item, form.Field{Var: r.columns[i], Values: []string{cell}})
		}
		f.Items = append(f.Items, item)
	}
	res.Form = f.Element()
	return res, nil
}

// call is one command as it was asked for.
type call struct {
	by     *im.Session // nil: by somebody on this computer
	values map[string][]string
	file   []byte
}

// who is the one who asks, for the log.
func (c *call) who() string {
	if c.by == nil {
		return "local"
	}
	return c.by.JID().String()
}

// value is the first value of a field, text all of them as lines.
func (c *call) value(name string) string {
	if v := c.values[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (c *call) text(name string) string { return strings.Join(c.values[name], "\n") }

// result is what a command says when it is done.
type result struct {
	note    string
	about   string       // whom or what it concerned, for the log
	values  []form.Field // facts
	columns []string     // and a table
	rows    [][]string
}

// run does what a command asks for, once what it needs is there, and notes it in the log.
func (a *Admin) run(ctx context.Context, c Command, asked *call) (*result, error) {
	if c.Live && a.o.Hall == nil {
		return nil, refuse(stanza.ServiceUnavailable, "", "this needs a running server")
	}
	for _, f := range c.Fields {
		if f.Required && strings.TrimSpace(asked.text(f.Var)) == "" {
			return nil, refuse(stanza.BadRequest, f.Var, "the field %s is missing", f.Var)
		}
	}
	r, err := c.run(a, ctx, asked)
	if err != nil {
		return r, asRefusal(err) // what was done until then is told all the same, by an import
	}
	if !c.quiet {
		a.log.Info("administration", slog.String("command", c.short()), slog.String("by", asked.who()), slog.String("about", r.about))
	}
	return r, nil
}

// short is a command's node without its namespace.
func (c Command) short() string {
	_, name, _ := strings.Cut(c.Node, "#")
	return name
}

// number is "1 account", "2 accounts".
func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if what == "person" {
		return fmt.Sprintf("%d people", n)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
