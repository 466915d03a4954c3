package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"parley/config"
)

// tree builds the commands around the table: help, completion, and the sentences about wrong command lines.
func (p *program) tree(args []string) *cobra.Command {
	root := &cobra.Command{
		Use:           "parley",
		Short:         "an instant messenger: server and clients in one program",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetArgs(args)
	for i, cmd := range p.commands() {
		cmd.Annotations = map[string]string{place: fmt.Sprintf("%02d", i)}
		root.AddCommand(cmd)
	}
	root.SetHelpCommand(helpCommand())
	root.InitDefaultHelpCmd()
	wordCompletion(root)
	group(root)
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeHelp(cmd.OutOrStdout(), cmd) })
	root.SetFlagErrorFunc(flagError)
	return root
}

// place is the annotation of a command with its place in the table.
const place = "place"

// group gives a command that only holds other commands, and those below it, its own sentences for a word that is
// unknown or missing.
func group(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	if !cmd.HasSubCommands() {
		return
	}
	for _, sub := range cmd.Commands() {
		group(sub)
	}
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if len(given) == 0 {
			return nil
		}
		return unknownCommand(cmd, given[0])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var names []string
		for _, sub := range listed(cmd) {
			names = append(names, sub.Name())
		}
		last := len(names) - 1
		return misuse(cmd.CommandPath()+" "+names[0], "%s needs one more word: %s or %s",
			cmd.CommandPath(), strings.Join(names[:last], ", "), names[last])
	}
}

func unknownCommand(parent *cobra.Command, word string) error {
	var names []string
	for _, sub := range listed(parent) {
		names = append(names, sub.Name())
	}
	fix := "all commands: " + strings.TrimSpace(strings.Replace(parent.CommandPath(), "parley", "parley help", 1))
	if near := config.Nearest(word, names); near != "" {
		fix = fmt.Sprintf("did you mean:  %s %s", parent.CommandPath(), near)
	}
	return misuse(fix, "there is no command %q", strings.TrimPrefix(parent.CommandPath()+" ", "parley ")+word)
}

// words makes the check of how many words follow a command. A name in brackets may be left out.
func words(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		fix := cmd.UseLine()
		switch {
		case len(given) > len(names) && len(names) == 0:
			return misuse(fix, "%s takes no words, and %q is one", cmd.CommandPath(), given[0])
		case len(given) > len(names):
			return misuse(fix, "%s takes at most %s, and %q is one word too many",
				cmd.CommandPath(), count(len(names), "word"), given[len(names)])
		case len(given) < len(names) && !strings.HasPrefix(names[len(given)], "["):
			return misuse(fix, "%s needs a %s", cmd.CommandPath(), names[len(given)])
		}
		return nil
	}
}

// count says a number of things: "1 word", "3 words".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// flagError words what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	help := "all flags: " + strings.Replace(cmd.CommandPath(), "parley", "parley help", 1)
	var unknown *pflag.NotExistError
	var empty *pflag.ValueRequiredError
	var value *pflag.InvalidValueError
	var syntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		short := "-" + unknown.GetSpecifiedShortnames()
		if short[1] >= '0' && short[1] <= '9' { // a number below zero, where a word was meant
			return negativeWord(cmd, short)
		}
		return misuse(help, "there is no flag %q for %s", short, cmd.CommandPath())
	case errors.As(err, &unknown):
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := config.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			help = "did you mean:  --" + near
		}
		return misuse(help, "there is no flag --%s for %s", unknown.GetSpecifiedName(), cmd.CommandPath())
	case errors.As(err, &empty):
		return misuse("--"+empty.GetFlag().Name+" "+strings.ToUpper(empty.GetFlag().Value.Type()),
			"--%s needs a value after it", empty.GetFlag().Name)
	case errors.As(err, &value):
		return misuse(help, "--%s cannot be %q", value.GetFlag().Name, value.GetValue())
	case errors.As(err, &syntax):
		return misuse(help, "%q is not a flag", syntax.GetSpecifiedFlag())
	}
	return misuse(help, "%v", err)
}

// negativeWord says which word of a command was given a number below zero.
func negativeWord(cmd *cobra.Command, number string) error {
	n := len(cmd.Flags().Args())
	if cmd.Name() == "server" && n < 3 {
		key, arg := serverWord(n, number)
		c, err := config.Load(config.Sources{Args: map[string]config.Arg{key: arg}, Getenv: func(string) string { return "" }})
		return errors.Join(err, c.Validate())
	}
	name := "a word"
	names := strings.Fields(strings.NewReplacer("[", "", "]", "").Replace(cmd.Use))[1:]
	if n < len(names) {
		name = names[n]
	}
	return misuse(cmd.UseLine(), "%s of %s cannot be below zero, and %s is", name, cmd.CommandPath(), number)
}

// listed returns the sub-commands that the help shows, those of the table first.
func listed(cmd *cobra.Command) (subs []*cobra.Command) {
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			subs = append(subs, sub)
		}
	}
	slices.SortStableFunc(subs, func(a, b *cobra.Command) int {
		x, y := a.Annotations[place], b.Annotations[place]
		if x == "" || y == "" {
			return strings.Compare(y, x)
		}
		return strings.Compare(x, y)
	})
	return subs
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "help [COMMAND]",
		Short:             "tell more about a command; about the settings: parley help config",
		ValidArgsFunction: completeCommands,
		RunE: func(cmd *cobra.Command, given []string) error {
			about, err := findCommand(cmd.Root(), given)
			if err != nil {
				return err
			}
			writeHelp(cmd.OutOrStdout(), about)
			return nil
		},
	}
}

// findCommand returns the command that the words name.
func findCommand(about *cobra.Command, given []string) (*cobra.Command, error) {
	for _, word := range given {
		next := (*cobra.Command)(nil)
		for _, sub := range about.Commands() {
			if sub.Name() == word {
				next = sub
			}
		}
		if next == nil {
			return nil, unknownCommand(about, word)
		}
		about = next
	}
	return about, nil
}

// completeCommands lets the shells complete the name of a command after others.
func completeCommands(cmd *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
	about, err := findCommand(cmd.Root(), given)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, sub := range listed(about) {
		names = append(names, sub.Name()+"\t"+sub.Short)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// writeHelp writes the help of a command: what it does, how it is written, what belongs to it. Never on an error.
func writeHelp(w io.Writer, cmd *cobra.Command) {
	about := cmd.Long
	if about == "" {
		about = cmd.CommandPath() + ": " + cmd.Short
	}
	fmt.Fprintln(w, strings.TrimSpace(about))
	subs := listed(cmd)
	if len(subs) == 0 {
		fmt.Fprintf(w, "\n  %s\n", cmd.UseLine())
	} else {
		fmt.Fprintln(w)
	}
	for _, sub := range subs {
		fmt.Fprintf(w, "  %-28s %s\n", cmd.CommandPath()+" "+sub.Name(), sub.Short)
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, "\n%s\n", cmd.Example)
	}
	if flags := shown(cmd); len(subs) == 0 && flags.HasAvailableFlags() {
		fmt.Fprintf(w, "\n%s", flags.FlagUsagesWrapped(100))
	}
	if len(subs) > 0 {
		fmt.Fprintf(w, "\n%s COMMAND tells more about a command.\n", strings.Replace(cmd.CommandPath(), "parley", "parley help", 1))
	}
	if cmd.CommandPath() == "parley config" {
		writeSettings(w)
	}
}

// shown returns the flags of a command that its help shows.
func shown(cmd *cobra.Command) *pflag.FlagSet {
	flags := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	flags.SortFlags = cmd.Flags().SortFlags
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, elsewhere := f.Annotations[onOwnPage]; !elsewhere && !f.Hidden && f.Name != "help" {
			flags.AddFlag(f)
		}
	})
	return flags
}

// writeSettings writes the list of all settings, the second part of `parley help config`.
func writeSettings(w io.Writer) {
	fmt.Fprint(w, `
Settings of the server. The name is that of the TOML file (parley server --config FILE);
in the environment auth.iterations is PARLEY_AUTH_ITERATIONS, as a flag --auth-iterations.
A flag is stronger than the environment, the environment stronger than the file. Those marked "reload" a running
server takes over at SIGHUP.

`)
	for _, s := range config.Settings() {
		value := s.Default
		if value == "" {
			value = s.Unset
		}
		if s.Reload {
			value += "; reload"
		}
		text := fmt.Sprintf("  %s\n      %s\n      default: %s\n", s.Key, s.Doc, value)
		fmt.Fprint(w, strings.ReplaceAll(text, "`", ""))
	}
}
