package tui

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/muesli/cancelreader"
	"golang.org/x/term"

	"parley/client"
)

// maxLine is the longest line that pipe mode takes, in bytes.
const maxLine = 1 << 20

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
	fmt.Fprintf(a.Err, "online as %s\n", OneLine(s.JID().Bare().String()))
	if f := p.run(ctx, in); f != nil {
		return f
	}
	// Everything that was sent is stored or refused, and every refusal was printed, before this is answered.
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

// run carries out lines until the input ends or somebody logs out.
func (p *pipe) run(ctx context.Context, in *lines) *Failure {
	for {
		select {
		case <-p.desk.s.Done():
			return explainEnd(p.desk.s.End())
		default:
		}
		line, err := in.nextOr(ctx, p.desk.s.Done())
		switch {
		case ctx.Err() != nil:
			return errInterrupted
		case errors.Is(err, errTooLong):
			p.complain(fmt.Sprintf("a line is longer than %d bytes: not sent", maxLine))
			continue
		case errors.Is(err, io.EOF):
			return nil
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
		case c.verb == "logout":
			return nil
		case c.verb == "help":
			p.say(helpLines()...)
		default:
			p.carryOut(ctx, c)
		}
	}
}

func (p *pipe) carryOut(ctx context.Context, c command) {
	r, err := p.desk.do(ctx, c)
	var end *client.End
	switch {
	case errors.As(err, &end), ctx.Err() != nil: // said once, at the end
		return
	case err != nil:
		p.complain(err.Error())
		return
	}
	switch c.verb {
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

// say prints lines; each is one write, so that programs that read see whole lines at once.
func (p *pipe) say(lines ...string) {
	if len(lines) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = io.WriteString(p.a.Out, strings.Join(lines, "\n")+"\n")
}

func (p *pipe) complain(sentence string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = io.WriteString(p.a.Err, "error: "+sentence+"\n")
}

var errTooLong = errors.New("tui: line too long")

// lines reads the input line by line beside everything else. Its goroutine ends with the input or with close.
type lines struct {
	got  chan readLine
	stop chan struct{}
	done chan struct{}
	r    io.Reader
}

type readLine struct {
	text string
	err  error
}

func newLines(r io.Reader) *lines {
	l := &lines{got: make(chan readLine), stop: make(chan struct{}), done: make(chan struct{}), r: r}
	// Reading a terminal or a pipe is cancelled by close; a plain file never keeps a reader waiting.
	if c, err := cancelreader.NewReader(r); err == nil {
		l.r = c
	}
	go l.read()
	return l
}

func (l *lines) read() {
	defer close(l.done)
	in := bufio.NewReaderSize(l.r, 64<<10)
	for {
		text, err := oneLine(in)
		if text == "" && err != nil && !errors.Is(err, errTooLong) {
			err = io.EOF
		} else if text != "" && !errors.Is(err, errTooLong) {
			err = nil
		}
		select {
		case l.got <- readLine{text, err}:
		case <-l.stop:
			return
		}
		if errors.Is(err, io.EOF) {
			return
		}
	}
}

// oneLine reads a line without its end; of one that is too long only the error remains.
func oneLine(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		part, err := in.ReadSlice('\n')
		if b.Len() <= maxLine {
			b.Write(part)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case b.Len() > maxLine+1:
			return "", errTooLong
		}
		return strings.TrimRight(b.String(), "\r\n"), err
	}
}

// next waits for a line; io.EOF when the input has ended.
func (l *lines) next(ctx context.Context) (string, error) { return l.nextOr(ctx, nil) }

var errOver = errors.New("tui: no longer waiting")

// nextOr is next that stops waiting when over is closed.
func (l *lines) nextOr(ctx context.Context, over <-chan struct{}) (string, error) {
	select {
	case r, ok := <-l.got:
		if !ok {
			return "", io.EOF
		}
		return r.text, r.err
	case <-l.done:
		return "", io.EOF
	case <-over:
		return "", errOver
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// close stops reading, and waits for it where reading can be stopped.
func (l *lines) close() {
	close(l.stop)
	c, ok := l.r.(cancelreader.CancelReader)
	if ok && c.Cancel() {
		<-l.done
		_ = c.Close()
	}
}
