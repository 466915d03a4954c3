// Package team has the functions that make a server's people one team: broadcast, whoelse and whoelsesince, for every
// client. They come in two forms over the same code:
//
//	ad-hoc commands (XEP-0050) on the server's address    urn:parley:0#broadcast, #whoelse, #whoelsesince
//	words typed as chat to the server's address           broadcast …, whoelse, whoelsesince 15m, and also
//	                                                      message bob hi, block bob, unblock bob, help
//
// whoelsesince knows when everybody was last here, across restarts and crashes; see history. Last activity (XEP-0012)
// asks the same memory.
package team

import (
	"context"
	"log/slog"
	"time"

	"parley/im"
	"parley/xmpp/stanza"
	"parley/xmpp/stanza/form"
	"parley/xmpp/xml"
)

// Nodes of the commands.
const (
	NodeBroadcast    = stanza.NSParley + "#broadcast"
	NodeWhoelse      = stanza.NSParley + "#whoelse"
	NodeWhoelsesince = stanza.NSParley + "#whoelsesince"
)

// Options are the settings. A function that is not on is neither listed nor done.
type Options struct {
	Accounts func() []string // localparts of all accounts: what a mistyped name may have meant; may be nil

	Broadcast bool
	Burst     int                         // broadcasts that an account may send at once; at least 1
	Every     time.Duration               // then one more each time so long has passed; 0: no limit at all
	Exempt    func(localpart string) bool // who may broadcast as often as he likes; may be nil

	Whoelse      bool
	Whoelsesince bool

	Logger *slog.Logger // nil discards
}

// Team is the extension with its memory.
type Team struct {
	// fixed
	srv   *im.Server
	opts  Options
	log   *slog.Logger
	began time.Time

	budget  budget
	history history
}

// New reads from the store when everybody was last here. [Team.Run] must be running while the server serves.
func New(ctx context.Context, srv *im.Server, o Options) (*Team, error) {
	t := &Team{srv: srv, opts: o, log: o.Logger, began: time.Now()}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	t.SetBudget(o.Burst, o.Every)
	if err := t.history.load(ctx, srv.Store().KV, t.log); err != nil {
		return nil, err
	}
	return t, nil
}

// SetBudget changes how often accounts may broadcast; see Options.
func (t *Team) SetBudget(burst int, every time.Duration) { t.budget.set(burst, every) }

// Extension is what the hall uses.
func (t *Team) Extension() im.Extension {
	return im.Extension{
		Name:     "team",
		Specs:    []string{"XEP-0012 2.0"},
		Features: []string{NSLast},
		Account:  []string{NSLast},
		Answers:  t.answers(),
		Commands: t.commands(),
		Contact:  t.contact,
		Changed:  t.changed,
	}
}

func (t *Team) commands() []im.Command {
	var list []im.Command
	if t.opts.Whoelse {
		list = append(list, im.Command{Node: NodeWhoelse, Name: "Who else is online", Run: t.runWhoelse})
	}
	if t.opts.Whoelsesince {
		list = append(list, im.Command{Node: NodeWhoelsesince, Name: "Who was here recently", Form: askSince, Run: t.runWhoelsesince})
	}
	if t.opts.Broadcast {
		list = append(list, im.Command{Node: NodeBroadcast, Name: "Message everyone online", Form: askBroadcast, Run: t.runBroadcast})
	}
	return list
}

func askBroadcast(*im.Session) *xml.Element {
	return form.New(form.Ask, stanza.NSParley, "Message everyone online",
		form.Field{Var: "body", Type: form.TextMulti, Label: "Message", Required: true}).Element()
}

func askSince(*im.Session) *xml.Element {
	return form.New(form.Ask, stanza.NSParley, "Who was here recently",
		form.Field{Var: "since", Type: form.TextSingle, Label: "Time: seconds, or 15m, 2h, 3d", Values: []string{"15m"}, Required: true}).Element()
}

func (t *Team) runBroadcast(ctx context.Context, s *im.Session, x *xml.Element) (im.CommandResult, error) {
	f, err := submitted(x)
	if err != nil {
		return im.CommandResult{}, err
	}
	note, some, err := t.broadcast(ctx, s, f.Text("body"))
	if err != nil {
		return im.CommandResult{}, err
	}
	res := im.CommandResult{Note: note}
	if some {
		res.NoteType = "warn"
	}
	return res, nil
}

func (t *Team) runWhoelse(_ context.Context, s *im.Session, _ *xml.Element) (im.CommandResult, error) {
	people := t.whoelse(s)
	return outcome("Who else is online", online, people), nil
}

func (t *Team) runWhoelsesince(ctx context.Context, s *im.Session, x *xml.Element) (im.CommandResult, error) {
	f, err := submitted(x)
	if err != nil {
		return im.CommandResult{}, err
	}
	d, err := parseSince(f.Value("since"))
	if err != nil {
		return im.CommandResult{}, err
	}
	people, err := t.whoelsesince(ctx, s, d)
	if err != nil {
		return im.CommandResult{}, err
	}
	return outcome("Who was here in "+last(d), "in "+last(d), people), nil
}

// submitted reads a form. What FORM_TYPE says is not looked at: some clients leave it out.
func submitted(x *xml.Element) (*form.Form, error) {
	f, err := form.Parse(x)
	if err != nil {
		return nil, stanza.Bad(stanza.BadRequest, "That is no form.")
	}
	return f, nil
}
