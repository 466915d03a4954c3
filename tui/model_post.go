package tui

import (
	"errors"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"parley/client"
	"parley/xmpp/words"
)

// told is how much was told of a letter, in the order of what can happen to it.
type told uint8

const (
	toldNothing   told = iota
	toldWaiting        // (waiting): the server has not accepted it
	toldSent           // (sent): it has
	toldDelivered      // (delivered): a client of the recipient has it
	toldRead           // (read): the recipient has seen it
)

// patience is how long a letter may take until it is delivered, before something is told of it.
const patience = time.Second

// placeDelay is how long the place in the archive may lag behind on disk.
const placeDelay = time.Second

// late tells of a letter that was said to be waiting.
func (l letter) late() bool { return l.told == toldWaiting }

// goOut is "it goes out" or "they go out".
func goOut(n int) string {
	if n == 1 {
		return "it goes out"
	}
	return "they go out"
}

// message keeps one, and hands it over if there is a connection.
func (m *model) message(c words.Line) tea.Cmd {
	to, err := m.voice.d.address(c.User)
	if err != nil {
		m.tell(plain("%s", err))
		return nil
	}
	l := letter{id: m.voice.d.s.NewID(), to: to, text: c.Text, at: m.a.now()}
	if err := m.box.add(l, true); err != nil {
		m.tell(plain("not sent to %s: %s. Arrow-up brings it back.", m.voice.d.name(to), OneLine(err.Error())))
		return nil
	}
	m.lastID = l.id
	if m.state != here {
		m.waits(l.id)
		return nil
	}
	m.do(job{kind: jobMessage, letter: l})
	return tea.Tick(patience, func(time.Time) tea.Msg { return doubt{l.id} })
}

// tellOf says how a letter stands; its first words with it when it is not the one that was just written.
func (m *model) tellOf(l *letter, now told, how string) {
	text := fmt.Sprintf("to %s (%s)", m.voice.d.name(l.to), how)
	if l.told != toldNothing || l.id != m.lastID {
		text += ": " + firstWords(l.text)
	}
	l.told = now
	m.tell(plain("%s", text))
}

// waits says that a letter waits for a connection, or for the server.
func (m *model) waits(id string) {
	if l := m.box.find(id); l != nil && l.told == toldNothing {
		m.tellOf(l, toldWaiting, "waiting")
	}
}

// handedOver takes what became of a letter that the session was given.
func (m *model) handedOver(id string, err error) tea.Cmd {
	var end *client.End
	switch l := m.box.find(id); {
	case l == nil: // accepted or refused already
	case err == nil:
		l.out = true
	default:
		m.waits(id)
		if m.state == here && errors.As(err, &end) {
			m.hold() // the news of the end is still to come
		}
	}
	if err != nil || m.state >= leaving {
		return nil
	}
	return m.idle.reset(m.a.now())
}

// doubt says how a letter stands of which nothing was heard for a moment.
func (m *model) doubt(id string) {
	m.waits(id)
	if l := m.posted.byID(id); l != nil && l.told == toldNothing {
		m.tellOf(l, toldSent, "sent")
	}
}

// accepted takes a letter that the server has.
func (m *model) accepted(id string) {
	l, ok := m.box.take(id)
	if !ok {
		return
	}
	m.sent++
	late := l.late()
	m.posted.add(l)
	kept := m.posted.byID(id)
	switch {
	case late && m.link.again != "":
		kept.told = toldSent
		m.link.sent++
	case m.away(l):
		name := m.voice.d.name(l.to)
		m.tellOf(kept, toldSent, "waiting: "+name+" is offline, gets it at next sign-in")
	case late:
		m.tellOf(kept, toldSent, "sent")
	}
	m.sayAgain()
}

// away tells that a letter is for somebody who is known to be offline.
func (m *model) away(l letter) bool {
	for _, c := range m.voice.d.s.Contacts() {
		if c.JID == l.to.Bare() {
			return !c.Online && c.JID != m.voice.d.s.JID().Bare()
		}
	}
	return false
}

// refused takes a letter that came back.
func (m *model) refused(id string) {
	m.box.take(id)
	m.sayAgain()
}

// delivered takes what the recipient says of a letter.
func (m *model) delivered(e client.Delivered) {
	l := m.posted.find(e)
	if l == nil {
		return
	}
	at := m.a.now()
	if !e.At.IsZero() {
		at = e.At
	}
	clock := m.voice.clock(at)
	switch {
	case e.Read && l.told < toldRead:
		m.tellOf(l, toldRead, "read "+clock[:len(clock)-1])
	case !e.Read && l.told < toldDelivered:
		m.tellOf(l, toldDelivered, "delivered "+clock[:len(clock)-1])
	}
}

// placed lets the place in the archive be saved in a moment.
func (m *model) placed() tea.Cmd {
	if m.placing || m.a.Outboxes == nil {
		return nil
	}
	m.placing = true
	return tea.Tick(placeDelay, func(time.Time) tea.Msg { return placeTime{} })
}

func (m *model) savePlace() {
	m.placing = false
	s := m.voice.d.s
	m.a.Outboxes.savePlace(s.JID(), m.a.HostPort, s.Place())
}
