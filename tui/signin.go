package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"parley/client"
	"parley/xmpp/stanza"
)

// attempts is how many wrong passwords a person may give, and how many names that are taken.
const attempts = 3

// meet finds the server and settles whether its key is trusted, before anything is asked that belongs to the person.
func (a *app) meet(ctx context.Context, p prompter) (client.Info, *Failure) {
	for {
		info, err := a.Probe(ctx, a.config(nil))
		var ask *unknownKey
		if !errors.As(err, &ask) {
			return info, a.explain(err, a.User)
		}
		if err := a.askTrust(p, ask.key); err != nil {
			return info, a.explain(err, a.User)
		}
	}
}

// signIn asks for name and password until they are right, and returns the session and how to sign in again.
func (a *app) signIn(ctx context.Context, p prompter, info client.Info, handle func(client.Event)) (Session, client.Config, *Failure) {
	cfg := a.config(handle)
	cfg.User, cfg.Password, cfg.Register = a.User, a.Password, a.Register
	if a.Register && !info.Registration {
		return nil, cfg, a.explain(client.ErrNoRegistration, cfg.User)
	}
	if cfg.User == "" && info.Registration && !a.Register {
		fmt.Fprintln(a.Out, "No account yet? Answer: new")
	}
	for tries := 1; ; tries++ {
		var err error
		if cfg, err = a.ask(p, info, cfg); err != nil {
			return nil, cfg, a.explain(err, cfg.User)
		}
		s, err := a.Dial(ctx, cfg)
		switch {
		case err == nil:
			cfg.Register = false // the account is there now
			return s, cfg, nil
		case a.HasPassword:
			return nil, cfg, a.explain(err, cfg.User)
		}
		if !a.mayTryAgain(&cfg, err, attempts-tries) {
			f := a.explain(err, cfg.User)
			if errors.Is(err, client.ErrPassword) && info.Registration {
				f.Fix += "\nno account yet?  " + a.Again + " --register"
			}
			return nil, cfg, f
		}
	}
}

// ask fills in what is missing of name and password.
func (a *app) ask(p prompter, info client.Info, cfg client.Config) (client.Config, error) {
	question := "Password for " + OneLine(cfg.User) + ": "
	for cfg.User == "" && !cfg.Register {
		name, err := p.line("Username: ")
		if err != nil {
			return cfg, err
		}
		name = strings.TrimSpace(name)
		if name == "new" && info.Registration {
			cfg.Register = true
			break
		}
		cfg.User, question = name, "Password: "
	}
	if cfg.Register {
		return a.askNew(p, cfg)
	}
	if cfg.Password != "" {
		return cfg, nil
	}
	var err error
	cfg.Password, err = p.secret(question)
	return cfg, err
}

// askNew asks for the name and the password of a new account.
func (a *app) askNew(p prompter, cfg client.Config) (client.Config, error) {
	var err error
	for cfg.User == "" {
		if cfg.User, err = p.line("Choose a user name: "); err != nil {
			return cfg, err
		}
		cfg.User = strings.TrimSpace(cfg.User)
	}
	for cfg.Password == "" {
		if cfg.Password, err = p.secret("Choose a password (at least 10 characters): "); err != nil {
			return cfg, err
		}
		if cfg.Password == "" {
			continue
		}
		again, err := p.secret("The same again: ")
		if err != nil {
			return cfg, err
		}
		if again != cfg.Password {
			fmt.Fprintln(a.Out, "These were not the same.")
			cfg.Password = ""
		}
	}
	return cfg, nil
}

// mayTryAgain tells whether another answer of the person can help, says what was wrong, and clears it.
func (a *app) mayTryAgain(cfg *client.Config, err error, left int) bool {
	var refused *client.RegisterError
	registering := errors.As(err, &refused)
	switch {
	case left < 1:
		return false
	case errors.Is(err, client.ErrPassword) && !cfg.Register:
		tries := "tries"
		if left == 1 {
			tries = "try"
		}
		fmt.Fprintf(a.Out, "Wrong name or password. %d more %s.\n", left, tries)
		a.wrong++
		cfg.Password = ""
		return true
	case registering && refused.Err.Condition != stanza.Conflict && refused.Err.Condition != stanza.NotAcceptable:
		return false // the server takes nobody now, whatever the answer
	case registering && refused.Err.Condition == stanza.NotAcceptable && strings.Contains(strings.ToLower(refused.Err.Text), "password"):
		fmt.Fprintln(a.Out, OneLine(refused.Err.Text))
		cfg.Password = ""
		return true
	case registering, errors.Is(err, client.ErrName):
		f := a.explain(err, cfg.User)
		fmt.Fprintln(a.Out, strings.TrimSpace(capital(f.What)+". "+capital(f.Why)))
		cfg.User, cfg.Password = "", ""
		return true
	}
	return false
}

// capital begins a sentence.
func capital(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(s[:n]) + s[n:]
}
