// Parley is an instant messenger that people run themselves: one program that holds the server and its clients.
//
// This package is the command line. Each command has a file of its own that reads the words and the flags and
// calls the package that does the work.
package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// version is what `parley version` says.
const version = "0.1.0"

// program is what a command may touch of the world around it.
type program struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
}

func main() {
	p := &program{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	os.Exit(p.run(os.Args[1:]))
}

// commands is the table of commands, in the order of the help.
func (p *program) commands() []*cobra.Command {
	return []*cobra.Command{
		p.serverCommand(),
		p.clientCommand(),
		p.sendCommand(),
		p.userCommand(),
		p.adminCommand(),
		p.backupCommand(),
		p.restoreCommand(),
		p.trustCommand(),
		p.benchCommand(),
		p.configCommand(),
		p.manCommand(),
		p.versionCommand(),
	}
}

// run executes one command line and returns the exit code.
func (p *program) run(args []string) int {
	if err := p.tree(args).Execute(); err != nil {
		f := asFailure(err)
		f.print(p.err)
		return f.code
	}
	return 0
}

// onTerminal reports whether a stream is a terminal, where somebody reads or can be asked.
func onTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
