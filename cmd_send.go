package main

import (
	"context"

	"github.com/spf13/cobra"

	"parley/tui"
)

// sendCommand is `parley send`.
func (p *program) sendCommand() *cobra.Command {
	var flags clientFlags
	cmd := &cobra.Command{
		Use:   "send USER TEXT",
		Short: "send one message, from a script",
		Long: `parley send signs in, sends one message and leaves. It succeeds once the message is stored at the server. Without
--server the server is the one of the name's domain (--user alice@chat.example.org). Without either of them it is sent as
whoever used parley client last, and where that was; when nobody has, the server is localhost.`,
		Example: `  parley send bob "backup done" --user alice --password-file /etc/backup/parley
  PARLEY_PASSWORD=… parley send bob "backup done" --user alice --server chat.example.org`,
		Args: func(cmd *cobra.Command, given []string) error {
			if len(given) > 2 {
				return misuse(`parley send bob "backup done"`, "parley send takes a user and one text, and %q is one word too many: put quotes around the text", given[2])
			}
			return words("USER", "TEXT")(cmd, given)
		},
	}
	flags.addTo(cmd)
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		o := tui.Options{Again: "parley send", Interactive: onTerminal(p.in) && onTerminal(p.err)}
		if err := flags.fill(p, &o); err != nil {
			return err
		}
		asLast(&o)
		return p.client(cmd.Context(), o, func(ctx context.Context, o tui.Options) error {
			return tui.Send(ctx, o, given[0], given[1])
		})
	}
	return cmd
}

// asLast fills in what is missing of account and server from what `parley client` remembers. What cannot be read counts
// as nothing remembered. A send itself is not remembered: scripts often have an account of their own.
func asLast(o *tui.Options) {
	acc, ok, _ := o.Last.Load()
	o.Last = nil
	nowhere := o.HostPort == "" && o.Domain == ""
	switch {
	case ok && nowhere:
		o.Domain, o.HostPort = acc.Domain, acc.HostPort
	case nowhere:
		o.HostPort = "localhost:5222"
	}
	if ok && o.User == "" && o.Domain == acc.Domain && o.HostPort == acc.HostPort {
		o.User = acc.User
	}
}
