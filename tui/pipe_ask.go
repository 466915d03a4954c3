package tui

import (
	"context"
	"os"
	"strings"

	"golang.org/x/term"

	"parley/client"
)

// askPlainly asks for what is missing where only the output is no terminal: on the other output, without showing the
// password. It returns nothing when the input is no terminal.
func (a *app) askPlainly(ctx context.Context) (user, password string, f *Failure) {
	in, ok := a.In.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) || a.User != "" && a.HasPassword {
		return "", "", nil
	}
	ask, err := openTerminal(ctx, in, a.Err)
	if err != nil {
		return "", "", a.explain(err, a.User)
	}
	defer ask.close()
	cfg := client.Config{User: a.User, Password: a.Password, Register: a.Register}
	cfg, err = a.ask(ask, client.Info{}, cfg)
	return cfg.User, cfg.Password, a.explain(err, cfg.User)
}

// credentials are the first two lines, unless they were given otherwise. A line with a command is never a password.
func (a *app) credentials(ctx context.Context, in *lines) (user, password string, f *Failure) {
	fix := "the first line of the input is the name, the second one the password"
	switch {
	case a.User != "" && a.HasPassword:
		return a.User, a.Password, nil
	case a.User != "":
		return "", "", &Failure{Code: exitUsage, What: "a password for " + OneLine(a.User) + " is needed and there is no terminal to ask on",
			Fix: "PARLEY_PASSWORD=… in the environment, or  --password-file FILE\nparley client HOST PORT, and put name and password into the first two lines of the input"}
	}
	for _, into := range []*string{&user, &password} {
		line, err := in.next(ctx)
		switch {
		case ctx.Err() != nil:
			return "", "", errInterrupted
		case err != nil || line == "":
			return "", "", &Failure{Code: exitUsage, What: "name and password are needed to sign in, and the input has not both", Fix: fix}
		}
		*into = line
	}
	if strings.ContainsAny(user, " \t") {
		return "", "", &Failure{Code: exitUsage, What: "the first line of the input is not a user name: it has a space", Fix: fix}
	}
	return user, password, nil
}
