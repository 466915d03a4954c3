package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"parley/auth"
	"parley/server"
)

// userImport is `parley user import`: the classical credentials file, a name and a password on each line.
func (p *program) userImport() *cobra.Command {
	var flags userFlags
	var file []byte
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "make accounts from a file with a name and a password on each line",
		Args:  words("FILE"),
		Long: `parley user import makes an account for each line "name password" of a file (- is the input).
It says which lines it refuses and why; the others are taken, those with short passwords too. Lines that begin with #
are left out.`,
		PreRunE: func(_ *cobra.Command, given []string) (err error) { // before the data is touched
			file, err = p.credentials(given[0])
			return err
		},
	}
	return p.userSub(cmd, &flags, func(ctx context.Context, a *accounts, given []string) error {
		r, err := a.do(ctx, server.Request{Do: server.DoImport, File: file})
		if err != nil {
			return err
		}
		p.imported(r)
		switch {
		case r.Fault != "":
			return a.failure(r, "")
		case len(r.Refused) > 0:
			return &failure{code: exitFailed, what: fmt.Sprintf("%s of %s not taken", count(len(r.Refused), "line"), given[0]),
				why: "the reasons are above, with the number of the line",
				fix: "mend those lines and import the file again: accounts that exist are left alone"}
		}
		return nil
	})
}

// imported tells what an import did: the lines that it refused and the warnings on stderr, the sum on stdout.
func (p *program) imported(r server.Response) {
	for _, l := range r.Refused {
		fmt.Fprint(p.err, harmless(fmt.Sprintf("line %d refused: %s\n", l.Line, l.Reason)))
	}
	for _, name := range r.Short {
		fmt.Fprint(p.err, harmless(fmt.Sprintf("warning: the password of %s has less than %d characters; it was taken\n", name, auth.MinPassword)))
	}
	sum := "Added " + count(len(r.Accounts), "account")
	if len(r.Short) > 0 {
		sum += fmt.Sprintf(", %d with a short password", len(r.Short))
	}
	if len(r.Refused) > 0 {
		sum += "; refused " + count(len(r.Refused), "line")
	}
	if r.Remarks > 0 {
		sum += "; left out " + count(r.Remarks, "line") + " beginning with #"
	}
	fmt.Fprintln(p.out, sum+".")
}

// credentials reads a credentials file.
func (p *program) credentials(name string) ([]byte, error) {
	input := p.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fileFailure(err, name)
		}
		defer f.Close()
		input = f
	}
	file, err := io.ReadAll(io.LimitReader(input, server.MaxImport+1))
	if err != nil {
		return nil, fileFailure(err, name)
	}
	if len(file) > server.MaxImport {
		return nil, &failure{code: exitFailed, what: fmt.Sprintf("%s is larger than %d MiB", name, server.MaxImport>>20),
			fix: "import it in parts"}
	}
	return file, nil
}

// fileFailure words what the system said about a file.
func fileFailure(err error, name string) error {
	why := err.Error()
	var at *fs.PathError
	if errors.As(err, &at) {
		why = at.Err.Error()
	}
	return &failure{code: exitFailed, what: "cannot read " + name, why: why, fix: "parley user import FILE"}
}
