package tui

import (
	"context"

	"parley/client"
	"parley/xmpp/words"
)

// message keeps one and hands it over to the session, with whatever waits before it. It waits while too much is on its way.
func (p *pipe) message(ctx context.Context, line int, c words.Line) *Failure {
	to, err := p.desk.address(c.User)
	if err != nil {
		p.complain(line, err)
		return nil
	}
	l := letter{id: p.desk.s.NewID(), to: to, text: c.Text, at: p.a.now(), line: line}
	if tooLong(l.text) {
		p.complainOf(p.desk, l, complain("too-long", "not sent to %s: %s", p.desk.name(to), errText))
		return nil
	}
	if f := p.until(ctx, func() bool { return !p.box.full(l) }); f != nil {
		p.complainOf(p.desk, l, complain("not-sent", "not sent to %s: there was no connection", p.desk.name(to)))
		return f
	}
	p.mu.Lock()
	// No promise rests on it before it is accepted, so it need not outlive a power cut.
	err = p.box.add(l, false)
	p.mu.Unlock()
	if err != nil {
		p.complainOf(p.desk, l, complain("not-sent", "not sent to %s: %s", p.desk.name(to), OneLine(err.Error())))
		return nil
	}
	return p.post(ctx)
}

// post hands over to the session what none has yet.
func (p *pipe) post(ctx context.Context) *Failure {
	p.mu.Lock()
	list := p.box.waiting()
	p.mu.Unlock()
	for _, l := range list {
		for p.desk.s.Message(l.to, l.id, l.text) != nil {
			if f := p.restore(ctx); f != nil {
				return f
			}
		}
		p.mu.Lock()
		if l := p.box.find(l.id); l != nil { // it can be accepted already
			l.out = true
		}
		p.mu.Unlock()
	}
	return nil
}

// restoreAll is restore, and hands over what waits.
func (p *pipe) restoreAll(ctx context.Context) *Failure {
	if f := p.restore(ctx); f != nil {
		return f
	}
	return p.post(ctx)
}

// until waits for something to be so with the outbox, with a connection that comes back if need be.
func (p *pipe) until(ctx context.Context, so func() bool) *Failure {
	for {
		p.mu.Lock()
		ok := so()
		p.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-p.free:
		case <-p.desk.s.Done():
			if f := p.restoreAll(ctx); f != nil {
				return f
			}
		case <-ctx.Done():
			return p.interrupted()
		}
	}
}

// settle waits until everything is accepted or refused, and was told.
func (p *pipe) settle(ctx context.Context) *Failure {
	if f := p.until(ctx, func() bool { return len(p.box.list) == 0 }); f != nil {
		return f
	}
	p.reason = "logout"
	return nil
}

// accepted tells that a letter is safe.
func (p *pipe) accepted(d desk, id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l, ok := p.box.take(id); ok { // it was not refused
		p.past.add(l)
		p.write(nil, "", object{Type: "sent", Line: l.line, To: d.called(l.to), ID: l.id})
	}
	select {
	case p.free <- struct{}{}:
	default:
	}
}

// delivered tells that the recipient has a letter, or has read it.
func (p *pipe) delivered(d desk, e client.Delivered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.past.find(e)
	if l == nil {
		return
	}
	o := object{Type: "delivered", Line: l.line, To: d.called(l.to), ID: l.id, Read: e.Read}
	if !e.At.IsZero() {
		o.Time = stamp(e.At)
	}
	p.write(nil, "", o)
}

// left says of every letter that was not accepted what becomes of it.
func (p *pipe) left() {
	p.mu.Lock()
	list, onDisk := p.box.list, p.box.file != nil
	p.mu.Unlock()
	for _, l := range list {
		c := complain("unconfirmed", "not confirmed: there is no connection, and the message to %s may not have arrived: %s", p.desk.name(l.to), OneLine(l.text))
		if onDisk {
			c = complain("kept", "kept: the message to %s goes out at the next start of the client: %s", p.desk.name(l.to), OneLine(l.text))
		}
		p.complainOf(p.desk, l, c)
	}
}
