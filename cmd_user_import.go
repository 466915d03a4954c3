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
	"parley/ext/admin"
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
		r, err := a.do(ctx, admin.Request{Node: admin.NodeImport, File: file})
		if err != nil {
			return err
		}
		refused := p.imported(r)
		switch {
		case r.Condition != "":
			return a.failure(r, "")
		case refused > 0:
			return &failure{code: exitFailed, what: fmt.Sprintf("%s of %s not taken", count(refused, "line"), given[0]),
				why: "the reasons are above, with the number of the line",
				fix: "mend those lines and import the file again: accounts that exist are left alone"}
		}
		return nil
	})
}

// imported tells what an import did: the lines that it refused and the warnings on stderr, the sum on stdout.
func (p *program) imported(r admin.Answer) (refused int) {
	var added, short int
	warnings := ""
	for _, row := range r.Rows { // what, line, name, reason
		switch row[0] {
		case "refused":
			refused++
			fmt.Fprint(p.err, harmless(fmt.Sprintf("line %s refused: %s\n", row[1], row[3])))
		case "short":
			short++
			warnings += harmless(fmt.Sprintf("warning: the password of %s has less than %d characters; it was taken\n", row[2], auth.MinPassword))
			fallthrough
		case "added":
			added++
		}
	}
	fmt.Fprint(p.err, warnings)
	sum := "Added " + count(added, "account")
	if short > 0 {
		sum += fmt.Sprintf(", %d with a short password", short)
	}
	if refused > 0 {
		sum += "; refused " + count(refused, "line")
	}
	if remarks := r.Values["remarks"]; len(remarks) == 1 && remarks[0] == "1" {
		sum += "; left out 1 line beginning with #"
	} else if len(remarks) == 1 && remarks[0] != "0" {
		sum += "; left out " + remarks[0] + " lines beginning with #"
	}
	fmt.Fprintln(p.out, sum+".")
	return refused
}

// credentials reads a credentials file.
func (p *program) credentials(name string) ([]byte, error) {
	input := p.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, readFailure(err, name, "parley user import FILE")
		}
		defer f.Close()
		input = f
	}
	file, err := io.ReadAll(io.LimitReader(input, admin.MaxImport+1))
	if err != nil {
		return nil, readFailure(err, name, "parley user import FILE")
	}
	if len(file) > admin.MaxImport {
		return nil, &failure{code: exitFailed, what: fmt.Sprintf("%s is larger than %d MiB", name, admin.MaxImport>>20),
			fix: "import it in parts"}
	}
	return file, nil
}

// readFailure words what the system said about a file that a command was given.
func readFailure(err error, name, use string) error {
	why := err.Error()
	var at *fs.PathError
	if errors.As(err, &at) {
		why = at.Err.Error()
	}
	return &failure{code: exitFailed, what: "cannot read " + name, why: why, fix: use}
}
