package tui

import (
	"errors"
	"fmt"
	"slices"
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

	queue   []job
	working bool
	current job // with the worker while working

	box    *outbox // what is not accepted yet
	posted past
	link   link

	early   []client.Event // what came before the person was told to be online
	lastID  string         // of the letter that was written last
	placing bool           // the place in the archive will be saved

	since time.Time // signed in
	sent  int

	idle  idleClock
	draft string // what was being typed when the server signed us out
}

// messages of the model to itself.
type (
	printed    struct{}
	settled    struct{}
	placeTime  struct{}            // the place in the archive is to be saved
	doubt      struct{ id string } // a letter was written a moment ago
	retry      struct{ round int }
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
	case doubt:
		m.doubt(msg.id)
	case placeTime:
		m.savePlace()
	case idleWarning:
		m.idleWarning(msg)
	case retry:
		if msg.round == m.link.round {
			m.dialNow()
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
	m.working, m.current, m.queue = true, m.queue[0], m.queue[1:]
	m.jobs <- m.current // it has room for one
}

func (m *model) carried(msg carried) tea.Cmd {
	m.working = false
	defer m.next()
	var end *client.End
	switch isEnd := errors.As(msg.err, &end); {
	case msg.job.kind == jobMessage:
		return m.handedOver(msg.job.letter.id, msg.err)
	case m.state >= leaving:
	case msg.job.kind == jobPresence && isEnd:
	case isEnd:
		m.tell(plain("%s", lostCommand(msg.job.command.Verb)))
	case msg.err != nil:
		m.tell(plain("%s", msg.err))
	case msg.result.Verb == "logout":
		m.leave(nil)
	default:
		if msg.result.Verb == "broadcast" {
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
	m.queue = slices.DeleteFunc(m.queue, func(j job) bool { return j.kind != jobMessage })
	m.stop()
	m.do(job{kind: jobLeave})
}

// goodbye is said when the server has heard ours. What it has not accepted is no success.
func (m *model) goodbye() {
	m.working = false
	m.state = finished
	if n := len(m.box.list); n > 0 {
		what, why, fix := "not confirmed", "there was no connection to the server", ""
		if !m.since.IsZero() { // there was one
			why = "the server did not accept it in time"
		}
		if m.box.file != nil {
			what, fix = "not sent yet", "at the next start of the client "+goOut(n)
		}
		for _, l := range m.box.list {
			m.tell(plain("to %s (%s): %s", m.voice.d.name(l.to), what, firstWords(l.text)))
		}
		if m.exit == nil {
			m.exit = &Failure{Code: exitUnreachable, What: what + ": " + number(n, "message"), Why: why, Fix: fix}
		}
	}
	if m.since.IsZero() {
		return
	}
	now := m.a.now()
	m.tell(said{m.voice.clock(now), fmt.Sprintf("signed out. %s, %s sent.", inMinutes(now.Sub(m.since)), number(max(m.sent, 0), "message"))})
}

// number is "1 message", "2 messages".
func number(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
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
