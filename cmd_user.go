package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"parley/config"
	"parley/ext/admin"
)

// userFlags are the flags of the commands below `parley user`.
type userFlags struct {
	settings  settingFlags
	fromInput bool // --password-stdin
	fresh     bool // --make-password
	asJSON    bool
	yes       bool
	admin     bool
}

// userCommand is `parley user` with the commands below it.
func (p *program) userCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "the accounts: add, list, reset, lock, unlock, promote, demote, remove, import",
		Long: `parley user works on the accounts of a server: of one that runs, and of one that does not, the same command
either way. It finds them by the data directory.`,
	}
	cmd.AddCommand(p.userAdd(), p.userList(), p.userReset(), p.userRemove(), p.userImport())
	for _, m := range markCommands() {
		cmd.AddCommand(p.userMark(m))
	}
	return cmd
}

// userSub completes a command below `parley user`: its flags, and the accounts opened around its work.
func (p *program) userSub(cmd *cobra.Command, flags *userFlags, work func(ctx context.Context, a *accounts, given []string) error) *cobra.Command {
	flags.settings.addTo(cmd, func(s config.Setting) bool { return s.Key == "data" || s.Key == "domain" || s.Key == "auth.iterations" })
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		c, err := flags.settings.load(p)
		if err != nil {
			return err
		}
		a, err := openAccounts(cmd.Context(), c)
		if err != nil {
			return err
		}
		a.word = cmd.Name()
		return errors.Join(work(cmd.Context(), a, given), a.close())
	}
	return cmd
}

// passwordFlags adds the ways to give a password other than by typing it.
func (f *userFlags) passwordFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.fromInput, "password-stdin", false, "read the password from the first line of the input")
	cmd.Flags().BoolVar(&f.fresh, "make-password", false, "make a good password and print it")
}

func (p *program) userAdd() *cobra.Command {
	var flags userFlags
	cmd := &cobra.Command{Use: "add NAME", Short: "make an account", Args: words("NAME")}
	flags.passwordFlags(cmd)
	cmd.Flags().BoolVar(&flags.admin, "admin", false, "make it an administrator's")
	return p.userSub(cmd, &flags, func(ctx context.Context, a *accounts, given []string) error {
		name := given[0]
		if err := a.vacant(ctx, name); err != nil {
			return err
		}
		password, made, err := p.newPassword(flags.fromInput, flags.fresh,
			fmt.Sprintf("echo \"$PW\" | parley user add %s --password-stdin\nparley user add %s --make-password", quoted(name), quoted(name)))
		if err != nil {
			return err
		}
		fields := map[string][]string{"accountjid": {name}, "password": {password}}
		if flags.admin {
			fields["admin"] = []string{"1"}
		}
		acc, err := a.one(ctx, name, admin.Request{Node: admin.NodeAdd, Fields: fields})
		if err != nil {
			return err
		}
		p.showMade(password, made)
		fmt.Fprintf(p.out, "Added %s%s.\n", acc.Address, marks(acc, ", "))
		if onTerminal(p.out) {
			address := acc.Address
			if a.port != 5222 && a.port != 0 {
				address = fmt.Sprintf("%s:%d", address, a.port)
			}
			fmt.Fprintf(p.out, "\n  talk here          parley client %s\n", address)
		}
		return nil
	})
}

// marks are those of an account, each after a separator.
func marks(acc admin.Account, before string) string {
	text := ""
	if acc.Admin {
		text += before + "admin"
	}
	if acc.Locked {
		text += before + "locked"
	}
	return text
}

func (p *program) userReset() *cobra.Command {
	var flags userFlags
	cmd := &cobra.Command{Use: "reset NAME", Short: "give an account a new password", Args: words("NAME")}
	flags.passwordFlags(cmd)
	return p.userSub(cmd, &flags, func(ctx context.Context, a *accounts, given []string) error {
		name := given[0]
		acc, err := a.find(ctx, name)
		if err != nil {
			return err
		}
		password, made, err := p.newPassword(flags.fromInput, flags.fresh,
			fmt.Sprintf("echo \"$PW\" | parley user reset %s --password-stdin\nparley user reset %s --make-password", quoted(name), quoted(name)))
		if err != nil {
			return err
		}
		fields := map[string][]string{"accountjid": {name}, "password": {password}}
		if _, err = a.ask(ctx, name, admin.Request{Node: admin.NodeReset, Fields: fields}); err != nil {
			return err
		}
		p.showMade(password, made)
		fmt.Fprintf(p.out, "New password for %s; the old one is no longer valid.\n", acc.Address)
		if acc.Locked {
			fmt.Fprintf(p.out, "The account is still locked:  parley user unlock %s\n", acc.Name)
		}
		return nil
	})
}

// showMade prints a password that nobody has seen yet.
func (p *program) showMade(password string, made bool) {
	if made {
		fmt.Fprintf(p.out, "Made for you:  %s\n", password)
	}
}

func (p *program) userList() *cobra.Command {
	var flags userFlags
	cmd := &cobra.Command{Use: "list", Short: "list the accounts", Args: words()}
	cmd.Flags().BoolVar(&flags.asJSON, "json", false, "print them as JSON")
	return p.userSub(cmd, &flags, func(ctx context.Context, a *accounts, _ []string) error {
		r, err := a.ask(ctx, "", admin.Request{Node: admin.NodeUsers})
		if err != nil {
			return err
		}
		list := r.Accounts()
		if flags.asJSON {
			return json.NewEncoder(p.out).Encode(list)
		}
		if len(list) == 0 {
			fmt.Fprintln(p.err, "No accounts yet. The first one:  parley user add NAME")
		}
		width := 0
		for _, acc := range list {
			width = max(width, len(acc.Address))
		}
		for _, acc := range list {
			fmt.Fprintf(p.out, "%-*s  added %s%s\n", width, harmless(acc.Address), day(acc.Added), marks(acc, "  "))
		}
		p.sayLacking(list)
		return nil
	})
}

func (p *program) userRemove() *cobra.Command {
	var flags userFlags
	cmd := &cobra.Command{Use: "remove NAME", Short: "remove an account and all that is kept for it", Args: words("NAME")}
	cmd.Flags().BoolVar(&flags.yes, "yes", false, "do not ask first")
	return p.userSub(cmd, &flags, func(ctx context.Context, a *accounts, given []string) error {
		acc, err := a.find(ctx, given[0])
		if err != nil {
			return err
		}
		if !flags.yes && onTerminal(p.in) {
			fmt.Fprintf(p.err, "Remove %s with all its messages? They cannot be brought back. [y/N] ", acc.Address)
			answer, err := readLine(p.in)
			if err != nil {
				return err
			}
			if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
				return &failure{code: exitFailed, what: "nothing was removed"}
			}
		}
		req := admin.Request{Node: admin.NodeRemove, Fields: map[string][]string{"accountjids": {given[0]}}}
		if _, err = a.ask(ctx, given[0], req); err != nil {
			return err
		}
		fmt.Fprintf(p.out, "Removed %s and all that was kept for it.\n", acc.Address)
		return nil
	})
}

// day writes a date as people do.
func day(t time.Time) string { return t.Local().Format("2 Jan 2006") }
