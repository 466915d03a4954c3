package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"parley/config"
	"parley/im"
	"parley/server"
)

// explain prints which extensions a server with these settings has, in the order in which they see a stanza.
func (p *program) explain(ctx context.Context, c config.Config) error {
	list, err := server.Extensions(ctx, c)
	if err != nil {
		return &failure{code: exitFailed, what: "the extensions cannot be put together", why: err.Error()}
	}
	fmt.Fprintf(p.out, "The extensions of this server, in the order in which they see a stanza:\n")
	for i, x := range list {
		fmt.Fprintf(p.out, "\n%2d %s\n", i+1, x.Name)
		explainOne(p.out, x)
	}
	fmt.Fprintln(p.out, "\nThe way of a stanza through them:")
	for _, step := range []struct {
		name string
		of   func(im.Extension) bool
		when string
	}{
		{"Sending", func(x im.Extension) bool { return x.Sending != nil }, "what a client sends, before it is routed"},
		{"Arriving", func(x im.Extension) bool { return x.Arriving != nil }, "what reaches an account, before it is delivered"},
		{"Missed", func(x im.Extension) bool { return x.Missed != nil }, "a message that not every client can take now"},
		{"CatchUp", func(x im.Extension) bool { return x.CatchUp != nil }, "what an account has sent, for a client of it that catches up"},
		{"Contact", func(x im.Extension) bool { return x.Contact != nil }, "chat with the server's own address"},
	} {
		var names []string
		for _, x := range list {
			if step.of(x) {
				names = append(names, x.Name)
			}
		}
		way := strings.Join(names, " → ")
		if way == "" {
			way = "-"
		}
		fmt.Fprintf(p.out, "  %-9s %-30s %s\n", step.name, way, step.when)
	}
	return nil
}

// explainOne prints what one extension does.
func explainOne(w io.Writer, x im.Extension) {
	say := func(what string, list []string) {
		for i, text := range list {
			if i > 0 {
				what = ""
			}
			fmt.Fprintf(w, "   %-10s %s\n", what, text)
		}
	}
	if len(x.Specs) > 0 {
		say("specs", []string{strings.Join(x.Specs, ", ")})
	}
	var answers, steps, commands []string
	for _, a := range x.Answers {
		answers = append(answers, explainAnswer(a))
	}
	for _, step := range []struct {
		name string
		has  bool
	}{{"Sending", x.Sending != nil}, {"Arriving", x.Arriving != nil}, {"Missed", x.Missed != nil}, {"CatchUp", x.CatchUp != nil}, {"Contact", x.Contact != nil},
		{"Changed", x.Changed != nil}, {"Closed", x.Closed != nil}} {
		if step.has {
			steps = append(steps, step.name)
		}
	}
	for _, c := range x.Commands {
		commands = append(commands, fmt.Sprintf("%s (%s)", c.Node, c.Name))
	}
	say("answers", answers)
	if len(steps) > 0 {
		say("steps", []string{strings.Join(steps, ", ")})
	}
	say("commands", commands)
}

// explainAnswer says which requests an extension answers: "get, set  <query xmlns='jabber:iq:roster'/>  at one's own account".
func explainAnswer(a im.Answer) string {
	var kinds []string
	if a.Get != nil {
		kinds = append(kinds, "get")
	}
	if a.Set != nil {
		kinds = append(kinds, "set")
	}
	where := map[im.Target]string{im.AtSelf: "to one's own account", im.AtAccount: "to an account", im.AtServer: "to the server"}[a.At]
	return fmt.Sprintf("%-8s <%s xmlns='%s'/> %s", strings.Join(kinds, ", "), a.Name.Local, a.Name.Space, where)
}
