package tui

import (
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// key takes one key.
func (m *model) key(msg tea.KeyPressMsg) tea.Cmd {
	cmd := m.idle.touched(m)
	name := msg.String()
	switch {
	case m.state >= leaving:
		if name == "ctrl+c" { // enough of waiting
			m.state, m.exit = finished, errInterrupted
		}
		return cmd
	case m.paste != "":
		m.answerPaste(name)
		return cmd
	}
	if name != "tab" && name != "shift+tab" && name != "esc" {
		m.tab = nil
	}
	if name == "enter" {
		return tea.Batch(cmd, m.enter())
	}
	if m.control(name) || m.editing(name) {
		return cmd
	}
	if k := msg.Key(); k.Text != "" && k.Mod&(tea.ModCtrl|tea.ModAlt) == 0 {
		if m.state == gone && m.edit.text == "" && k.Text == "q" {
			m.leave(m.exit)
			return cmd
		}
		m.edit.insert(m.width, Clean(k.Text))
	}
	return cmd
}

// control takes the keys that do more than change the line.
func (m *model) control(name string) bool {
	switch name {
	case "ctrl+c":
		if m.edit.text == "" { // as good as logout
			m.leave(m.exit)
		}
		m.edit.set("")
		m.past.at = len(m.past.lines)
	case "ctrl+d":
		if m.edit.text != "" {
			m.edit.erase(m.width, 1, false)
		} else {
			m.leave(m.exit)
		}
	case "up", "ctrl+p":
		m.recall(-1)
	case "down", "ctrl+n":
		m.recall(1)
	case "ctrl+r":
		m.dialNow()
	case "tab":
		m.complete(1)
	case "shift+tab":
		m.complete(-1)
	case "esc":
		if m.tab != nil {
			m.edit, m.tab = m.tab.undo(), nil
		}
	default:
		return false
	}
	return true
}

// editing takes the keys that move and change what is typed.
func (m *model) editing(name string) bool {
	w, e := m.width, &m.edit
	switch name {
	case "left", "ctrl+b":
		e.move(w, -1, false)
	case "right", "ctrl+f":
		e.move(w, 1, false)
	case "ctrl+left", "alt+left", "alt+b":
		e.move(w, -1, true)
	case "ctrl+right", "alt+right", "alt+f":
		e.move(w, 1, true)
	case "home", "ctrl+a":
		e.at = 0
	case "end", "ctrl+e":
		e.at = len(e.text)
	case "backspace", "ctrl+h":
		e.erase(w, -1, false)
	case "delete":
		e.erase(w, 1, false)
	case "ctrl+w", "alt+backspace", "ctrl+backspace":
		e.erase(w, -1, true)
	case "alt+d", "ctrl+delete", "alt+delete":
		e.erase(w, 1, true)
	case "ctrl+u":
		e.text, e.at = e.text[e.at:], 0
	case "ctrl+k":
		e.text = e.text[:e.at]
	case "alt+enter", "shift+enter", "ctrl+j":
		e.insert(w, "\n")
	default:
		return false
	}
	return true
}

func (m *model) recall(n int) {
	if s, ok := m.past.step(n, m.edit.text); ok {
		m.edit.set(s)
	}
}

func (m *model) complete(n int) {
	if m.tab == nil {
		var names []string
		if m.voice.d.s != nil {
			for _, c := range m.voice.d.s.Contacts() {
				names = append(names, m.voice.d.name(c.JID))
			}
		}
		m.tab = complete(m.edit, names)
	}
	if m.tab != nil {
		m.edit = m.tab.step(n)
		if len(m.tab.candidates) == 1 {
			m.tab = nil
		}
	}
}

// pasted takes what was pasted: into the line, never as a command. Terminals send CR for the line breaks in it.
func (m *model) pasted(s string) {
	if m.state >= leaving || m.paste != "" {
		return
	}
	s = strings.TrimRight(Clean(s), "\n")
	m.tab = nil
	if strings.Count(s, "\n") >= 3 {
		m.paste = s
		return
	}
	m.edit.insert(m.width, s)
}

func (m *model) answerPaste(name string) {
	switch name {
	case "y", "Y", "enter":
		m.edit.insert(m.width, m.paste)
		m.paste = ""
	case "n", "N", "esc", "ctrl+c":
		m.paste = ""
	}
}

// enter runs the line. An empty one tries to connect, where there is no connection.
func (m *model) enter() tea.Cmd {
	line := m.edit.text
	m.edit.set("")
	if strings.TrimSpace(line) == "" {
		if m.state == gone && !m.link.dialing {
			m.tell(said{m.voice.clock(m.a.now()), "signing in again ..."})
		}
		m.dialNow()
		return nil
	}
	m.past.add(line)
	m.tell(said{"> ", line})
	c, err := parse(line)
	switch {
	case err != nil:
		m.tell(plain("%s%s", err, toFix(err)))
	case c.Verb == "help":
		for _, l := range helpLines() {
			m.tell(said{"", l})
		}
	case c.Verb == "logout" && m.state != here:
		m.leave(m.exit)
	case c.Verb == "message":
		return m.message(c)
	case m.state == waiting, m.state == gone:
		m.tell(plain("not done: %s", backByArrow))
	default:
		m.do(job{kind: jobCommand, command: c})
	}
	return nil
}

// toFix says how a mistyped command is mended without typing all of it again.
func toFix(err error) string {
	if strings.Contains(err.Error(), "Did you mean: ") {
		return "   (arrow-up to fix it)"
	}
	return ""
}

// View is the prompt with what is typed, or a question in its place.
func (m *model) View() tea.View {
	if m.state >= leaving || m.cols == 0 {
		return tea.NewView(" ") // a row all the same: the library misplaces what is printed above nothing
	}
	if m.paste != "" {
		question := fmt.Sprintf("Paste %d lines as one message? [y] paste [n] drop ", strings.Count(m.paste, "\n")+1)
		return m.view(question, editor{})
	}
	v := m.view("> ", m.edit)
	if m.tab != nil {
		row := " " + strings.Join(m.tab.candidates, "  ")
		v.SetContent(v.Content + "\n" + m.width.method.Truncate(row, m.cols-1, "…"))
	}
	return v
}

func (m *model) view(prompt string, e editor) tea.View {
	rows, x, y := e.layout(m.width, prompt, m.cols-1)
	v := tea.NewView(strings.Join(rows, "\n"))
	v.Cursor = tea.NewCursor(x, y)
	return v
}

// idleClock warns before a server signs us out for doing nothing.
type idleClock struct {
	limit  time.Duration // the server's rule; 0 = none
	round  int           // of the warning that counts; older ones are void
	warned bool
}

// idleWarning is due when nothing was done for most of the time that the rule gives.
type idleWarning struct {
	round int
	left  time.Duration
}

// reset counts from now on: something was done.
func (c *idleClock) reset(time.Time) tea.Cmd {
	c.off()
	if c.limit <= 0 {
		return nil
	}
	left := min(time.Minute, c.limit/2)
	w := idleWarning{round: c.round, left: left}
	return tea.Tick(c.limit-left, func(time.Time) tea.Msg { return w })
}

func (c *idleClock) off() { c.round, c.warned = c.round+1, false }

// touched shows the server that somebody is there, if it is about to sign us out.
func (c *idleClock) touched(m *model) tea.Cmd {
	if c.warned && m.state == here {
		c.warned = false
		m.do(job{kind: jobPresence})
	}
	return nil
}

func (m *model) idleWarning(w idleWarning) {
	if w.round != m.idle.round || m.state != here {
		return
	}
	m.idle.warned = true
	now := m.a.now()
	layout := "15:04"
	if w.left < time.Minute { // a short rule
		layout = "15:04:05"
	}
	m.tell(said{m.voice.clock(now), fmt.Sprintf("no activity: you will be signed out at %s. Any key keeps you in.", now.Add(w.left).Format(layout))})
}
