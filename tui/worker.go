package tui

import (
	"context"
	"time"

	"parley/client"
	"parley/xmpp/words"
)

// job is something that has to wait for the server, done one after the other so that nothing overtakes.
type job struct {
	kind    jobKind
	command words.Line

	letter letter // of a message
}

type jobKind uint8

const (
	jobStart    jobKind = iota // announce the session
	jobCommand                 // carry out a command
	jobMessage                 // send one
	jobPresence                // show that somebody is there
	jobDial                    // sign in again, and announce
	jobLeave                   // say goodbye
)

// answers of the worker; messages of the model.
type (
	started struct { // after jobStart and jobDial
		s     Session
		limit time.Duration // of doing nothing
		err   error
	}
	carried struct { // after jobCommand, jobMessage and jobPresence
		job    job
		result result
		err    error
	}
	left struct{} // after jobLeave
)

// worker owns the session of line mode and does the jobs.
type worker struct {
	a    *app
	cfg  client.Config
	s    Session
	jobs chan job
	send func(any)
}

// run does jobs until there are no more. What waits for the server is given up when ctx ends; the goodbye is said anyway.
func (w *worker) run(ctx context.Context) {
	defer func() { leave(w.s) }()
	for j := range w.jobs {
		switch j.kind {
		case jobStart:
			w.send(w.start(ctx))
		case jobDial:
			w.send(w.dial(ctx))
		case jobPresence:
			w.send(carried{job: j, err: w.s.Presence()})
		case jobMessage:
			w.send(carried{job: j, err: w.s.Message(j.letter.to, j.letter.id, j.letter.text)})
		case jobCommand:
			r, err := desk{w.s}.do(ctx, j.command)
			w.send(carried{job: j, result: r, err: err})
		case jobLeave:
			w.goodbye(ctx)
			w.send(left{})
		}
	}
}

// goodbye leaves once everything is accepted, or after a while.
func (w *worker) goodbye(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	_ = w.s.Settle(ctx) // what comes of it is told as events
	leave(w.s)
}

func (w *worker) start(ctx context.Context) started {
	if err := w.s.Start(ctx); err != nil {
		return started{s: w.s, err: err}
	}
	limit, _ := w.s.IdleLimit(ctx) // a server that does not say it cannot be warned of
	return started{s: w.s, limit: limit}
}

func (w *worker) dial(ctx context.Context) started {
	leave(w.s)
	s, err := w.a.Dial(ctx, goOn(w.cfg, w.s))
	if err != nil {
		return started{s: w.s, err: err}
	}
	w.s = s
	return w.start(ctx)
}
