package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"parley/config"
)

// manCommand is `parley man`. The pages say what the help says, from the same commands.
func (p *program) manCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "man [COMMAND]",
		Short: "print the manual page of a command, or write all of them to files",
		Long: `parley man prints a manual page: the one of parley, or of a command. With --dir it writes the pages of all
commands into a directory, which is made when it does not exist.`,
		Example:           "  parley man server | man -l -\n  parley man --dir /usr/local/share/man/man1",
		ValidArgsFunction: completeCommands,
		RunE: func(cmd *cobra.Command, given []string) error {
			about, err := findCommand(cmd.Root(), given)
			if err != nil {
				return err
			}
			if dir == "" {
				writeManual(p.out, about)
				return nil
			}
			if len(given) > 0 {
				return misuse("parley man --dir DIR", "--dir takes all commands, and %q is one", strings.Join(given, " "))
			}
			n, err := writeManuals(dir, about)
			if err != nil {
				return &failure{code: exitFailed, what: "cannot write the manual pages to " + dir, why: reason(err), fix: "another directory:  parley man --dir DIR"}
			}
			fmt.Fprintf(p.out, "Wrote %s to %s.\n", count(n, "manual page"), harmless(dir))
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "write all pages to this `DIR`")
	must(cmd.MarkFlagDirname("dir"))
	return cmd
}

// exitCodes is what the manual says of them.
func exitCodes() []string {
	return []string{
		"0", "done",
		fmt.Sprint(exitFailed), "failed for another reason",
		fmt.Sprint(exitUsage), "the command line is wrong, or a question has nobody to answer it",
		fmt.Sprint(exitConfig), "the settings are wrong",
		fmt.Sprint(exitSignIn), "signing in failed or is locked",
		fmt.Sprint(exitUnreachable), "the server cannot be reached",
		fmt.Sprint(exitUntrusted), "the server's key is not trusted, or has changed",
		fmt.Sprint(exitRefused), "the server refused",
		fmt.Sprint(exitEnded), "the server ended the session",
		fmt.Sprint(exitInterrupted), "interrupted",
	}
}

// writeManuals writes the page of a command and of those below it, and returns how many these are.
func writeManuals(dir string, cmd *cobra.Command) (n int, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, err
	}
	var b strings.Builder
	writeManual(&b, cmd)
	if err := os.WriteFile(filepath.Join(dir, pageName(cmd)+".1"), []byte(b.String()), 0o644); err != nil {
		return 0, err
	}
	n = 1
	for _, sub := range listed(cmd) {
		more, err := writeManuals(dir, sub)
		if err != nil {
			return n, err
		}
		n += more
	}
	return n, nil
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// writeManual writes the manual page of one command, in the man macros of roff.
func writeManual(w io.Writer, cmd *cobra.Command) {
	name := pageName(cmd)
	fmt.Fprintf(w, ".TH %s 1 \"\" \"parley %s\" \"parley\"\n.nh\n.ad l\n", strings.ToUpper(roff(name)), version)
	fmt.Fprintf(w, ".SH NAME\n%s \\- %s\n", roff(name), roff(cmd.Short))
	fmt.Fprintf(w, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	if subs := listed(cmd); len(subs) > 0 {
		fmt.Fprint(w, ".I COMMAND\n")
	}
	about := cmd.Long
	if about == "" {
		about = cmd.CommandPath() + ": " + cmd.Short + "."
	}
	fmt.Fprint(w, ".SH DESCRIPTION\n")
	for i, part := range strings.Split(strings.TrimSpace(about), "\n\n") {
		if i > 0 {
			fmt.Fprint(w, ".PP\n")
		}
		table := strings.HasPrefix(part, "  ") // stands as it is
		if table {
			fmt.Fprint(w, ".nf\n")
		}
		for line := range strings.Lines(part) {
			if !table {
				line = strings.TrimSpace(line)
			}
			fmt.Fprintf(w, "%s\n", roff(strings.TrimSuffix(line, "\n")))
		}
		if table {
			fmt.Fprint(w, ".fi\n")
		}
	}
	var see []string
	if cmd.HasParent() {
		see = append(see, pageName(cmd.Parent()))
	}
	if subs := listed(cmd); len(subs) > 0 {
		fmt.Fprint(w, ".SH COMMANDS\n")
		for _, sub := range subs {
			entry(w, sub.CommandPath(), sub.Short)
			see = append(see, pageName(sub))
		}
	}
	writeOptions(w, cmd)
	if cmd.CommandPath() == "parley config" {
		writeSettingsManual(w)
	}
	if cmd.Example != "" {
		fmt.Fprintf(w, ".SH EXAMPLES\n.nf\n")
		for line := range strings.Lines(cmd.Example) {
			fmt.Fprintln(w, roff(strings.TrimSuffix(line, "\n")))
		}
		fmt.Fprint(w, ".fi\n")
	}
	fmt.Fprint(w, ".SH EXIT STATUS\n")
	for codes := exitCodes(); len(codes) > 0; codes = codes[2:] {
		fmt.Fprintf(w, ".TP 6\n.B %s\n%s\n", codes[0], roff(codes[1]))
	}
	if len(see) > 0 {
		fmt.Fprint(w, ".SH SEE ALSO\n")
		for i, name := range see {
			end := ","
			if i == len(see)-1 {
				end = ""
			}
			fmt.Fprintf(w, ".BR %s (1)%s\n", roff(name), end)
		}
	}
}

// writeOptions writes all flags of a command: here the settings are not left out.
func writeOptions(w io.Writer, cmd *cobra.Command) {
	title := ".SH OPTIONS\n"
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" || cmd.HasSubCommands() {
			return
		}
		fmt.Fprint(w, title)
		title = ""
		value, usage := pflag.UnquoteUsage(f)
		head := "--" + f.Name
		if f.Shorthand != "" {
			head = "-" + f.Shorthand + ", " + head
		}
		_, setting := f.Value.(*settingFlag)
		switch {
		case setting && f.NoOptDefVal != "":
			value = "[=true|false]"
		case value != "":
			value = " " + value
		}
		if !setting && !slices.Contains([]string{"", "false", "0"}, f.DefValue) { // settings say theirs themselves
			usage += " (default " + f.DefValue + ")"
		}
		head += value
		entry(w, head, usage)
	})
}

func writeSettingsManual(w io.Writer) {
	fmt.Fprint(w, ".SH SETTINGS\n")
	for _, s := range config.Settings() {
		value := s.Default
		if value == "" {
			value = s.Unset
		}
		text := fmt.Sprintf("%s Default: %s. In the environment %s, as a flag --%s.", s.Doc, value, s.Env(), s.Flag())
		if s.Reload {
			text += " A running server takes it over at SIGHUP."
		}
		entry(w, s.Key, strings.ReplaceAll(text, "`", ""))
	}
}

func entry(w io.Writer, head, text string) {
	fmt.Fprintf(w, ".TP\n.B %s\n%s\n", roff(head), roff(text))
}

// roff writes a line of text so that roff shows what it says: a hyphen is one that can be copied, no letter is a
// command, and what is not ASCII is written by its number.
func roff(text string) string {
	var b strings.Builder
	if text != "" && strings.ContainsRune(".'", rune(text[0])) {
		b.WriteString(`\&`)
	}
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '"':
			b.WriteString(`\(dq`)
		case r > '~':
			fmt.Fprintf(&b, `\[u%04X]`, r)
		case r >= ' ':
			b.WriteRune(r)
		}
	}
	return b.String()
}
