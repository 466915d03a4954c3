package tui

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"

	"parley/client"
	"parley/xmpp/words"
)

// pipe is pipe mode. What it prints is a promise (docs/client.md): one line for every event, on the standard output
//
//	bob: hello                  a message; a line break in it is \n, a backslash is \\
//	bob (to everyone): hello    a broadcast
//	bob logged in               somebody came
//	bob logged out              somebody left
//	bob online now 2026-…       whoelse, whoelsesince: name, state, when last seen, since when online
//	to everyone: …              how far a broadcast went, in the server's words
//	bob is blocked              block and unblock succeeded
//
// and errors as "error: …" on the standard error. Fields are added at the end of a line, never moved. With --json there
// is an object for everything, errors too, on the standard output.
type pipe struct {
	a *app

	mu   sync.Mutex // guards both outputs, box and past: the session's reader writes too
	box  *outbox
	past past
	free chan struct{} // has room for one: something has left box

	// of the goroutine that reads the input
	cfg    client.Config
	desk   desk      // the session, the last one after its end
	came   time.Time // when it began
	back   backoff
	reason string // why it is over, once that is known
}

// pipe signs in, carries out the lines of the input, and signs out when they end.
func (a *app) pipe(ctx context.Context) *Failure {
	p := &pipe{a: a, free: make(chan struct{}, 1)}
	f := p.all(ctx)
	if f != nil && f.code() != p.reason {
		p.tell(nil, "", object{Type: "error", Code: f.code(), What: f.What, Why: f.Why, Fix: f.fixes(), AfterS: seconds(f.after)})
	}
	if p.desk.s == nil {
		return f
	}
	leave(p.desk.s)
	p.left()
	p.box.close()
	if p.reason == "" {
		p.reason = f.code()
	}
	o := object{Type: "closed", Reason: p.reason}
	if f != nil {
		o.AfterS = seconds(f.after)
	}
	p.tell(nil, "", o)
	return f
}

func (p *pipe) all(ctx context.Context) *Failure {
	a := p.a
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
	p.cfg = a.config(nil)
	p.cfg.User, p.cfg.Password, p.cfg.Register = user, password, a.Register
	err := p.connect(ctx, func(as string) {
		p.tell(a.Err, "online as "+OneLine(as), object{Type: "online", As: as})
	})
	if err != nil {
		return a.explain(err, user)
	}
	a.signedIn(p.desk.s, user)
	if f := p.post(ctx); f != nil { // what was left from the last time
		return f
	}
	f, asked := p.run(ctx, in)
	if f == nil && !asked {
		f = p.linger(ctx)
	}
	if f == nil {
		f = p.settle(ctx)
	}
	return f
}

// run carries out lines until the input ends or somebody logs out, which it reports as asked.
func (p *pipe) run(ctx context.Context, in *lines) (f *Failure, asked bool) {
	for {
		over := p.desk.s.Done()
		line, err := "", errOver
		select {
		case <-over:
		default:
			line, err = in.nextOr(ctx, over)
		}
		switch {
		case ctx.Err() != nil:
			return p.interrupted(), false
		case errors.Is(err, errOver):
			if f := p.restoreAll(ctx); f != nil {
				return f, false
			}
			continue
		case errors.Is(err, errTooLong):
			p.complain(in.n, complain("too-long", "a line is longer than %d bytes: not sent", maxLine))
			continue
		case errors.Is(err, io.EOF):
			return nil, false
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		c, err := parse(line)
		switch {
		case err != nil:
			p.complain(in.n, err)
		case c.Verb == "logout":
			return nil, true
		case c.Verb == "help":
			p.help(in.n)
		case c.Verb == "message":
			if f := p.message(ctx, in.n, c); f != nil {
				return f, false
			}
		default:
			p.carryOut(ctx, in.n, c)
		}
	}
}

// linger listens on after the end of the input, as long as was asked for.
func (p *pipe) linger(ctx context.Context) *Failure {
	if p.a.Linger <= 0 {
		return nil
	}
	t := time.NewTimer(p.a.Linger)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			return nil
		case <-p.desk.s.Done():
			if f := p.restoreAll(ctx); f != nil {
				return f
			}
		case <-ctx.Done():
			return p.interrupted()
		}
	}
}

func (p *pipe) carryOut(ctx context.Context, line int, c words.Line) {
	r, err := p.desk.do(ctx, c)
	var end *client.End
	switch {
	case ctx.Err() != nil: // said once, at the end
		return
	case errors.As(err, &end):
		p.complain(line, lostCommand(c.Verb))
		return
	case err != nil:
		p.complain(line, err)
		return
	}
	o := object{Type: c.Verb, Line: line}
	text := ""
	switch c.Verb {
	case "broadcast":
		o.Type, o.Broadcast, o.Note = "sent", true, r.note
		text = "to everyone: " + OneLine(r.note)
	case "whoelse", "whoelsesince":
		var list []string
		for _, who := range r.people {
			list = append(list, strings.TrimSpace(p.desk.name(who.JID)+" "+OneLine(who.State)+" "+OneLine(who.Last)+" "+OneLine(who.Since)))
		}
		o.Users, text = p.desk.users(r.people), strings.Join(list, "\n")
	case "block":
		o.User, text = r.who, OneLine(r.who)+" is blocked"
	case "unblock":
		o.User, text = r.who, OneLine(r.who)+" is unblocked"
	}
	p.tell(p.a.Out, text, o)
}

// lostCommand is the error of a command whose answer never came.
func lostCommand(verb string) *complaint {
	return complain("connection-lost", "%s: the connection was lost before the answer came. It may have been done or not", verb)
}

func (p *pipe) help(line int) {
	o := object{Type: "help", Line: line}
	for _, v := range words.Verbs() {
		o.Commands = append(o.Commands, function{v.Name, v.Usage, v.About})
	}
	p.tell(p.a.Out, strings.Join(helpLines(), "\n"), o)
}

// event prints what happens; it runs on the session's reader.
func (p *pipe) event(d desk, e client.Event) {
	switch e := e.(type) {
	case client.Message:
		o := object{Type: "message", From: d.called(e.From), JID: e.From.Bare().String(), ID: e.ID, Text: &e.Body}
		who := d.name(e.From)
		if e.Broadcast {
			o.Type, who = "broadcast", who+" (to everyone)"
		}
		if !e.Delayed.IsZero() {
			o.Delayed, o.Time = true, stamp(e.Delayed)
		}
		p.tell(p.a.Out, who+": "+OneLine(e.Body), o)
	case client.Accepted:
		p.accepted(d, e.ID)
	case client.Delivered:
		p.delivered(d, e)
	case client.CaughtUp:
		p.tell(nil, "", object{Type: "caught-up", Messages: e.Messages, More: e.More})
	case client.Bounce:
		p.mu.Lock()
		l, _ := p.box.take(e.ID)
		p.mu.Unlock()
		p.complainOf(d, letter{id: e.ID, to: e.To, line: l.line}, d.bounced(e))
	case client.Presence:
		if !e.News {
			return
		}
		o := object{Type: "presence", User: d.called(e.JID), JID: e.JID.String(), Event: "went"}
		text := d.name(e.JID) + " logged out"
		if e.Online {
			o.Event, text = "came", d.name(e.JID)+" logged in"
		}
		p.tell(p.a.Out, text, o)
	}
}

// complain prints an error.
func (p *pipe) complain(line int, err error) {
	p.tell(p.a.Err, "error: "+err.Error(), object{Type: "error", Line: line, Code: codeOf(err), What: err.Error()})
}

// complainOf prints an error about a message.
func (p *pipe) complainOf(d desk, l letter, err error) {
	p.tell(p.a.Err, "error: "+err.Error(), object{Type: "error", Line: l.line, To: d.called(l.to), ID: l.id, Code: codeOf(err), What: err.Error()})
}

func codeOf(err error) string {
	var c *complaint
	if errors.As(err, &c) {
		return c.code
	}
	return "failed"
}

// tell prints an event: as text to w, or as an object to the standard output.
func (p *pipe) tell(w io.Writer, text string, o object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.write(w, text, o)
}

// write writes whole lines in one piece, so that programs that read never see half of one. The caller holds mu.
func (p *pipe) write(w io.Writer, text string, o object) {
	if p.a.JSON {
		if o.Type == "" {
			return
		}
		if o.Time == "" {
			o.Time = stamp(p.a.now())
		}
		w, text = p.a.Out, o.encode()
	}
	if w != nil && text != "" {
		_, _ = io.WriteString(w, text+"\n")
	}
}
