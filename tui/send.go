package tui

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"

	"parley/client"
	"parley/xmpp/stanza"
)

// Send signs in, sends one message and leaves. It returns nil once the message is stored at the server, a *Failure
// otherwise. Nobody sees the sender come and go, because the session is not announced.
func Send(ctx context.Context, o Options, to, text string) error {
	a, err := newApp(o)
	if err != nil {
		return err
	}
	if f := a.send(ctx, to, text); f != nil {
		return f
	}
	return nil
}

func (a *app) send(ctx context.Context, to, text string) *Failure {
	if strings.TrimSpace(text) == "" {
		return &Failure{Code: exitUsage, What: "the text is empty", Fix: "parley send bob \"backup done\""}
	}
	a.Out = a.Err // there are no results, only questions and their answers
	var mu sync.Mutex
	var bounces []client.Bounce
	s, f := a.sender(ctx, func(e client.Event) {
		if b, ok := e.(client.Bounce); ok {
			mu.Lock()
			defer mu.Unlock()
			bounces = append(bounces, b)
		}
	})
	if f != nil {
		return f
	}
	defer leave(s)
	d := desk{s}
	address, err := d.address(to)
	if err != nil {
		return &Failure{Code: exitRefused, What: err.Error()}
	}
	id := s.NewID()
	if err = s.Message(address, id, text); err == nil {
		err = s.Settle(ctx) // until the message is stored, or was refused
	}
	if err != nil {
		return a.explain(err, a.User)
	}
	mu.Lock()
	defer mu.Unlock()
	for _, b := range bounces {
		if b.ID == id {
			_, err := s.Roster(ctx) // whom the name could have meant
			var refused *stanza.Error
			if err != nil && !errors.As(err, &refused) {
				return a.explain(err, a.User)
			}
			return &Failure{Code: exitRefused, What: d.bounced(b).text}
		}
	}
	return nil
}

// sender signs in with what was given, and asks for the rest if there is a terminal.
func (a *app) sender(ctx context.Context, handle func(client.Event)) (Session, *Failure) {
	in, ok := a.In.(*os.File)
	if a.User == "" || !a.HasPassword {
		if !ok || !term.IsTerminal(int(in.Fd())) {
			return nil, &Failure{Code: exitUsage, What: "name and password of the sender are needed and there is no terminal to ask on",
				Fix: "--user NAME  and PARLEY_PASSWORD=… in the environment, or  --password-file FILE"}
		}
	}
	if !a.Interactive || !ok {
		cfg := a.config(handle)
		cfg.User, cfg.Password = a.User, a.Password
		s, err := a.Dial(ctx, cfg)
		return s, a.explain(err, a.User)
	}
	ask, err := openTerminal(ctx, in, a.Err)
	if err != nil {
		return nil, a.explain(err, a.User)
	}
	defer ask.close()
	info, f := a.meet(ctx, ask)
	if f != nil {
		return nil, f
	}
	info.Registration = false
	s, _, f := a.signIn(ctx, ask, info, handle)
	return s, f
}
