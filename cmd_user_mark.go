package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"parley/ext/admin"
)

// markCommand is a command that gives accounts a mark or takes it.
type markCommand struct {
	word, about string
	node        string
	done        string // what is said, after the address
}

func markCommands() []markCommand {
	return []markCommand{
		{"lock", "let nobody sign in to an account, until it is unlocked", admin.NodeLock,
			"is locked: nobody can sign in to it, and its sessions are ended. What is written to it is kept."},
		{"unlock", "take back a lock, and a block after wrong passwords", admin.NodeUnlock,
			"is unlocked, and wrong passwords are forgotten."},
		{"promote", "make an account an administrator's", admin.NodePromote, "is an administrator now."},
		{"demote", "make an account an administrator's no longer", admin.NodeDemote, "is not an administrator."},
	}
}

func (p *program) userMark(m markCommand) *cobra.Command {
	var flags userFlags
	cmd := &cobra.Command{Use: m.word + " NAME", Short: m.about, Args: words("NAME")}
	return p.userSub(cmd, &flags, func(ctx context.Context, a *accounts, given []string) error {
		acc, err := a.one(ctx, given[0], admin.Request{Node: m.node, Fields: map[string][]string{"accountjids": given}})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(p.out, "%s %s\n", acc.Address, m.done)
		return err
	})
}
