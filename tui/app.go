// Package tui is the terminal client on top of package client: line mode for people at a terminal, pipe mode for
// scripts. Both understand the same words and speak through the same Session; they differ in how things look.
//
//	Run ── pipe  no terminal: lines in, one line out for every event, never a question
//	    └─ line  a terminal: one prompt at the bottom, everything else above it in the terminal's own scrollback
//	Send         one message
//
// Text from the network reaches a terminal, a file or a pipe only through Clean or OneLine.
package tui

import (
	"context"
	"fmt"
	"io"
	"time"

	"parley/client"
	"parley/xmpp/jid"
)

// Options say whom to reach, as whom, and where to talk to the person.
type Options struct {
	HostPort string // "" = found by Domain
	Domain   string // "" = the one the server names
	User     string // "" = asked for, or the first line of the input
	Again    string // how this client is started, for advice
	AsBefore string // the account, when it is the remembered one and is to be said

	HasPassword bool // Password was given by a file or the environment
	Password    string
	Trust       string        // SHA256:… that the server's key must have
	Register    bool          // make the account first
	Linger      time.Duration // pipe mode: how long to listen on after the end of the input
	Retry       time.Duration // pipe mode: for how long to try to connect again after a loss
	JSON        bool          // pipe mode: one JSON object for every event

	In          io.Reader
	Out, Err    io.Writer
	Interactive bool // both In and Out are terminals
	NoColor     bool
	Known       *Known
	Last        *Last     // remembers a successful sign-in; nil = nothing is remembered
	Outboxes    *Outboxes // keeps what is not accepted yet; nil = nothing outlives the client

	// Dial and Probe are client.Dial and client.Probe; tests put others here.
	Dial  func(context.Context, client.Config) (Session, error)
	Probe func(context.Context, client.Config) (client.Info, error)
	Now   func() time.Time
}

// Session is what this package needs of a client.Session.
type Session interface {
	JID() jid.JID
	Server() jid.JID
	Start(ctx context.Context) error
	Contacts() []client.Contact
	Complete() bool
	Roster(ctx context.Context) ([]client.Contact, error)
	NewID() string
	Message(to jid.JID, id, body string) error
	Broadcast(ctx context.Context, body string) (client.Outcome, error)
	WhoElse(ctx context.Context) ([]client.Person, error)
	WhoElseSince(ctx context.Context, while string) ([]client.Person, error)
	Block(ctx context.Context, who jid.JID) error
	Unblock(ctx context.Context, who jid.JID) error
	BlockList(ctx context.Context) ([]jid.JID, error)
	IdleLimit(ctx context.Context) (time.Duration, error)
	Presence() error
	Settle(ctx context.Context) error
	Resumed() bool
	SetPlace(id string)
	Place() string
	Close(ctx context.Context) error
	Done() <-chan struct{}
	End() *client.End
}

// app is one run of the client.
type app struct {
	Options
	accepted string // key that the person accepted in this run
	wrong    int    // wrong passwords that the person gave in this run
}

// Run is the client until it is left. The error is nil or a *Failure; everything else was said already.
func Run(ctx context.Context, o Options) error {
	a, err := newApp(o)
	if err != nil {
		return err
	}
	mode, w := a.pipe, a.Err
	if a.Interactive {
		mode, w = a.line, a.Out
	}
	if a.AsBefore != "" {
		fmt.Fprintln(w, OneLine(a.AsBefore))
	}
	f := mode(ctx)
	if f == nil {
		return nil
	}
	return f
}

func newApp(o Options) (*app, error) {
	a := &app{Options: o}
	a.Interactive = a.Interactive && !a.JSON
	if a.Trust != "" && !goodFingerprint(a.Trust) {
		return nil, &Failure{Code: exitUsage, What: "--trust needs a key like SHA256:9f2KbQx1vY7mD0sTt3hPzWc5Lk8RnAe4JgUoXiV6yBw", Fix: "the server prints it when it starts"}
	}
	if a.Dial == nil {
		a.Dial = func(ctx context.Context, cfg client.Config) (Session, error) {
			s, err := client.Dial(ctx, cfg)
			if err != nil {
				return nil, err
			}
			return s, nil
		}
	}
	if a.Probe == nil {
		a.Probe = client.Probe
	}
	return a, nil
}

func (a *app) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// config is for Probe and Dial.
func (a *app) config(handle func(client.Event)) client.Config {
	return client.Config{HostPort: a.HostPort, Domain: a.Domain, Trust: a.checkKey, Handle: handle}
}

// goOn lets the next session go on with one that has ended.
func goOn(cfg client.Config, with Session) client.Config {
	cfg.Before, _ = with.(*client.Session)
	return cfg
}

// outbox opens what the account of s still has to send. Where that cannot be kept on disk, it is in memory.
func (a *app) outbox(s Session) *outbox {
	if a.Outboxes == nil {
		return &outbox{}
	}
	file, err := a.Outboxes.open(s.JID(), a.HostPort)
	if err == nil {
		var b *outbox
		if b, err = newOutbox(file); err == nil {
			return b
		}
		file.close()
	}
	fmt.Fprintf(a.Err, "what is not sent yet cannot be kept on this computer: %s\n", OneLine(err.Error()))
	return &outbox{}
}

// goodbye is how long a leaving client waits for the server.
const goodbye = 5 * time.Second

// leave closes a session in order.
func leave(s Session) {
	ctx, cancel := context.WithTimeout(context.Background(), goodbye)
	defer cancel()
	_ = s.Close(ctx)
}
