package tui

import (
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"parley/client"
)

// link is how line mode stands to its connection.
type link struct {
	back    backoff
	round   int       // of the timer that counts; older ones are void
	came    time.Time // when the session began
	lost    time.Time // when it broke off
	dialing bool      // the worker is at it

	// After a loss, until what waited is accepted: what there is to tell, and how many letters were.
	again string
	sent  int
}

// started takes the outcome of signing in.
func (m *model) started(msg started) tea.Cmd {
	m.working, m.link.dialing = false, false
	m.voice.d = desk{msg.s}
	defer m.next()
	early := m.early
	m.early = nil
	if m.state >= leaving {
		return m.events(early)
	}
	if msg.err != nil {
		cmd := m.notStarted(msg.err)
		return tea.Batch(cmd, m.events(early))
	}
	now := m.a.now()
	name := OneLine(msg.s.JID().Bare().String())
	was := m.state
	m.state, m.exit, m.link.came = here, nil, now
	switch was {
	case signingIn:
		m.since = now
		m.tell(said{m.voice.clock(now), "online as " + name + ". Type help for commands, logout to leave."})
		if n := len(m.box.list); n > 0 {
			m.tell(plain("%s from the last time: now %s.", number(n, "message"), goOut(n)))
			for i := range m.box.list {
				m.box.list[i].told = toldWaiting
			}
		}
	case waiting:
		m.link.again, m.link.sent = "connected again after "+shortly(now.Sub(m.link.lost)), 0
		if msg.s.Resumed() {
			m.link.again += ", nothing missed"
		}
		m.link.again += "."
		m.sayAgain()
	default:
		m.tell(said{m.voice.clock(now), "online again as " + name + "."})
		if m.edit.text == "" {
			m.edit.set(m.draft)
		}
	}
	m.draft = ""
	for _, l := range m.box.waiting() {
		m.do(job{kind: jobMessage, letter: l})
	}
	m.idle.limit = msg.limit
	return tea.Batch(m.events(early), m.idle.reset(now))
}

// events takes what the session has told before.
func (m *model) events(list []client.Event) tea.Cmd {
	var cmds []tea.Cmd
	for _, e := range list {
		cmds = append(cmds, m.event(e))
	}
	return tea.Batch(cmds...)
}

// sayAgain tells that the connection is back, once everything that waited is accepted.
func (m *model) sayAgain() {
	if m.link.again == "" || m.state == here && slices.ContainsFunc(m.box.list, letter.late) {
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
	if m.state == signingIn || m.link.dialing {
		m.early = append(m.early, e)
		return nil
	}
	var cmd tea.Cmd
	switch e := e.(type) {
	case client.Accepted:
		m.accepted(e.ID)
	case client.Delivered:
		m.delivered(e)
	case client.Bounce:
		m.refused(e.ID)
	case client.CaughtUp, client.Message:
		cmd = m.placed()
	}
	if s, ok := m.voice.event(e); ok {
		m.tell(s)
	}
	return cmd
}

// ended takes the end of the session.
func (m *model) ended(end *client.End) tea.Cmd {
	if m.state != here {
		return nil // an attempt to start reports it, or we are leaving
	}
	now := m.a.now()
	m.idle.off()
	m.state = waiting
	m.sayAgain()
	if !end.Passing() {
		draft := m.keepDraft()
		m.tell(m.voice.ended(end, draft)...)
		m.signedOut(explainEnd(end))
		return nil
	}
	m.link.lost = now
	m.link.back.lost(now.Sub(m.link.came))
	f := explainEnd(end)
	m.tell(said{m.voice.clock(now), f.What + ". Trying again: 1 s, 2 s, 4 s ... You can go on writing."})
	m.hold()
	return m.tryLater()
}

// signedOut leaves it to the person to sign in again. What has not gone out waits for that.
func (m *model) signedOut(f *Failure) {
	m.state, m.exit = gone, f
	m.hold()
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

// hold puts aside what is queued for a session that has ended: messages are in the outbox, the rest is for nobody.
func (m *model) hold() {
	for _, j := range m.queue {
		switch j.kind {
		case jobMessage:
			m.waits(j.letter.id)
		case jobCommand:
			m.tell(plain("%s not done: %s", j.command.Verb, backByArrow))
		}
	}
	m.queue = nil
}
