package team_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/ext/adhoc"
	"parley/ext/team"
	"parley/store/memory"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"

	"parley/ext/exttest"
)

func want(t *testing.T, when string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\ngot  %q\nwant %q", when, got, want)
	}
}

func TestWhoelse(t *testing.T) {
	h := hall(t, options(), "alice", "bob", "carol", "dave", "erin")
	alice := h.Join("alice", "tui")
	h.Join("alice", "phone")
	h.Bind("dave", "tui") // signed in, but not available
	want(t, "alone", people(t, alice, ""), "Nobody else is online.")
	carol := h.Join("carol", "tui")
	want(t, "one", people(t, alice, ""), "1 person online", "carol online now")
	bob := h.Join("bob", "tui")
	want(t, "two", people(t, alice, ""), "2 people online", "bob online now", "carol online now")

	carol.Send("<presence><show>away</show></presence>")
	want(t, "away", people(t, alice, "")[1:], "bob online now", "carol away now")
	phone := h.Join("carol", "phone")
	want(t, "away and here", people(t, alice, "")[1:], "bob online now", "carol online now")
	phone.Send("<presence><show> xa </show></presence>")
	want(t, "away twice", people(t, alice, "")[1:], "bob online now", "carol away now")
	phone.Send("<presence><show>dnd</show></presence>")
	want(t, "busy is here", people(t, alice, "")[1:], "bob online now", "carol online now")

	bob.Send("<presence type='unavailable'/>")
	want(t, "unavailable", people(t, alice, "")[1:], "carol online now")
	carol.Leave()
	want(t, "one of two left", people(t, alice, "")[1:], "carol online now")
	phone.Leave()
	want(t, "nobody", people(t, alice, ""), "Nobody else is online.")
}

// TestWhoelseBlocked: blockers are hidden from those they block, not the other way round.
func TestWhoelseBlocked(t *testing.T) {
	h := hall(t, options(), "alice", "bob", "carol")
	alice, bob, _ := h.Join("alice", "tui"), h.Join("bob", "tui"), h.Join("carol", "tui")
	block(bob, true, "alice")
	want(t, "alice, blocked by bob", people(t, alice, ""), "1 person online", "carol online now")
	want(t, "… before", people(t, alice, "1h"), "1 person in the last hour", "carol online now")
	want(t, "bob, who blocks alice", people(t, bob, ""), "2 people online", "alice online now", "carol online now")
	want(t, "… before", people(t, bob, "1h")[1:], "alice online now", "carol online now")
	bob.Leave()
	want(t, "what is past", people(t, alice, "1h")[1:], "carol online now")
	bob = h.Join("bob", "tui")
	block(bob, false, "alice")
	want(t, "unblocked", people(t, alice, "")[1:], "bob online now", "carol online now")
	bob.Leave()
	got := people(t, alice, "1h")
	if len(got) != 3 || !strings.HasPrefix(got[1], "bob offline 2") {
		t.Errorf("the past of bob, unblocked: %q", got)
	}
}

func TestWhoelsesince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hall(t, options(), "alice", "bob", "carol", "dave")
		alice, bob, carol := h.Join("alice", "tui"), h.Join("bob", "tui"), h.Join("carol", "tui")
		h.Join("dave", "tui").Leave()
		left := stanza.DateTime(time.Now())
		bob.Send("<presence><show>away</show></presence>")
		time.Sleep(10 * time.Minute)
		want(t, "60", people(t, alice, "60"), "2 people in the last minute", "bob away now", "carol online now")
		want(t, "15m", people(t, alice, "15m"), "3 people in the last 15 minutes",
			"bob away now", "carol online now", "dave offline "+left)
		want(t, "599", people(t, alice, "599")[1:], "bob away now", "carol online now")
		want(t, "600", people(t, alice, "600")[1:], "bob away now", "carol online now", "dave offline "+left)
		carol.Leave()
		bob.Send("<presence type='unavailable'/>")
		time.Sleep(time.Minute + time.Second)
		want(t, "nobody", people(t, alice, "1m"), "Nobody else in the last minute")
		h.Bind("bob", "phone") // not available, so not here
		want(t, "nobody", people(t, alice, "1m"), "Nobody else in the last minute")
	})
}

func TestWhoelsesinceErrors(t *testing.T) {
	h := hall(t, options(), "alice")
	alice := h.Join("alice", "tui")
	for since, want := range map[string]string{
		"": "needs a time", "soon": "needs a time", "-1": "needs a time", "0": "too short", "9999999999999999999999": "too long", "4000d": "too long",
	} {
		_, err := run(alice, team.NodeWhoelsesince, "since", since)
		if err == nil || err.Condition != stanza.BadRequest || !strings.Contains(err.Text, want) {
			t.Errorf("%q: %v", since, err)
		}
	}
	if _, err := run(alice, team.NodeWhoelsesince, "when", "5m"); err == nil {
		t.Error("no field 'since'")
	}
}

// TestOnlineSince: when the first session of an account came, for as long as there is one.
func TestOnlineSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hall(t, options(), "alice", "bob")
		alice := h.Join("alice", "tui")
		ask := func(node, fields string) string {
			a := alice.Ask("set", "here", "<command xmlns='"+adhoc.NS+"' node='"+node+"'>"+fields+"</command>")
			f, err := form.Parse(a.Child(adhoc.NS, "command").Child(stanza.NSForms, "x"))
			if err != nil || len(f.Items) != 1 {
				t.Fatalf("%v: %s", err, a)
			}
			for _, cell := range f.Items[0] {
				if cell.Var == "since" {
					return cell.Values[0]
				}
			}
			return "no field"
		}
		check := func(when, here, hour string) {
			t.Helper()
			if here != "" {
				if got := ask(team.NodeWhoelse, ""); got != here {
					t.Errorf("%s: whoelse says since %q, want %q", when, got, here)
				}
			}
			since := form.New(form.Submit, "", "", form.Field{Var: "since", Values: []string{"1h"}}).Element().String()
			if got := ask(team.NodeWhoelsesince, since); got != hour {
				t.Errorf("%s: whoelsesince says since %q, want %q", when, got, hour)
			}
		}
		came := stanza.DateTime(time.Now())
		desk := h.Join("bob", "desk")
		time.Sleep(time.Minute)
		phone := h.Join("bob", "phone")
		check("two sessions", came, came)
		desk.Leave()
		phone.Send("<presence><show>away</show></presence>")
		check("the younger one", came, came)
		phone.Leave()
		check("gone", "", "")
		time.Sleep(time.Minute)
		again := stanza.DateTime(time.Now())
		h.Join("bob", "phone")
		check("back", again, again)
	})
}

// TestFormsExactly holds the forms of the lists against the protocol page.
func TestFormsExactly(t *testing.T) { synctest.Test(t, formsExactly) }

func formsExactly(t *testing.T) {
	now := stanza.DateTime(time.Now())
	h := hall(t, options(), "alice", "bob")
	alice, _ := h.Join("alice", "tui"), h.Join("bob", "tui")
	reported := "<reported><field var='jid' type='jid-single' label='Address'/><field var='state' type='text-single' label='State'/>" +
		"<field var='last' type='text-single' label='Last seen'/><field var='since' type='text-single' label='Online since'/></reported>" +
		"<item><field var='jid'><value>bob@here</value></field><field var='state'><value>online</value></field>" +
		"<field var='last'><value>now</value></field><field var='since'><value>" + now + "</value></field></item></x>"
	got, err := run(alice, team.NodeWhoelse, "", "")
	if w := note("info", "1 person online") + "<x xmlns='jabber:x:data' type='result'><title>Who else is online</title><instructions>1 person online: bob</instructions>" + reported; err != nil || got != w {
		t.Errorf("whoelse: %v\ngot  %s\nwant %s", err, got, w)
	}
	got, err = run(alice, team.NodeWhoelsesince, "since", "15m")
	if w := note("info", "1 person in the last 15 minutes") + "<x xmlns='jabber:x:data' type='result'><title>Who was here in the last 15 minutes</title><instructions>1 person in the last 15 minutes: bob</instructions>" + reported; err != nil || got != w {
		t.Errorf("whoelsesince: %v\ngot  %s\nwant %s", err, got, w)
	}
	a := alice.Ask("set", "here", "<command xmlns='"+adhoc.NS+"' node='"+team.NodeWhoelsesince+"' action='execute'/>")
	x := a.Child(adhoc.NS, "command").Child(stanza.NSForms, "x")
	if w := "<x xmlns='jabber:x:data' type='form'><title>Who was here recently</title>" +
		"<field var='FORM_TYPE' type='hidden'><value>urn:parley:0</value></field>" +
		"<field var='since' type='text-single' label='Time: seconds, or 15m, 2h, 3d'><value>15m</value><required/></field></x>"; x.String() != w {
		t.Errorf("form of whoelsesince:\ngot  %s\nwant %s", x, w)
	}
}

func TestFirst200(t *testing.T) {
	names := []string{"alice"}
	for n := range 250 {
		names = append(names, fmt.Sprintf("user%03d", n))
	}
	h := hall(t, options(), names...)
	alice := h.Bind("alice", "tui")
	for _, n := range slices.Backward(names[1:]) {
		h.Bind(n, "x").Send("<presence/>")
	}
	for since, where := range map[string]string{"": "online", "1h": "in the last hour"} {
		got := people(t, alice, since)
		if len(got) != 201 || got[0] != "250 people "+where+", the first 200 are listed" ||
			got[1] != "user000 online now" || got[200] != "user199 online now" {
			t.Errorf("%q: %d lines, %q … %q", since, len(got), got[:2], got[len(got)-1])
		}
	}
}

// TestRemoved: whoever has the name of a removed account inherits nothing.
func TestRemoved(t *testing.T) {
	p := exttest.Everybody("alice", "bob")
	h, _ := start(t, memory.New(), p, options())
	alice := h.Join("alice", "tui")
	h.Join("bob", "tui").Leave()
	bob, _ := p.Owner("bob")
	p.Remove("bob")
	h.Removed(t.Context(), "bob", bob)
	want(t, "removed", people(t, alice, "1h"), "Nobody else in the last hour")
	p.Add("bob")
	want(t, "another bob", people(t, alice, "1h"), "Nobody else in the last hour")
	h.Join("bob", "tui")
	want(t, "another bob is here", people(t, alice, "1h"), "1 person in the last hour", "bob online now")
}
