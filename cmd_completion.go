package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// wordCompletion gives the command that prints the scripts for the shells, which cobra makes, words like ours.
func wordCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Short = "make your shell complete commands and flags"
		cmd.Long = `parley completion prints a script with which your shell completes the commands of parley, their flags and what
these may be.`
		for _, shell := range cmd.Commands() {
			name := shell.Name()
			shell.Args = words()
			shell.Short = "print the script for " + name
			shell.Long = fmt.Sprintf("parley completion %s prints a script with which %s completes the commands of parley.", name, name)
			now, always := completionUse(name)
			shell.Example = fmt.Sprintf("  now       %s\n  always    %s", now, always)
			if f := shell.Flags().Lookup("no-descriptions"); f != nil {
				f.Usage = "complete with the bare words, without what they mean"
			}
		}
	}
}

// completionUse says how the script is used in this session of a shell, and how in all of them.
func completionUse(shell string) (now, always string) {
	switch shell {
	case "bash":
		return "source <(parley completion bash)        with the package bash-completion",
			"parley completion bash > ~/.local/share/bash-completion/completions/parley"
	case "zsh":
		return "source <(parley completion zsh)         after  autoload -U compinit; compinit",
			`parley completion zsh > "${fpath[1]}/_parley"`
	case "fish":
		return "parley completion fish | source", "parley completion fish > ~/.config/fish/completions/parley.fish"
	}
	return "parley completion powershell | Out-String | Invoke-Expression", "the same line in your profile ($PROFILE)"
}
