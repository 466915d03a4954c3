package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"parley/config"
	"parley/ext/admin"
	"parley/server"
	"parley/xmpp/stanza"
)

// adminCommand is `parley admin` with a command below it for each act that has a word.
func (p *program) adminCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "admin",
		Short: "what an administrator does with a running server: announce, end-session, shutdown",
		Long: `parley admin does with a running server what its administrators also do from their clients (ad-hoc commands). It finds
the server by the data directory. A field is written NAME=VALUE; parley admin help lists all of them.`,
	}
	for _, c := range admin.Commands() {
		if c.Word != "" {
			cmd.AddCommand(p.adminSub(c))
		}
	}
	cmd.AddCommand(&cobra.Command{Use: "help", Aliases: []string{"list"}, Short: "list the commands with their fields", Args: words(),
		RunE: func(*cobra.Command, []string) error { return writeAdminHelp(p.out) }})
	return cmd
}

// adminUse is how a command is written: "announce text=TEXT".
func adminUse(c admin.Command) string {
	use := c.Word
	for _, f := range c.Fields {
		field := f.Word + "=" + strings.ToUpper(f.Word)
		if !f.Required {
			field = "[" + field + "]"
		}
		use += " " + field
	}
	return use
}

func writeAdminHelp(w io.Writer) error {
	fmt.Fprintln(w, "Commands for a running server, after  parley admin :")
	for _, c := range admin.Commands() {
		if c.Word == "" {
			continue
		}
		fmt.Fprintf(w, "\n  %s\n      %s\n", adminUse(c), c.Name)
		for _, f := range c.Fields {
			fmt.Fprintf(w, "      %-6s %s\n", f.Word, f.Label)
		}
	}
	_, err := fmt.Fprintln(w, "\nA field that takes several values, or lines, may be given several times. Accounts: parley help user")
	return err
}

func (p *program) adminSub(c admin.Command) *cobra.Command {
	var flags settingFlags
	var asJSON bool
	cmd := &cobra.Command{Use: adminUse(c), Short: c.Name}
	flags.addTo(cmd, func(s config.Setting) bool { return s.Key == "data" })
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the answer as JSON")
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		fields, err := adminFields(c, cmd.UseLine(), given)
		if err != nil {
			return err
		}
		settings, err := flags.load(p)
		if err != nil {
			return err
		}
		r, err := callAdmin(cmd.Context(), settings.Data, c, admin.Request{Node: c.Node, Fields: fields})
		switch {
		case err != nil:
			return err
		case r.Condition != "":
			return adminFailure(r, settings.Data, cmd.UseLine())
		case asJSON:
			return json.NewEncoder(p.out).Encode(struct {
				Note   string              `json:"note"`
				Values map[string][]string `json:"values,omitempty"`
			}{r.Note, r.Values})
		}
		fmt.Fprintln(p.out, harmless(r.Note))
		for _, f := range r.Values {
			if len(f) > 0 && !c.Said {
				fmt.Fprintln(p.out, harmless("  "+strings.Join(f, "\n  ")))
			}
		}
		return nil
	}
	return cmd
}

// adminFields reads the words NAME=VALUE after a command. Lines of a value are values of their own.
func adminFields(c admin.Command, use string, given []string) (map[string][]string, error) {
	known := map[string]string{} // from the word to the name on the wire
	var names []string
	for _, f := range c.Fields {
		known[f.Word] = f.Var
		names = append(names, f.Word)
	}
	fields := map[string][]string{}
	for _, word := range given {
		name, value, ok := strings.Cut(word, "=")
		switch field := known[name]; {
		case len(names) == 0:
			return nil, misuse(use, "parley admin %s takes no fields, and %q is one word too many", c.Word, word)
		case !ok:
			return nil, misuse(use, "%q is not a field: it has no =", word)
		case field == "":
			fix := use
			if near := config.Nearest(name, names); near != "" {
				fix = "did you mean:  " + near + "="
			}
			return nil, misuse(fix, "parley admin %s has no field %q", c.Word, name)
		default:
			fields[field] = append(fields[field], strings.Split(value, "\n")...)
		}
	}
	for _, f := range c.Fields {
		if f.Required && strings.TrimSpace(strings.Join(fields[f.Var], "")) == "" {
			return nil, misuse(use, "parley admin %s needs %s=", c.Word, f.Word)
		}
	}
	return fields, nil
}

// callAdmin asks the server that runs on a data directory.
func callAdmin(ctx context.Context, dir string, c admin.Command, req admin.Request) (admin.Answer, error) {
	r, err := server.CallControl(ctx, dir, req)
	switch {
	case errors.Is(err, server.ErrNoServer):
		return r, &failure{code: exitFailed, what: "no server is running on " + dir,
			why: "parley admin " + c.Word + " is for a running server", fix: "start it:  parley server --data " + quoted(dir) +
				"\nthe directory of another one:  --data DIR"}
	case err != nil:
		return r, controlFailure(err, dir)
	}
	return r, nil
}

// adminFailure words what a server refused.
func adminFailure(r admin.Answer, dir, use string) error {
	switch r.Condition {
	case stanza.BadRequest, stanza.NotAcceptable:
		return misuse(use, "%s", r.Text)
	case stanza.Forbidden:
		return foreignServer(dir)
	case stanza.ItemNotFound:
		fix := ""
		if r.Field != "" {
			fix = "all of them:  parley user list"
		}
		return &failure{code: exitFailed, what: r.Text, fix: fix}
	case stanza.FeatureNotImplemented:
		return &failure{code: exitFailed, what: "the server on " + dir + " does not know this command",
			why: "it is another version (this one is " + version + ")", fix: "parley admin restart, once the new version is in its place"}
	}
	return &failure{code: exitFailed, what: "the server did not do it", why: r.Text}
}
