package tui

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"parley/client"
)

// connect signs in and announces the session. Its address is told before anything else of it.
func (p *pipe) connect(ctx context.Context, online func(as string)) error {
	ready := make(chan struct{})
	var d desk
	cfg := goOn(p.cfg, p.desk.s)
	cfg.Handle = func(e client.Event) {
		<-ready
		p.event(d, e)
	}
	s, err := p.a.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	d.s = s
	p.cfg.Register = false // the account is there now
	p.desk, p.came = d, time.Now()
	if p.box == nil {
		p.box = p.a.outbox(s)
	}
	online(s.JID().Bare().String())
	close(ready)
	if err := s.Start(ctx); err != nil {
		leave(s)
		return err
	}
	return nil
}

// restore is called when the session has ended. It signs in again as long as there is hope and time, unless the end was
// meant.
func (p *pipe) restore(ctx context.Context) *Failure {
	leave(p.desk.s)
	end := p.desk.s.End()
	f := explainEnd(end)
	p.reason = f.code()
	if p.a.Retry <= 0 || !end.Passing() {
		return f
	}
	lost := time.Now()
	p.back.lost(lost.Sub(p.came))
	p.tell(p.a.Err, fmt.Sprintf("%s. Trying again for %s: 1 s, 2 s, 4 s ...", f.What, shortly(p.a.Retry)), object{})
	for try := 1; ; try++ {
		left := p.a.Retry - time.Since(lost)
		if left <= 0 {
			f.Why = strings.TrimPrefix(f.Why+"; connecting again did not succeed within "+shortly(p.a.Retry), "; ")
			return f
		}
		if !p.wait(ctx, try, min(p.back.next(), left)) {
			return p.interrupted()
		}
		err := p.connect(ctx, func(as string) {
			after := time.Since(lost)
			p.tell(p.a.Err, "connected again after "+shortly(after), object{Type: "online", As: as, AfterS: seconds(after), Resumed: p.desk.s.Resumed()})
		})
		switch {
		case err == nil:
			p.reason = ""
			return nil
		case ctx.Err() != nil:
			return p.interrupted()
		case !passing(err):
			return p.a.explain(err, p.cfg.User)
		}
	}
}

func (p *pipe) interrupted() *Failure {
	p.reason = errInterrupted.code()
	return errInterrupted
}

// wait announces an attempt and waits until it is due; false: the context ended.
func (p *pipe) wait(ctx context.Context, try int, d time.Duration) bool {
	in := seconds(d)
	p.tell(nil, "", object{Type: "reconnecting", Reason: p.reason, Try: try, InS: &in})
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// passing tells of an error of connecting that may be over soon.
func passing(err error) bool {
	var unreachable *client.UnreachableError
	var end *client.End
	return errors.As(err, &unreachable) || errors.As(err, &end) && end.Passing()
}
