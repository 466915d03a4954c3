package tui

import (
	"errors"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"parley/client"
)

// state is how line mode stands towards the server.
type state uint8

const (
	signingIn state = iota
	here            // signed in
	waiting         // the connection broke off; trying again by itself
	gone            // the server ended the session; the person decides
	leaving         // saying goodbye
	finished        // everything is said but what is still to be printed
)

// model is line mode: what is typed, what waits to be printed, and how things stand. Update owns all of it, and is
// called by one goroutine; what waits for the server is done by the worker, which answers with messages.
type model struct {
	// fixed
	a    *app
	jobs chan<- job
	stop func() // makes the worker give up what it waits for

	voice says
	state state
	exit  *Failure // how Run ends

	width      width
	cols, rows int
	settling   int // changes of size that may not be drawn yet
	edit       editor
	past       history
	tab        *completion
	paste      string // a long paste that has to be confirmed

	unprinted []string // rows; printed from the front
	printing  bool

	queue   []job // jobs[0] is with the worker while working
	working bool

	since time.Time // signed in
	sent  int
	tries int       // to connect again
	lost  time.Time // when the connection broke off

	idle idleClock
}

// messages of the model to itself.
type (
	printed    struct{}
	settled    struct{}
	retry      struct{}
	stopSignal struct{}
)

// drawTime is more than the library takes to draw: it does so 60 times a second.
const drawTime = 100 * time.Millisecond

// Init asks for nothing: the first message is the size of the terminal.
func (m *model) Init() tea.Cmd {
	m.do(job{kind: jobStart})
	return nil
}

// Update takes one message.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	var cmd tea.Cmd
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.cols, m.rows = msg.Width, msg.Height
		// The library prints at the right place only once it has drawn the prompt in that size.
		m.settling++
		cmd = tea.Tick(drawTime, func(time.Time) tea.Msg { return settled{} })
	case settled:
		m.settling--
	case tea.ModeReportMsg:
		if msg.Mode == ansi.ModeUnicodeCore && (msg.Value == ansi.ModeReset || msg.Value == ansi.ModeSet || msg.Value == ansi.ModePermanentlySet) {
			m.width.method = ansi.GraphemeWidth
		}
	case tea.KeyPressMsg:
		cmd = m.key(msg)
	case tea.PasteMsg:
		m.pasted(msg.Content)
	case client.Event:
		cmd = m.event(msg)
	case started:
		cmd = m.started(msg)
	case carried:
		cmd = m.carried(msg)
	case left:
		m.goodbye()
	case idleWarning:
		m.idleWarning(msg)
	case retry:
		if m.state == waiting {
			m.do(job{kind: jobDial})
		}
	case stopSignal:
		m.leave(errInterrupted)
	case printed:
		m.printing = false
	}
	return m, tea.Batch(cmd, m.print())
}

// tell queues something to be printed above the prompt.
func (m *model) tell(what ...said) {
	for _, s := range what {
		// The last column stays free: erasing to the end of a full row would take its last character on some terminals.
		m.unprinted = append(m.unprinted, m.width.wrap(s.head, s.text, m.width.of(s.head), max(m.cols-1, 10))...)
	}
}

// print hands the next rows to the screen, one portion at a time, so that they stay in order, and never more than the
// screen has, because the library would then scroll blank rows into the history. After the last ones it ends.
func (m *model) print() tea.Cmd {
	if m.printing || m.settling > 0 || m.rows == 0 {
		return nil
	}
	if len(m.unprinted) == 0 {
		if m.state == finished {
			return tea.Quit
		}
		return nil
	}
	n := min(len(m.unprinted), max(1, m.rows-maxPromptRows-2))
	text := strings.Join(m.unprinted[:n], "\n")
	m.unprinted, m.printing = m.unprinted[n:], true
	return tea.Sequence(tea.Println(text), func() tea.Msg { return printed{} })
}

// do queues a job for the worker.
func (m *model) do(j job) {
	m.queue = append(m.queue, j)
	m.next()
}

// next gives the worker its next job when it has none.
func (m *model) next() {
	if m.working || len(m.queue) == 0 {
		return
	}
	m.working = true
	m.jobs <- m.queue[0] // it has room for one
	m.queue = m.queue[1:]
}

func (m *model) started(msg started) tea.Cmd {
	m.working = false
	m.voice.d = desk{msg.s}
	defer m.next()
	if m.state >= leaving {
		return nil
	}
	if msg.err != nil {
		return m.notStarted(msg.err)
	}
	now := m.a.now()
	name := OneLine(msg.s.JID().Bare().String())
	switch m.state {
	case signingIn:
		m.since = now
		m.tell(said{m.voice.clock(now), "online as " + name + ". Type help for commands, logout to leave."})
	case waiting:
		m.tell(said{m.voice.clock(now), fmt.Sprintf("connected again after %s.", inWords(now.Sub(m.lost).Round(time.Second)))})
	default:
		m.tell(said{m.voice.clock(now), "online again as " + name + "."})
	}
	m.state, m.tries, m.exit = here, 0, nil
	m.idle.limit = msg.limit
	return m.idle.reset(now)
}

// notStarted takes a failed attempt to sign in.
func (m *model) notStarted(err error) tea.Cmd {
	f := m.a.explain(err, m.a.User)
	switch {
	case m.state == waiting && f.Code == exitUnreachable:
		return m.tryLater()
	case m.state == waiting, m.state == gone:
		m.state, m.exit = gone, f
		m.tell(said{m.voice.clock(m.a.now()), strings.TrimSpace(f.What + ". " + f.Why)})
		return nil
	}
	m.leave(f)
	return nil
}

// tryLater plans the next attempt: after 1, 2, 4 … 30 seconds.
func (m *model) tryLater() tea.Cmd {
	wait := min(time.Second<<min(m.tries, 5), 30*time.Second)
	m.tries++
	return tea.Tick(wait, func(time.Time) tea.Msg { return retry{} })
}

// event takes what the session tells.
func (m *model) event(e client.Event) tea.Cmd {
	end, ok := e.(*client.End)
	if !ok {
		if _, refused := e.(client.Bounce); refused {
			m.sent--
		}
		if s, ok := m.voice.event(e); ok {
			m.tell(s)
		}
		return nil
	}
	if m.state != here {
		return nil // an attempt to start reports it, or we are leaving
	}
	now := m.a.now()
	m.idle.off()
	if end.Reason == client.Lost {
		m.state, m.lost, m.tries = waiting, now, 0
		m.tell(said{m.voice.clock(now), "connection lost. Trying again: 1 s, 2 s, 4 s ..."})
		return m.tryLater()
	}
	m.state, m.exit = gone, explainEnd(end)
	m.tell(m.voice.ended(end)...)
	return nil
}

func (m *model) carried(msg carried) tea.Cmd {
	m.working = false
	defer m.next()
	var end *client.End
	switch {
	case m.state >= leaving:
	case errors.As(msg.err, &end) && msg.result.Verb != "logout":
		if msg.result.Verb != "" {
			m.tell(plain("not done: no connection right now. Arrow-up brings it back."))
		}
	case msg.err != nil:
		m.tell(plain("%s", msg.err))
	case msg.result.Verb == "logout":
		m.leave(nil)
	default:
		if msg.result.Verb == "message" || msg.result.Verb == "broadcast" {
			m.sent++
		}
		m.tell(m.voice.result(msg.result)...)
		return m.idle.reset(m.a.now())
	}
	return nil
}

// leave says goodbye; f is how Run ends then.
func (m *model) leave(f *Failure) {
	if m.state >= leaving {
		return
	}
	if m.state != here {
		m.since = time.Time{} // nothing to sum up
	}
	m.exit, m.state = f, leaving
	m.queue = nil
	m.stop()
	m.do(job{kind: jobLeave})
}

// goodbye is said when the server has heard ours.
func (m *model) goodbye() {
	m.working = false
	m.state = finished
	if m.since.IsZero() {
		return
	}
	now := m.a.now()
	messages := "messages"
	if m.sent == 1 {
		messages = "message"
	}
	m.tell(said{m.voice.clock(now), fmt.Sprintf("signed out. %s, %d %s sent.", inMinutes(now.Sub(m.since)), max(m.sent, 0), messages)})
}

// inMinutes says a length of time as people remember it.
func inMinutes(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return inWords(d.Round(time.Second))
	case d < 2*time.Hour:
		return inWords(d.Round(time.Minute))
	}
	return inWords(d.Round(time.Hour))
}
