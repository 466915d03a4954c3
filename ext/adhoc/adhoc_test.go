package adhoc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"parley/ext/adhoc"
	"parley/ext/exttest"
	"parley/im"
	"parley/store/memory"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
	"parley/xmpp/xml"
)

// commands: "ask" wants a form with a word, "now" wants nothing, "fail" says the error that the form names.
func commands() im.Extension {
	ask := func(*im.Session) *xml.Element {
		return form.New(form.Ask, "urn:test", "Word?", form.Field{Var: "word", Required: true}).Element()
	}
	return im.Extension{Name: "commands", Commands: []im.Command{
		{Node: "ask", Name: "Ask", Form: ask, Run: func(_ context.Context, s *im.Session, x *xml.Element) (im.CommandResult, error) {
			f, err := form.Parse(x)
			if err != nil {
				return im.CommandResult{}, err
			}
			if f.Value("word") == "" {
				return im.CommandResult{}, stanza.Bad(stanza.BadRequest, "No word.")
			}
			return im.CommandResult{Note: f.Value("word") + " from " + s.JID().String(), NoteType: "warn"}, nil
		}},
		{Node: "now", Name: "Now", Run: func(_ context.Context, _ *im.Session, x *xml.Element) (im.CommandResult, error) {
			return im.CommandResult{Note: fmt.Sprint("form: ", x != nil), Form: form.New(form.Result, "", "R").Element()}, nil
		}},
		{Node: "fail", Name: "Fail", Form: ask, Run: func(_ context.Context, _ *im.Session, x *xml.Element) (im.CommandResult, error) {
			f, _ := form.Parse(x)
			switch f.Value("word") {
			case "wait":
				return im.CommandResult{}, stanza.Bad(stanza.ResourceConstraint, "Later.")
			case "never":
				return im.CommandResult{}, stanza.Bad(stanza.Forbidden, "Never.")
			}
			return im.CommandResult{}, errors.New("the disk is on fire")
		}},
	}}
}

func hall(t *testing.T) *exttest.Hall {
	t.Helper()
	h := exttest.New(t, memory.New(), "alice", "bob")
	if err := h.Use(adhoc.New(h.Server), commands()); err != nil {
		t.Fatal(err)
	}
	return h
}

// command is the payload; word is "" for no form.
func command(node, action, id, word string) string {
	attrs := " node='" + node + "'"
	if action != "" {
		attrs += " action='" + action + "'"
	}
	if id != "" {
		attrs += " sessionid='" + id + "'"
	}
	x := ""
	if word != "" {
		x = "<x xmlns='jabber:x:data' type='submit'><field var='word'><value>" + word + "</value></field></x>"
	}
	return "<command xmlns='http://jabber.org/protocol/commands'" + attrs + ">" + x + "</command>"
}

func run(c *exttest.Client, node, action, id, word string) *xml.Element {
	a := c.Ask("set", "here", command(node, action, id, word))
	if a.Type != stanza.Result {
		return nil
	}
	return a.Child(adhoc.NS, "command")
}

func TestOneStep(t *testing.T) {
	alice := hall(t).Join("alice", "tui")
	for _, action := range []string{"", "execute", "complete"} {
		el := run(alice, "ask", action, "", "hi")
		if el == nil || el.Attr("status") != "completed" || el.Attr("node") != "ask" || el.Attr("sessionid") == "" {
			t.Fatalf("%q: %v", action, el)
		}
		if want := `<note type='warn'>hi from alice@here/tui</note>`; el.Raw() != want {
			t.Errorf("%q: %s", action, el)
		}
		el = run(alice, "now", action, "", "")
		want := `<note type='info'>form: false</note><x xmlns='jabber:x:data' type='result'><title>R</title></x>`
		if el == nil || el.Attr("status") != "completed" || el.Raw() != want {
			t.Errorf("%q: %v", action, el)
		}
	}
	if el := run(alice, "now", "execute", "", "unasked"); el == nil || el.Child(adhoc.NS, "note").Text() != "form: true" {
		t.Errorf("unasked form: %v", el)
	}
}

func TestTwoSteps(t *testing.T) {
	alice := hall(t).Join("alice", "tui")
	for _, action := range []string{"complete", "next", "execute", ""} {
		el := run(alice, "ask", "execute", "", "")
		want := `<actions execute='complete'><complete/></actions><x xmlns='jabber:x:data' type='form'><title>Word?</title>` +
			`<field var='FORM_TYPE' type='hidden'><value>urn:test</value></field><field var='word'><required/></field></x>`
		if el == nil || el.Attr("status") != "executing" || el.Raw() != want {
			t.Fatalf("first step: %v", el)
		}
		id := el.Attr("sessionid")
		el = run(alice, "ask", action, id, "hi")
		if el == nil || el.Attr("status") != "completed" || el.Attr("sessionid") != id {
			t.Fatalf("%q: %v", action, el)
		}
		if again := run(alice, "ask", action, id, "hi"); again != nil {
			t.Errorf("a finished dialogue went on: %v", again)
		}
	}
}

func TestTryAgain(t *testing.T) {
	alice := hall(t).Join("alice", "tui")
	id := run(alice, "ask", "", "", "").Attr("sessionid")
	for _, payload := range []string{
		command("ask", "complete", id, ""), // the form is missing
		command("ask", "prev", id, ""),
		command("ask", "complete", id, " "),
	} {
		payload = strings.Replace(payload, "<value> </value>", "", 1) // a form without the word
		a := alice.Ask("set", "here", payload)
		if e := stanza.ErrorOf(a); e.Condition != stanza.BadRequest || e.Class != stanza.ClassModify || e.App == nil {
			t.Errorf("%s: %s", payload, a)
		}
	}
	if el := run(alice, "ask", "complete", id, "hi"); el == nil {
		t.Error("a mistake ended the dialogue")
	}
	for word, alive := range map[string]bool{"wait": true, "never": false, "broken": false} {
		id := run(alice, "fail", "", "", "").Attr("sessionid")
		first := stanza.ErrorOf(alice.Ask("set", "here", command("fail", "complete", id, word)))
		second := stanza.ErrorOf(alice.Ask("set", "here", command("fail", "complete", id, word)))
		if (first.Condition == second.Condition) != alive {
			t.Errorf("%s: %v, then %v", word, first, second)
		}
		if word == "broken" && (first.Condition != stanza.InternalServerError || strings.Contains(first.Text, "fire")) {
			t.Errorf("internal error: %v", first)
		}
	}
}

func TestCancel(t *testing.T) {
	alice := hall(t).Join("alice", "tui")
	id := run(alice, "ask", "", "", "").Attr("sessionid")
	payload := strings.Replace(command("ask", "cancel", id, "x"), "type='submit'", "type='cancel'", 1)
	a := alice.Ask("set", "here", payload)
	want := `<command xmlns='http://jabber.org/protocol/commands' node='ask' sessionid='` + id + `' status='canceled'/>`
	if a.Raw() != want {
		t.Errorf("got %s", a)
	}
	if el := run(alice, "ask", "complete", id, "hi"); el != nil {
		t.Errorf("a cancelled dialogue went on: %v", el)
	}
}

func TestErrors(t *testing.T) {
	h := hall(t)
	alice := h.Join("alice", "tui")
	id := run(alice, "ask", "", "", "").Attr("sessionid")
	for _, c := range []struct {
		payload   string
		condition stanza.Condition
		app       string
	}{
		{command("nothing", "execute", "", ""), stanza.ItemNotFound, ""},
		{command("nothing", "complete", id, "x"), stanza.ItemNotFound, ""},
		{`<command xmlns='http://jabber.org/protocol/commands'/>`, stanza.BadRequest, ""},
		{command("ask", "jump", "", ""), stanza.BadRequest, "malformed-action"},
		{command("ask", "jump", id, ""), stanza.BadRequest, "malformed-action"},
		{command("ask", "cancel", "", ""), stanza.BadRequest, "bad-action"},
		{command("ask", "next", "", "x"), stanza.BadRequest, "bad-action"},
		{command("ask", "prev", "", ""), stanza.BadRequest, "bad-action"},
		{command("ask", "prev", id, ""), stanza.BadRequest, "bad-action"},
		{command("ask", "complete", "", ""), stanza.BadRequest, "bad-payload"},
		{command("ask", "complete", id, ""), stanza.BadRequest, "bad-payload"},
		{strings.Replace(command("ask", "", "", "x"), "submit", "form", 1), stanza.BadRequest, "bad-payload"},
		{strings.Replace(command("ask", "", "", "x"), "submit", "cancel", 1), stanza.BadRequest, "bad-payload"},
		{strings.Replace(command("ask", "", "", "x"), "submit", "", 1), stanza.BadRequest, "bad-payload"},
		{command("ask", "complete", "unknown", "x"), stanza.BadRequest, "bad-sessionid"},
		{command("ask", "cancel", "unknown", ""), stanza.BadRequest, "bad-sessionid"},
		{command("ask", "execute", "mine", ""), stanza.BadRequest, "bad-sessionid"},
		{command("now", "complete", id, ""), stanza.BadRequest, "bad-sessionid"},
	} {
		a := alice.Ask("set", "here", c.payload)
		e, app := stanza.ErrorOf(a), ""
		if e.App != nil {
			app = e.App.Name.Local
		}
		if a.Type != stanza.ErrorType || e.Condition != c.condition || app != c.app || e.Text == "" {
			t.Errorf("%s\ngot %s", c.payload, a)
		}
		if app != "" && e.App.Name.Space != adhoc.NS {
			t.Errorf("%s: application condition of %q", c.payload, e.App.Name.Space)
		}
	}
	if a := alice.Ask("set", "bob@here", command("now", "", "", "")); stanza.ErrorOf(a).Condition != stanza.ServiceUnavailable {
		t.Errorf("to an account: %s", a)
	}
	if a := alice.Ask("get", "here", command("now", "", "", "")); stanza.ErrorOf(a).Condition != stanza.FeatureNotImplemented {
		t.Errorf("get: %s", a)
	}
}

// TestForeign: nobody can go on with another's dialogue, not even another client of the same account.
func TestForeign(t *testing.T) {
	h := hall(t)
	alice, phone, bob := h.Join("alice", "tui"), h.Join("alice", "phone"), h.Join("bob", "tui")
	id := run(alice, "ask", "", "", "").Attr("sessionid")
	for _, c := range []*exttest.Client{phone, bob} {
		for _, action := range []string{"complete", "cancel"} {
			e := stanza.ErrorOf(c.Ask("set", "here", command("ask", action, id, "x")))
			if e.App == nil || e.App.Name.Local != "bad-sessionid" {
				t.Errorf("%s, %s: %v", c.JID(), action, e)
			}
		}
	}
	if run(alice, "ask", "complete", id, "x") == nil {
		t.Error("somebody else ended the dialogue")
	}
	id = run(alice, "ask", "", "", "").Attr("sessionid")
	alice.Leave()
	alice = h.Join("alice", "tui")
	if run(alice, "ask", "complete", id, "x") != nil {
		t.Error("a dialogue outlived its session")
	}
}
