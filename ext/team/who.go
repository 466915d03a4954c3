package team

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"parley/im"
	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
)

// maxListed is how many people a list shows.
const maxListed = 200

// The states of people.
const (
	online  = "online"
	away    = "away" // all that are there say so
	offline = "offline"
)

// person is one line of a list.
type person struct {
	jid   jid.JID
	state string
	last  time.Time // when offline: when they were last here
	since time.Time // when they came, unless they are offline; zero when they have just gone
	mine  bool      // the caller has blocked them
}

// whoelse is who else is available now, by name. Who has blocked the caller is not among them; whom the caller has
// blocked is, or he could not find them to unblock.
func (t *Team) whoelse(s *im.Session) []person {
	var people []person
	for _, a := range t.srv.Online() {
		if state := stateOf(a); state != offline && visible(a, s) {
			p := person{jid: a.JID(), state: state, mine: s.Account().Blocks(a.JID())}
			p.since, _ = t.history.came(a.Owner())
			people = append(people, p)
		}
	}
	return sorted(people)
}

// whoelsesince is who else was available at any moment of the last d, by name. Whether somebody is hidden is decided
// by the block lists of now, so a block hides the past, too, and taking it back shows it again.
func (t *Team) whoelsesince(ctx context.Context, s *im.Session, d time.Duration) ([]person, error) {
	now := time.Now()
	var people []person
	var gone []store.Owner
	for _, v := range t.history.since(now.Add(-d)) {
		a, err := t.srv.Account(ctx, v.name)
		if err != nil {
			return nil, err
		}
		if a == nil || a.Owner() != v.owner { // removed; another one may have the name now
			gone = append(gone, v.owner)
			continue
		}
		if !visible(a, s) {
			continue
		}
		p := person{jid: a.JID(), state: stateOf(a), last: v.last, mine: s.Account().Blocks(a.JID())}
		switch {
		case p.state == offline && v.online:
			p.last = now // he has just gone
		case p.state != offline && v.online:
			p.since = v.last
		}
		people = append(people, p)
	}
	t.drop(ctx, gone)
	return sorted(people), nil
}

// visible tells whether s may see a in a list.
func visible(a *im.Account, s *im.Session) bool { return a != s.Account() && !a.Blocks(s.JID()) }

func sorted(people []person) []person {
	slices.SortFunc(people, func(a, b person) int { return a.jid.Compare(b.jid) })
	return people
}

// stateOf is away when all available sessions of an account say that their user is away, else online.
func stateOf(a *im.Account) string {
	state := offline
	for _, s := range a.Sessions() {
		p := s.Presence()
		if p == nil {
			continue
		}
		show := ""
		if el := p.Child(stanza.NSClient, "show"); el != nil {
			show = strings.TrimSpace(el.Text())
		}
		if show != "away" && show != "xa" {
			return online
		}
		state = away
	}
	return state
}

// count says in words how many people there are: "2 people online".
func count(people []person, where string) string {
	n := len(people)
	switch {
	case n == 0 && where == online:
		return "Nobody else is online."
	case n == 0:
		return "Nobody else " + where
	case n > maxListed:
		return fmt.Sprintf("%s %s, the first %d are listed", number(n, "person"), where, maxListed)
	}
	return number(n, "person") + " " + where
}

// outcome is what a command shows: how many there are, and a form with their list, and its beginning in words, because
// there are clients that show no lists.
func outcome(title, where string, people []person) im.CommandResult {
	note := count(people, where)
	f := form.New(form.Result, "", title)
	f.Instructions = summary(note, people)
	f.Reported = []form.Field{
		{Var: "jid", Type: form.JIDSingle, Label: "Address"},
		{Var: "state", Type: form.TextSingle, Label: "State"},
		{Var: "last", Type: form.TextSingle, Label: "Last seen"},
		{Var: "since", Type: form.TextSingle, Label: "Online since"},
	}
	for _, p := range people[:min(len(people), maxListed)] {
		seen := "now"
		if p.state == offline {
			seen = stanza.DateTime(p.last)
		}
		came := form.Field{Var: "since", Values: []string{""}} // XEP-0004 §3.4: every item has every reported field
		if !p.since.IsZero() {
			came.Values[0] = stanza.DateTime(p.since)
		}
		f.Items = append(f.Items, []form.Field{
			{Var: "jid", Values: []string{p.jid.String()}},
			{Var: "state", Values: []string{p.state}},
			{Var: "last", Values: []string{seen}},
			came,
		})
	}
	return im.CommandResult{Note: note, Form: f.Element()}
}

// maxSummed is how many people a summary names.
const maxSummed = 20

// summary is the beginning of the list in one line.
func summary(heading string, people []person) string {
	var names []string
	for _, p := range people[:min(len(people), maxSummed)] {
		name := p.jid.Local()
		if p.state != online {
			name += " (" + p.state + ")"
		}
		names = append(names, name)
	}
	switch {
	case len(names) == 0:
		return heading
	case len(people) > maxSummed:
		names = append(names, "…")
	}
	return heading + ": " + strings.Join(names, ", ")
}

// lines is the list as chat: one name first on each line.
func lines(heading string, people []person) string {
	var b strings.Builder
	b.WriteString(heading)
	if len(people) > 0 {
		b.WriteByte(':')
	}
	for _, p := range people[:min(len(people), maxListed)] {
		b.WriteString("\n" + p.jid.Local())
		switch p.state {
		case away:
			b.WriteString(" (away)")
		case offline:
			b.WriteString(" (last here " + p.last.UTC().Format("2006-01-02 15:04:05") + " UTC)")
		}
		if p.mine {
			b.WriteString(" (blocked by you)")
		}
	}
	return b.String()
}
