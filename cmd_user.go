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
	"parley/server"
)

// userFlags are the flags of the commands below `parley user`.
type userFlags struct {
	settings  settingFlags
	fromInput bool // --password-stdin
	fresh     bool // --make-password
	asJSON    bool
	yes       bool
}

// userCommand is `parley user` with the commands below it.
func (p *program) userCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "user",
		Short: "the accounts: add, list, reset, remove, import",
		Long: `parley user works on the accounts of a server: of one that runs, and of one that does not, the same command
either way. It finds them by the data directory.`,
	}
	cmd.AddCommand(p.userAdd(), p.userList(), p.userReset(), p.userRemove(), p.userImport())
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
	return p.userSub(cmd, &flags, func(ctx context.Context, a *accounts, given []string) error {
		name := given[0]
		r, err := a.do(ctx, server.Request{Do: server.DoFind, Name: name})
		switch {
		case err != nil:
			return err
		case r.Fault == "":
			return existsFailure(r.Accounts[0])
		case r.Fault != server.FaultUnknown:
			return a.failure(r, name)
		}
		password, made, err := p.newPassword(flags.fromInput, flags.fresh,
			fmt.Sprintf("echo \"$PW\" | parley user add %s --password-stdin\nparley user add %s --make-password", quoted(name), quoted(name)))
		if err != nil {
			return err
		}
		r, err = a.do(ctx, server.Request{Do: server.DoAdd, Name: name, Password: password})
		if err != nil {
			return err
		}
		if r.Fault != "" {
			return a.failure(r, name)
		}
		p.showMade(password, made)
		address := r.Accounts[0].Address
		fmt.Fprintf(p.out, "Added %s.\n", address)
		if onTerminal(p.out) {
			if a.port != 5222 && a.port != 0 {
				address = fmt.Sprintf("%s:%d", address, a.port)
			}
			fmt.Fprintf(p.out, "\n  talk here          parley client %s\n", address)
		}
		return nil
	})
}

func (p *program) userReset() *cobra.Command {
	var flags userFlags
	cmd := &cobra.Command{Use: "reset NAME", Short: "give an account a new password", Args: words("NAME")}
	flags.passwordFlags(cmd)
	return p.userSub(cmd, &flags, func(ctx context.Context, a *accounts, given []string) error {
		name := given[0]
		r, err := a.do(ctx, server.Request{Do: server.DoFind, Name: name})
		if err != nil {
			return err
		}
		if r.Fault != "" {
			return a.failure(r, name)
		}
		password, made, err := p.newPassword(flags.fromInput, flags.fresh,
			fmt.Sprintf("echo \"$PW\" | parley user reset %s --password-stdin\nparley user reset %s --make-password", quoted(name), quoted(name)))
		if err != nil {
			return err
		}
		r, err = a.do(ctx, server.Request{Do: server.DoReset, Name: name, Password: password})
		if err != nil {
			return err
		}
		if r.Fault != "" {
			return a.failure(r, name)
		}
		p.showMade(password, made)
		fmt.Fprintf(p.out, "New password for %s; the old one is no longer valid.\n", r.Accounts[0].Address)
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
		r, err := a.do(ctx, server.Request{Do: server.DoList})
		if err != nil {
			return err
		}
		if r.Fault != "" {
			return a.failure(r, "")
		}
		if flags.asJSON {
			if r.Accounts == nil {
				r.Accounts = []server.Account{}
			}
			return json.NewEncoder(p.out).Encode(r.Accounts)
		}
		if len(r.Accounts) == 0 {
			fmt.Fprintln(p.err, "No accounts yet. The first one:  parley user add NAME")
		}
		width := 0
		for _, acc := range r.Accounts {
			width = max(width, len(acc.Address))
		}
		for _, acc := range r.Accounts {
			fmt.Fprintf(p.out, "%-*s  added %s\n", width, harmless(acc.Address), day(acc.Added))
		}
		p.sayLacking(r.Accounts)
		return nil
	})
}

func (p *program) userRemove() *cobra.Command {
	var flags userFlags
	cmd := &cobra.Command{Use: "remove NAME", Short: "remove an account and all that is kept for it", Args: words("NAME")}
	cmd.Flags().BoolVar(&flags.yes, "yes", false, "do not ask first")
	return p.userSub(cmd, &flags, func(ctx context.Context, a *accounts, given []string) error {
		r, err := a.do(ctx, server.Request{Do: server.DoFind, Name: given[0]})
		if err != nil {
			return err
		}
		if r.Fault != "" {
			return a.failure(r, given[0])
		}
		if !flags.yes && onTerminal(p.in) {
			fmt.Fprintf(p.err, "Remove %s with all its messages? They cannot be brought back. [y/N] ", r.Accounts[0].Address)
			answer, err := readLine(p.in)
			if err != nil {
				return err
			}
			if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
				return &failure{code: exitFailed, what: "nothing was removed"}
			}
		}
		if r, err = a.do(ctx, server.Request{Do: server.DoRemove, Name: given[0]}); err != nil {
			return err
		}
		if r.Fault != "" {
			return a.failure(r, given[0])
		}
		fmt.Fprintf(p.out, "Removed %s and all that was kept for it.\n", r.Accounts[0].Address)
		return nil
	})
}

// day writes a date as people do.
func day(t time.Time) string { return t.Local().Format("2 Jan 2006") }
