package team_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"parley/ext/adhoc"
	"parley/ext/blocking"
	"parley/ext/exttest"
	"parley/ext/team"
	"parley/im"
	"parley/store"
	"parley/store/memory"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
)

func options() team.Options {
	return team.Options{Broadcast: true, Burst: 10, Every: 5 * time.Second, Whoelse: true, Whoelsesince: true}
}

// start is a hall over an engine, as a server that starts there.
func start(t *testing.T, e store.Engine, p *exttest.People, o team.Options) (*exttest.Hall, *team.Team) {
	t.Helper()
	h := exttest.With(t, e, p)
	o.Accounts = p.Names
	x, err := team.New(context.Background(), h.Server, o)
	if err != nil {
		t.Fatal(err)
	}
	keep := im.Extension{Name: "keep", Missed: func(_ context.Context, d *im.Delivery) error { return d.Account.Keep(d, d.Stanza.From, false) }}
	if err := h.Use(adhoc.New(h.Server), blocking.New(), keep, x.Extension()); err != nil {
		t.Fatal(err)
	}
	return h, x
}

func hall(t *testing.T, o team.Options, names ...string) *exttest.Hall {
	t.Helper()
	h, _ := start(t, memory.New(), exttest.Everybody(names...), o)
	return h
}

// run executes a command in one step; field is "" for a command without form. It returns the whole command element's
// inside, or the error.
func run(c *exttest.Client, node, field, value string) (string, *stanza.Error) {
	x := ""
	if field != "" {
		x = form.New(form.Submit, "", "", form.Field{Var: field, Values: strings.Split(value, "\n")}).Element().String()
	}
	a := c.Ask("set", "here", "<command xmlns='http://jabber.org/protocol/commands' node='"+node+"'>"+x+"</command>")
	if a.Type == stanza.ErrorType {
		return "", stanza.ErrorOf(a)
	}
	return a.Child(adhoc.NS, "command").Raw(), nil
}

// people runs whoelse, or whoelsesince when since is not empty, and returns the note, then "name state last" of each.
func people(t *testing.T, c *exttest.Client, since string) []string {
	t.Helper()
	node, field := team.NodeWhoelse, ""
	if since != "" {
		node, field = team.NodeWhoelsesince, "since"
	}
	x := ""
	if field != "" {
		x = form.New(form.Submit, "", "", form.Field{Var: field, Values: []string{since}}).Element().String()
	}
	a := c.Ask("set", "here", "<command xmlns='http://jabber.org/protocol/commands' node='"+node+"'>"+x+"</command>")
	if a.Type == stanza.ErrorType {
		t.Fatal(a)
	}
	done := a.Child(adhoc.NS, "command")
	f, err := form.Parse(done.Child(stanza.NSForms, "x"))
	if err != nil {
		t.Fatal(err)
	}
	out := []string{done.Child(adhoc.NS, "note").Text()}
	for _, row := range f.Items {
		var words []string
		for _, cell := range row {
			if cell.Var == "since" { // TestOnlineSince
				continue
			}
			words = append(words, strings.TrimSuffix(cell.Values[0], "@here"))
		}
		out = append(out, strings.Join(words, " "))
	}
	return out
}

func block(c *exttest.Client, on bool, who string) {
	name := "unblock"
	if on {
		name = "block"
	}
	c.Ask("set", "", "<"+name+" xmlns='urn:xmpp:blocking'><item jid='"+who+"@here'/></"+name+">")
}
