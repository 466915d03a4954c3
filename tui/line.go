package tui

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"parley/client"
)

// line is line mode: questions first, then one prompt at the bottom of the terminal's own scrollback.
func (a *app) line(ctx context.Context) *Failure {
	in, ok := a.In.(*os.File)
	if !ok {
		return &Failure{Code: exitUsage, What: "line mode needs a terminal"}
	}
	p := newScreen(a)
	s, cfg, f := a.enterLine(ctx, in, p)
	if f != nil {
		return f
	}
	return p.run(ctx, s, cfg)
}

// enterLine asks what has to be asked and signs in.
func (a *app) enterLine(ctx context.Context, in *os.File, p *screen) (Session, client.Config, *Failure) {
	ask, err := openTerminal(ctx, in, a.Out)
	if err != nil {
		return nil, client.Config{}, a.explain(err, a.User)
	}
	defer ask.close()
	info, f := a.meet(ctx, ask)
	if f != nil {
		return nil, client.Config{}, f
	}
	s, cfg, f := a.signIn(ctx, ask, info, p.event)
	if f == nil {
		a.signedIn(s, cfg.User)
	}
	return s, cfg, f
}

// screen is the program that draws the model, with the worker beside it.
type screen struct {
	a       *app
	model   *model
	program *tea.Program
	jobs    chan job
	ctx     context.Context // of the worker's waiting
	cancel  context.CancelFunc
}

func newScreen(a *app) *screen {
	p := &screen{a: a, jobs: make(chan job, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.model = &model{a: a, jobs: p.jobs, stop: p.cancel, voice: says{now: a.now}}
	options := []tea.ProgramOption{tea.WithInput(a.In), tea.WithOutput(a.Out), tea.WithoutSignalHandler()}
	if a.NoColor { // the library understands only NO_COLOR=1
		options = append(options, tea.WithColorProfile(colorprofile.ASCII))
	}
	p.program = tea.NewProgram(p.model, options...)
	return p
}

// event is called by the session's reader: it waits until the program takes the event, which keeps the order.
func (p *screen) event(e client.Event) { p.program.Send(e) }

// run shows line mode until the person has left and everything is said.
func (p *screen) run(ctx context.Context, s Session, cfg client.Config) *Failure {
	w := &worker{a: p.a, cfg: cfg, s: s, jobs: p.jobs, send: func(m any) { p.program.Send(m) }}
	p.model.a.User = cfg.User
	p.model.voice.d = desk{s}
	p.model.box = p.a.outbox(s)
	defer p.model.box.close()
	if p.a.Outboxes != nil {
		s.SetPlace(p.a.Outboxes.place(s.JID(), p.a.HostPort))
		defer func() { p.a.Outboxes.savePlace(s.JID(), p.a.HostPort, p.model.voice.d.s.Place()) }()
	}
	var working sync.WaitGroup
	working.Go(func() { w.run(p.ctx) })
	stop := context.AfterFunc(ctx, func() { p.program.Send(stopSignal{}) })
	_, err := p.program.Run()
	stop()
	p.cancel()
	close(p.jobs)
	working.Wait()
	for _, row := range p.model.unprinted { // when the program ended early
		fmt.Fprintln(p.a.Out, row)
	}
	switch {
	case err != nil && !errors.Is(err, tea.ErrProgramKilled):
		return &Failure{Code: exitFailed, What: "the terminal is gone", Why: OneLine(err.Error())}
	case err != nil:
		return errInterrupted
	}
	return p.model.exit
}
