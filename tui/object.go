package tui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"parley/client"
	"parley/xmpp/stanza"
)

// object is what pipe mode prints of an event with --json. docs/client.md says what each type has; fields are added,
// never renamed.
type object struct {
	Type string `json:"type"`
	Line int    `json:"line,omitempty"` // of the input

	As        string  `json:"as,omitempty"`
	To        string  `json:"to,omitempty"`
	From      string  `json:"from,omitempty"`
	User      string  `json:"user,omitempty"`
	JID       string  `json:"jid,omitempty"` // of From or User
	ID        string  `json:"id,omitempty"`
	Event     string  `json:"event,omitempty"`
	Text      *string `json:"text,omitempty"` // even when it is empty
	Broadcast bool    `json:"broadcast,omitempty"`
	Delayed   bool    `json:"delayed,omitempty"`
	Note      string  `json:"note,omitempty"`

	Users    []listed   `json:"users,omitzero"` // even when there are none
	Commands []function `json:"commands,omitempty"`

	Code   string   `json:"code,omitempty"`
	What   string   `json:"what,omitempty"`
	Why    string   `json:"why,omitempty"`
	Fix    []string `json:"fix,omitempty"`
	Try    int      `json:"try,omitempty"`
	InS    *float64 `json:"in_s,omitempty"`
	Reason string   `json:"reason,omitempty"`
	AfterS float64  `json:"after_s,omitempty"`

	Read     bool `json:"read,omitempty"`
	Resumed  bool `json:"resumed,omitempty"`
	Messages int  `json:"messages,omitempty"`
	More     bool `json:"more,omitempty"`

	Time string `json:"time,omitempty"`
}

// listed is somebody in whoelse or whoelsesince.
type listed struct {
	Name  string `json:"name"`
	JID   string `json:"jid"`
	State string `json:"state"`
	Since string `json:"since,omitempty"`
	Last  string `json:"last,omitempty"`
}

// function is one line of help.
type function struct {
	Name  string `json:"name"`
	Usage string `json:"usage,omitempty"`
	About string `json:"about"`
}

// stamp is a time as objects have it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// seconds is a length of time as objects have it, to the tenth.
func seconds(d time.Duration) float64 {
	return float64(d.Round(100*time.Millisecond)) / float64(time.Second)
}

// encode makes the line of an object. Every character that commands a terminal or disguises the text around it is
// escaped, so that the line can be shown as it is and the text can still be told exactly.
func (o object) encode() string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(o) // strings and numbers cannot fail
	return escapeHidden(strings.TrimSuffix(b.String(), "\n"))
}

// escapeHidden escapes what Clean would replace. It is for JSON, in which such characters stand in strings only.
func escapeHidden(s string) string {
	if harmless(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case !hidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// users are the people of a list.
func (d desk) users(people []client.Person) []listed {
	list := []listed{}
	for _, p := range people {
		u := listed{Name: d.called(p.JID), JID: p.JID.Bare().String(), State: p.State}
		if t, err := stanza.ParseDateTime(p.Since); err == nil {
			u.Since = stamp(t)
		}
		if t, err := stanza.ParseDateTime(p.Last); err == nil {
			u.Last = stamp(t)
		}
		list = append(list, u)
	}
	return list
}
