// Package adhoc is the engine of ad-hoc commands (XEP-0050) on the server's own address. The commands themselves come
// from im.Extension.Commands of all extensions; ext/disco lists them.
//
//	execute, form submitted                 →  completed             one step, also with action complete
//	execute                                 →  completed             a command that asks for nothing
//	execute                                 →  executing, form       two steps …
//	complete (next, execute) with the form  →  completed             … or an error, after which it can be tried again
//	cancel                                  →  canceled
//
// A dialogue between the two steps belongs to one session and ends with it, by itself after ten minutes, or when the
// session begins many others.
package adhoc

import (
	"context"
	"crypto/rand"
	"errors"

	"parley/im"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
	"parley/xmpp/xml"
)

// NS is the namespace of commands.
const NS = "http://jabber.org/protocol/commands"

// New is the extension.
func New(srv *im.Server) im.Extension {
	e := &engine{srv: srv}
	e.dialogues.init()
	return im.Extension{
		Name:     "adhoc",
		Specs:    []string{"XEP-0050 1.3.0", "XEP-0004 2.13.1"},
		Features: []string{NS},
		// A command decides itself what it does in a journey.
		Answers: []im.Answer{{At: im.AtServer, Name: xml.Name{Space: NS, Local: "command"}, Set: e.set, Outside: true}},
		Closed:  e.dialogues.drop,
	}
}

type engine struct {
	srv       *im.Server
	dialogues dialogues
}

// request is a command as its client wants it.
type request struct {
	node, action, id string
	form             *xml.Element // submitted; nil when there is none
}

func (e *engine) set(ctx context.Context, q *im.Query) (*xml.Element, error) {
	if q.Session == nil {
		return nil, stanza.Bad(stanza.Forbidden, "Commands are for users of this server.")
	}
	r, err := read(q.Payload)
	if err != nil {
		return nil, err
	}
	c, ok := e.command(r.node)
	if !ok {
		return nil, stanza.Bad(stanza.ItemNotFound, "There is no such command.")
	}
	if c.Allowed != nil && !c.Allowed(q.Session) {
		return nil, stanza.Bad(stanza.Forbidden, "This command is for administrators of this server.")
	}
	if r.id != "" {
		return e.goOn(ctx, q.Session, c, r)
	}
	switch {
	case r.action == "execute" && r.form == nil && c.Form != nil:
		return e.begin(q.Session, c)
	case r.action == "execute", r.action == "complete":
		return run(ctx, q.Session, c, rand.Text(), r.form)
	}
	return nil, bad("bad-action", "Nothing has been begun that this could follow.")
}

func read(el *xml.Element) (request, error) {
	r := request{node: el.Attr("node"), action: el.Attr("action"), id: el.Attr("sessionid")}
	switch r.action {
	case "":
		r.action = "execute"
	case "execute", "complete", "next", "prev", "cancel":
	default:
		return r, bad("malformed-action", "That action does not exist.")
	}
	if r.node == "" {
		return r, stanza.Bad(stanza.BadRequest, "A command needs a node.")
	}
	x := el.Child(stanza.NSForms, "x")
	if x == nil || r.action == "cancel" {
		return r, nil
	}
	f, err := form.Parse(x)
	switch {
	case err != nil:
		return r, bad("bad-payload", "That is no form.")
	case f.Type != form.Submit:
		return r, bad("bad-payload", "The form is not filled in.")
	}
	r.form = x
	return r, nil
}

func (e *engine) command(node string) (im.Command, bool) {
	for _, x := range e.srv.Extensions() {
		for _, c := range x.Commands {
			if c.Node == node {
				return c, true
			}
		}
	}
	return im.Command{}, false
}

// begin asks for the form.
func (e *engine) begin(s *im.Session, c im.Command) (*xml.Element, error) {
	id, ok := e.dialogues.open(s, c.Node)
	if !ok {
		return nil, stanza.Bad(stanza.ResourceConstraint, "Too many commands are being filled in on this server. Try again in a few minutes.")
	}
	actions := xml.New(NS, "actions", xml.A("execute", "complete")).With(xml.New(NS, "complete"))
	return answer(c.Node, id, "executing").With(actions, c.Form(s)), nil
}

// goOn is what comes after begin.
func (e *engine) goOn(ctx context.Context, s *im.Session, c im.Command, r request) (*xml.Element, error) {
	if !e.dialogues.has(s, r.id, r.node) {
		return nil, bad("bad-sessionid", "This command was not begun here, or too long ago. Start again.")
	}
	switch {
	case r.action == "cancel":
		e.dialogues.close(s, r.id)
		return answer(c.Node, r.id, "canceled"), nil
	case r.action == "prev":
		return nil, bad("bad-action", "This is the first step.")
	case r.form == nil && c.Form != nil:
		return nil, bad("bad-payload", "The form is missing.")
	}
	el, err := run(ctx, s, c, r.id, r.form)
	var refused *stanza.Error
	if err == nil || !errors.As(err, &refused) || refused.Class != stanza.ClassModify && refused.Class != stanza.ClassWait {
		e.dialogues.close(s, r.id)
	}
	return el, err
}

// run executes the command.
func run(ctx context.Context, s *im.Session, c im.Command, id string, submitted *xml.Element) (*xml.Element, error) {
	if submitted == nil && c.Form != nil {
		return nil, bad("bad-payload", "The form is missing.")
	}
	res, err := c.Run(ctx, s, submitted)
	if err != nil {
		var refused *stanza.Error
		if errors.As(err, &refused) && refused.Condition == stanza.BadRequest && refused.App == nil {
			return nil, bad("bad-payload", refused.Text)
		}
		return nil, err
	}
	el := answer(c.Node, id, "completed")
	if res.Note != "" {
		typ := res.NoteType
		if typ == "" {
			typ = "info"
		}
		el = el.With(xml.New(NS, "note", xml.A("type", typ)).WithText(res.Note))
	}
	if res.Form != nil {
		el = el.With(res.Form)
	}
	return el, nil
}

func answer(node, id, status string) *xml.Element {
	return xml.New(NS, "command", xml.A("node", node), xml.A("sessionid", id), xml.A("status", status))
}

// bad is one of the errors of XEP-0050 §4.4.
func bad(condition, text string) error {
	e := stanza.Bad(stanza.BadRequest, text)
	e.App = xml.New(NS, condition)
	return e
}
