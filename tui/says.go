package tui

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"parley/client"
	"parley/xmpp/stanza"
	"parley/xmpp/words"
)

// says is the voice of line mode: what it prints, one string for each thing to tell. Nothing here is a promise.
type says struct {
	d   desk
	now func() time.Time
}

// clock is the time as it stands before what happened.
func (v says) clock(t time.Time) string {
	now := v.now()
	t = t.In(now.Location())
	if t.Year() != now.Year() || t.YearDay() != now.YearDay() {
		return t.Format("2 Jan 15:04") + " "
	}
	return t.Format("15:04") + " "
}

// said is a text to print: head, then the text, hanging under its own beginning.
type said struct{ head, text string }

// plain is something that a command answers.
func plain(format string, args ...any) said { return said{"  ", fmt.Sprintf(format, args...)} }

// event tells what happened; false when there is nothing to tell.
func (v says) event(e client.Event) (said, bool) {
	switch e := e.(type) {
	case client.Message:
		at := v.now()
		if !e.Delayed.IsZero() {
			at = e.Delayed
		}
		name := v.d.name(e.From)
		if e.Broadcast {
			name += " (to everyone)"
		}
		return said{v.clock(at), name + ": " + Clean(e.Body)}, true
	case client.Bounce:
		return plain("%s", v.d.bounced(e)), true
	case client.CaughtUp:
		text := number(e.Messages, "message") + " from meanwhile fetched."
		if e.More {
			text += " There were more: those between these and now stay on the server."
		}
		return said{v.clock(v.now()), text}, e.Messages > 0 || e.More
	case client.Presence:
		switch {
		case !e.News:
		case e.Online:
			return said{v.clock(v.now()), v.d.name(e.JID) + " is online"}, true
		default:
			return said{v.clock(v.now()), v.d.name(e.JID) + " left"}, true
		}
	}
	return said{}, false
}

// result tells what a command brought.
func (v says) result(r result) []said {
	switch r.Verb {
	case "broadcast":
		return []said{plain("to everyone: %s", v.reached(r.note))}
	case "block":
		who := OneLine(r.who)
		return []said{plain("%s is blocked: no messages either way, and %s cannot see you online.", who, who),
			plain("%s is not told. Undo: unblock %s", who, who)}
	case "unblock":
		who := OneLine(r.who)
		return []said{plain("%s is unblocked. What %s wrote meanwhile was not kept.", who, who)}
	case "whoelse":
		return v.people(r.people, "online")
	case "whoelsesince":
		since := "in that time"
		if d, err := words.Since(r.Text); err == nil {
			since = "here since " + strings.TrimSpace(v.clock(v.now().Add(-d)))
		}
		return v.people(r.people, since)
	}
	return nil
}

// people is a list with its number above it.
func (v says) people(list []client.Person, where string) []said {
	head := fmt.Sprintf("%d others %s", len(list), where)
	switch len(list) {
	case 0:
		head = "nobody else " + where
	case 1:
		head = "1 other " + where
	}
	out := []said{plain("%s", head)}
	w := width{}
	longest := 8
	for _, p := range list {
		longest = max(longest, min(w.of(v.d.name(p.JID)), 20))
	}
	for _, p := range list {
		out = append(out, plain("%s %s", w.pad(v.d.name(p.JID), longest), v.state(p, where == "online")))
	}
	return out
}

// state is how somebody in a list stands: since when, if that is asked and the server says it.
func (v says) state(p client.Person, since bool) string {
	state := OneLine(p.State)
	if p.State == "away" {
		state = "online, away"
	}
	left, err := stanza.ParseDateTime(p.Last)
	if err == nil && p.State == "offline" {
		return "left " + strings.TrimSpace(v.clock(left))
	}
	if came, err := stanza.ParseDateTime(p.Since); err == nil && since {
		return "since " + strings.TrimSpace(v.clock(came)) + strings.TrimPrefix(state, "online")
	}
	return state
}

// delivered is how a Parley server says how far a broadcast went (docs/protocol.md), with what follows.
var delivered = regexp.MustCompile(`^Delivered to (\d+ (?:person|people))\.\s*(.*)$`)

// reached says how far a broadcast went.
func (v says) reached(note string) string {
	note = OneLine(note)
	m := delivered.FindStringSubmatch(note)
	if m == nil {
		return note
	}
	text := m[1] + " (delivered " + strings.TrimSpace(v.clock(v.now())) + ")"
	if m[2] != "" {
		text += ". " + m[2]
	}
	return text
}

// ended tells why the session is over, what was kept of what was being typed, and what can be done.
func (v says) ended(e *client.End, draft string) []said {
	f := explainEnd(e)
	text := capital(f.What)
	switch {
	case e.Reason == client.Inactive:
		text += " (" + strings.TrimPrefix(f.Why, "a ") + ")"
	case f.Why != "":
		text += ": " + strings.TrimSuffix(f.Why, ".")
	}
	return []said{{v.clock(v.now()), text + ".\n" + draft + "Messages for you are kept on the server.\n" + comeBack}}
}

// comeBack is what a person can do without a session.
const comeBack = "Enter = sign in again, q = quit"
