package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"parley/tui"
)

// trustCommand is `parley trust` with the commands below it.
func (p *program) trustCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "trust", Short: "the servers whose keys this computer trusts: list, forget"}
	var asJSON bool
	list := &cobra.Command{
		Use: "list", Short: "list them", Args: words(),
		RunE: func(*cobra.Command, []string) error { return p.trustList(asJSON) },
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print them as JSON")
	cmd.AddCommand(list, &cobra.Command{
		Use: "forget HOST[:PORT]", Short: "forget a server, so that its key is asked about again", Args: words("HOST"),
		RunE: func(_ *cobra.Command, given []string) error {
			k, err := p.known()
			if err != nil {
				return err
			}
			n, err := k.Forget(given[0])
			if err != nil {
				return err
			}
			if n == 0 {
				return &failure{code: exitFailed, what: "no key of " + given[0] + " is known here", fix: "all that are:  parley trust list"}
			}
			fmt.Fprintf(p.out, "forgot %s\n", tui.OneLine(given[0]))
			return nil
		},
	})
	return cmd
}

// known is the file of the servers' keys.
func (p *program) known() (*tui.Known, error) {
	k, err := tui.DefaultKnown(p.getenv)
	if err != nil {
		return nil, &failure{code: exitFailed, what: "there is no folder to remember servers in", why: err.Error(), fix: "set HOME or XDG_STATE_HOME"}
	}
	return k, nil
}

func (p *program) trustList(asJSON bool) error {
	k, err := p.known()
	if err != nil {
		return err
	}
	pins, err := k.List()
	if err != nil {
		return err
	}
	if asJSON {
		if pins == nil {
			pins = []tui.Pin{}
		}
		return json.NewEncoder(p.out).Encode(pins)
	}
	for _, pin := range pins {
		fmt.Fprintf(p.out, "%s %s %s\n", tui.OneLine(pin.HostPort), tui.OneLine(pin.Key), pin.Since.Local().Format("2006-01-02"))
	}
	return nil
}
