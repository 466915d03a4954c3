package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"parley/client"
	"parley/xmpp/words"
)

// fencePatience is how long the server may take to store the last of what was sent.
const fencePatience = 5 * time.Minute

// pipe is pipe mode. What it prints is a promise: one line for every event, on the standard output
//
//	bob: hello                  a message; a line break in it is \n, a backslash is \\
//	bob (to everyone): hello    a broadcast
//	bob logged in               somebody came
//	bob logged out              somebody left
//	bob online now              whoelse, whoelsesince: name, state, when last seen
//	to everyone: …              how far a broadcast went, in the server's words
//	bob is blocked              block and unblock succeeded
//
// and errors as "error: …" on the standard error. Fields are added at the end of a line, never moved.
type pipe struct {
	a *app

	mu sync.Mutex // guards both outputs: the session's reader writes too

	ready chan struct{} // closed once desk is set: events may come before
	desk  desk
}

// pipe signs in, carries out the lines of the input, and signs out when they end.
func (a *app) pipe(ctx context.Context) *Failure {
	user, password, f := a.askPlainly(ctx)
	if f != nil {
		return f
	}
	in := newLines(a.In)
	defer in.close()
	if user == "" {
		if user, password, f = a.credentials(ctx, in); f != nil {
			return f
		}
	}
	p := &pipe{a: a, ready: make(chan struct{})}
	cfg := a.config(p.event)
	cfg.User, cfg.Password, cfg.Register = user, password, a.Register
	s, err := a.Dial(ctx, cfg)
	if err != nil {
		return a.explain(err, user)
	}
	p.desk = desk{s}
	close(p.ready)
	defer leave(s)
	if err := s.Start(ctx); err != nil {
		return a.explain(err, user)
	}
	p.write(a.Err, "online as "+OneLine(s.JID().Bare().String()))
	f, asked := p.run(ctx, in)
	if f == nil && !asked {
		f = p.linger(ctx)
	}
	if f != nil {
		return f
	}
	// Everything that was sent is stored or refused, and every refusal was printed, before this is answered.
	ctx, cancel := context.WithTimeout(ctx, fencePatience)
	defer cancel()
	if err := s.Ping(ctx); err != nil {
		return a.explain(err, user)
	}
	return nil
}

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
			Fix: "PARLEY_PASSWORD=… in the environment, or  --password-file FILE\nleave out the name, and put name and password into the first two lines of the input"}
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

// linger listens on after the end of the input, as long as was asked for.
func (p *pipe) linger(ctx context.Context) *Failure {
	if p.a.Linger <= 0 {
		return nil
	}
	t := time.NewTimer(p.a.Linger)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.desk.s.Done():
		return explainEnd(p.desk.s.End())
	case <-ctx.Done():
		return errInterrupted
	}
}

// run carries out lines until the input ends or somebody logs out, which it reports as asked.
func (p *pipe) run(ctx context.Context, in *lines) (f *Failure, asked bool) {
	for {
		select {
		case <-p.desk.s.Done():
			return explainEnd(p.desk.s.End()), false
		default:
		}
		line, err := in.nextOr(ctx, p.desk.s.Done())
		switch {
		case ctx.Err() != nil:
			return errInterrupted, false
		case errors.Is(err, errTooLong):
			p.complain(fmt.Sprintf("a line is longer than %d bytes: not sent", maxLine))
			continue
		case errors.Is(err, io.EOF):
			return nil, false
		case err != nil:
			continue // the session ended
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		c, err := parse(line)
		switch {
		case err != nil:
			p.complain(err.Error())
		case c.Verb == "logout":
			return nil, true
		case c.Verb == "help":
			p.say(helpLines()...)
		default:
			p.carryOut(ctx, c)
		}
	}
}

func (p *pipe) carryOut(ctx context.Context, c words.Line) {
	r, err := p.desk.do(ctx, c)
	var end *client.End
	switch {
	case errors.As(err, &end), ctx.Err() != nil: // said once, at the end
		return
	case err != nil:
		p.complain(err.Error())
		return
	}
	switch c.Verb {
	case "broadcast":
		p.say("to everyone: " + r.note)
	case "whoelse", "whoelsesince":
		var list []string
		for _, who := range r.people {
			list = append(list, strings.TrimSpace(p.desk.name(who.JID)+" "+OneLine(who.State)+" "+OneLine(who.Last)))
		}
		p.say(list...)
	case "block":
		p.say(r.who + " is blocked")
	case "unblock":
		p.say(r.who + " is unblocked")
	}
}

// event prints what happens; it runs on the session's reader.
func (p *pipe) event(e client.Event) {
	<-p.ready
	d := p.desk
	switch e := e.(type) {
	case client.Message:
		if e.Broadcast {
			p.say(d.name(e.From) + " (to everyone): " + OneLine(e.Body))
		} else {
			p.say(d.name(e.From) + ": " + OneLine(e.Body))
		}
	case client.Bounce:
		p.complain(d.bounced(e))
	case client.Presence:
		switch {
		case !e.News:
		case e.Online:
			p.say(d.name(e.JID) + " logged in")
		default:
			p.say(d.name(e.JID) + " logged out")
		}
	}
}

// say prints lines, and complain an error.
func (p *pipe) say(lines ...string) {
	if len(lines) > 0 {
		p.write(p.a.Out, strings.Join(lines, "\n"))
	}
}

func (p *pipe) complain(sentence string) { p.write(p.a.Err, "error: "+sentence) }

// write writes whole lines in one piece, so that programs that read never see half of one.
func (p *pipe) write(w io.Writer, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = io.WriteString(w, text+"\n")
}
