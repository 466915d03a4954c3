package tui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"parley/client"
)

// maxWaiting bounds the texts that wait for a connection, in bytes.
const maxWaiting = 256 << 10

// link is how line mode stands to its connection.
type link struct {
	back    backoff
	round   int       // of the timer that counts; older ones are void
	came    time.Time // when the session began
	lost    time.Time // when it broke off
	dialing bool      // the worker is at it

	// After a loss, until what waited is sent: what there is to tell, how many letters have gone out and how many are to.
	again      string
	sent, left int
}

// started takes the outcome of signing in.
func (m *model) started(msg started) tea.Cmd {
	m.working, m.link.dialing = false, false
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
	was := m.state
	m.state, m.exit, m.link.came = here, nil, now
	switch was {
	case signingIn:
		m.since = now
		m.tell(said{m.voice.clock(now), "online as " + name + ". Type help for commands, logout to leave."})
	case waiting:
		m.link.again = "connected again after " + shortly(now.Sub(m.link.lost)) + "."
		m.link.sent, m.link.left = 0, len(m.waiting)
		m.queue, m.waiting = append(m.waiting, m.queue...), nil
		m.sayAgain(m.link.left == 0)
	default:
		m.tell(said{m.voice.clock(now), "online again as " + name + "."})
		if m.edit.text == "" {
			m.edit.set(m.draft)
		}
	}
	m.draft = ""
	m.idle.limit = msg.limit
	return m.idle.reset(now)
}

// sayAgain tells that the connection is back, once that is due.
func (m *model) sayAgain(due bool) {
	if !due || m.link.again == "" {
		return
	}
	text := m.link.again
	if n := m.link.sent; n > 0 {
		text += " Sent: " + number(n, "waiting message") + "."
	}
	m.link.again = ""
	m.tell(said{m.voice.clock(m.a.now()), text})
}

// notStarted takes a failed attempt to sign in.
func (m *model) notStarted(err error) tea.Cmd {
	f := m.a.explain(err, m.a.User)
	switch {
	case m.state == waiting && passing(err):
		return m.tryLater()
	case m.state == waiting, m.state == gone:
		m.tell(said{m.voice.clock(m.a.now()), strings.TrimSpace(capital(f.What)+". "+capital(f.Why)) + "\n" + comeBack})
		m.signedOut(f)
		return nil
	}
	m.leave(f)
	return nil
}

// tryLater plans the next attempt.
func (m *model) tryLater() tea.Cmd {
	m.link.round++
	r := retry{m.link.round}
	return tea.Tick(m.link.back.next(), func(time.Time) tea.Msg { return r })
}

// dialNow tries to connect, if that is what we wait for.
func (m *model) dialNow() {
	if (m.state == waiting || m.state == gone) && !m.link.dialing {
		m.link.dialing = true
		m.link.round++
		m.do(job{kind: jobDial})
	}
}

// event takes what the session tells.
func (m *model) event(e client.Event) tea.Cmd {
	end, ok := e.(*client.End)
	if ok {
		return m.ended(end)
	}
	if b, refused := e.(client.Bounce); refused {
		m.post.take(b.ID)
		m.sent--
	}
	if s, ok := m.voice.event(e); ok {
		m.tell(s)
	}
	return nil
}

// ended takes the end of the session.
func (m *model) ended(end *client.End) tea.Cmd {
	if m.state != here {
		return nil // an attempt to start reports it, or we are leaving
	}
	now := m.a.now()
	m.idle.off()
	m.sayAgain(true)
	var flying []letter
	for _, l := range m.post.all() {
		if m.working && m.current.kind == jobMessage && l.n == m.current.letter.n {
			flying = append(flying, l) // whether it went out is about to be known
		} else {
			m.tell(m.voice.unsure([]letter{l})...)
		}
	}
	m.post.sent = flying
	if !end.Passing() {
		draft := m.keepDraft()
		m.tell(m.voice.ended(end, draft)...)
		m.signedOut(explainEnd(end))
		return nil
	}
	m.state, m.link.lost = waiting, now
	m.link.back.lost(now.Sub(m.link.came))
	f := explainEnd(end)
	m.tell(said{m.voice.clock(now), f.What + ". Trying again: 1 s, 2 s, 4 s ... You can go on writing."})
	m.hold()
	return m.tryLater()
}

// signedOut leaves it to the person to sign in again. What has not gone out never will by itself.
func (m *model) signedOut(f *Failure) {
	m.state, m.exit = gone, f
	m.hold()
	for _, j := range m.waiting {
		m.tell(plain("not sent to %s: %s", OneLine(j.letter.to), backByArrow))
	}
	m.waiting = nil
}

const backByArrow = "no connection right now. Arrow-up brings it back."

// keepDraft puts aside what is being typed, for the next session, and tells so.
func (m *model) keepDraft() string {
	m.draft = m.edit.text
	m.edit.set("")
	if strings.TrimSpace(m.draft) == "" {
		return ""
	}
	if words := strings.Fields(strings.TrimPrefix(m.draft, "/")); len(words) > 2 && strings.EqualFold(words[0], "message") {
		return "Draft to " + OneLine(words[1]) + " kept. "
	}
	return "Draft kept. "
}

// hold puts aside what is queued for a session that has ended: messages for the next one, if there will be one, the rest
// for nobody.
func (m *model) hold() {
	for _, j := range m.queue {
		switch j.kind {
		case jobMessage:
			m.wait(j)
		case jobCommand:
			m.tell(plain("%s not done: %s", j.command.Verb, backByArrow))
		}
	}
	m.queue = nil
}

// wait keeps a message until there is a connection, if we wait for one and there is room.
func (m *model) wait(j job) {
	if m.state >= gone {
		m.tell(plain("not sent to %s: %s", OneLine(j.letter.to), backByArrow))
		return
	}
	size := len(j.letter.text)
	for _, w := range m.waiting {
		size += len(w.letter.text)
	}
	if size > maxWaiting {
		m.tell(plain("not sent to %s: too much is waiting already. Arrow-up brings it back.", OneLine(j.letter.to)))
		return
	}
	if !j.waited {
		j.waited = true
		m.tell(plain("to %s (waiting)", OneLine(j.letter.to)))
	}
	m.waiting = append(m.waiting, j)
}

// notSent takes a message that could not go out because the session has ended. It was the first in line.
func (m *model) notSent(j job) {
	before := m.waiting
	m.waiting = nil
	m.wait(j)
	m.waiting = append(m.waiting, before...)
	if m.state == here {
		m.hold() // the news of the end is still to come
	}
}

// wentOut takes a message that the session has sent.
func (m *model) wentOut(j job) {
	if m.state != here { // the session ended right after
		if l, ok := m.post.take(j.letter.id); ok {
			m.tell(m.voice.unsure([]letter{l})...)
		}
	}
	if m.link.again != "" && j.waited {
		m.link.sent++
		m.link.left--
		m.sayAgain(m.link.left <= 0)
	}
}

// message queues one, or keeps it for later.
func (m *model) message(j job) {
	to, err := m.voice.d.address(j.command.User)
	if err != nil {
		m.tell(plain("%s", err))
		return
	}
	j.to, j.letter = to, letter{to: m.voice.d.called(to), text: j.command.Text}
	if m.state == here && len(m.waiting) == 0 { // if something waits, the news of the session's end is still to come
		m.do(j)
	} else {
		m.wait(j)
	}
}
