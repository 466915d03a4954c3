package tui

import (
	"fmt"
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
		return []said{plain("to everyone: %s", r.note)}
	case "block":
		return []said{plain("%s is blocked: no messages either way, and %s cannot see you online.", r.who, r.who),
			plain("%s is not told. Undo: unblock %s", r.who, r.who)}
	case "unblock":
		return []said{plain("%s is unblocked. What %s wrote meanwhile was not kept.", r.who, r.who)}
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
		state := OneLine(p.State)
		if t, err := stanza.ParseDateTime(p.Last); err == nil && p.State == "offline" {
			state = "left " + strings.TrimSpace(v.clock(t))
		}
		out = append(out, plain("%s %s", w.pad(v.d.name(p.JID), longest), state))
	}
	return out
}

// ended tells why the session is over and what can be done.
func (v says) ended(e *client.End) []said {
	head := v.clock(v.now())
	f := explainEnd(e)
	text := strings.ToUpper(f.What[:1]) + f.What[1:]
	switch {
	case e.Reason == client.Inactive:
		text += " (" + f.Why + ")."
	case f.Why != "":
		text += ": " + f.Why
	default:
		text += "."
	}
	return []said{{head, text + "\nMessages for you are kept on the server."}}
}
