package tui

import (
	"context"
	"time"

	"parley/client"
	"parley/xmpp/jid"
	"parley/xmpp/words"
)

// job is something that has to wait for the server, done one after the other so that nothing overtakes.
type job struct {
	kind    jobKind
	command words.Line

	// of a message
	to     jid.JID
	letter letter // its id and number are given when it is the worker's turn
	waited bool   // for a connection, which was said
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
	confirmed struct{ n int }     // letters up to the nth are safe
	left      struct{ err error } // after jobLeave; nil: everything that was sent is safe
)

// worker owns the session of line mode and does the jobs.
type worker struct {
	a     *app
	cfg   client.Config
	s     Session
	fence *fence
	jobs  chan job
	send  func(any)
}

// run does jobs until there are no more. What waits for the server is given up when ctx ends; the goodbye is said anyway.
func (w *worker) run(ctx context.Context) {
	w.watch(w.s)
	defer func() {
		leave(w.s)
		w.fence.wait()
	}()
	for j := range w.jobs {
		switch j.kind {
		case jobStart:
			w.send(w.start(ctx))
		case jobDial:
			w.send(w.dial(ctx))
		case jobPresence:
			w.send(carried{job: j, err: w.s.Presence()})
		case jobMessage:
			err := w.s.Message(j.to, j.letter.id, j.letter.text)
			if err == nil {
				w.fence.sent(j.letter.n)
			}
			w.send(carried{job: j, err: err})
		case jobCommand:
			r, err := desk{w.s}.do(ctx, j.command)
			w.send(carried{job: j, result: r, err: err})
		case jobLeave:
			w.send(left{w.goodbye(ctx)})
		}
	}
}

// watch takes a session over.
func (w *worker) watch(s Session) {
	w.s = s
	w.fence = newFence(s, func(n int) { w.send(confirmed{n}) })
}

// goodbye leaves once everything is safe, or after a while.
func (w *worker) goodbye(ctx context.Context) error {
	defer leave(w.s)
	if end := w.s.End(); end != nil {
		return end
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbye)
	defer cancel()
	return w.s.Ping(ctx)
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
	w.fence.wait()
	s, err := w.a.Dial(ctx, w.cfg)
	if err != nil {
		return started{s: w.s, err: err}
	}
	w.watch(s)
	return w.start(ctx)
}
