package tui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"parley/client"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
)

// fakeSession is alice's session on a server with bob and carol. It does at once what it is told, and notes it.
type fakeSession struct {
	handle func(client.Event)
	note   string // of broadcast
	refuse error  // of the ad-hoc commands
	people []client.Person
	idle   time.Duration

	mu      sync.Mutex
	ids     int
	deaf    bool // accepts nothing
	resumed bool
	online  bool // bob is
	place   string
	did     []string
	blocked []jid.JID
	end     *client.End
	done    chan struct{}
}

func newFakeSession() *fakeSession {
	return &fakeSession{online: true, done: make(chan struct{}), handle: func(client.Event) {}, note: "Delivered to 2 people.", people: []client.Person{
		{JID: jid.MustParse("bob@localhost"), State: "online", Last: "now", Since: "2026-11-22T09:12:04Z"},
		{JID: jid.MustParse("carol@localhost"), State: "offline", Last: "2026-11-22T13:51:07Z"},
	}}
}

func (s *fakeSession) noted(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did = append(s.did, what)
}

func (s *fakeSession) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.did...)
}

// emit lets something happen.
func (s *fakeSession) emit(e client.Event) {
	s.mu.Lock()
	handle := s.handle
	s.mu.Unlock()
	handle(e)
}

// stop ends the session as a server would.
func (s *fakeSession) stop(end *client.End) {
	s.mu.Lock()
	again := s.end != nil
	if !again {
		s.end = end
	}
	s.mu.Unlock()
	if again {
		return
	}
	s.emit(end)
	close(s.done)
}

func (s *fakeSession) JID() jid.JID    { return jid.MustParse("alice@localhost/r") }
func (s *fakeSession) Server() jid.JID { return jid.MustParse("localhost") }
func (s *fakeSession) Complete() bool  { return true }
func (s *fakeSession) Start(context.Context) error {
	s.emit(client.Presence{JID: jid.MustParse("bob@localhost"), Online: true})
	return nil
}
func (s *fakeSession) Contacts() []client.Contact {
	return []client.Contact{{JID: jid.MustParse("bob@localhost"), Online: s.online}, {JID: jid.MustParse("carol@localhost")}}
}
func (s *fakeSession) Roster(context.Context) ([]client.Contact, error) { return s.Contacts(), nil }

func (s *fakeSession) NewID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids++
	return fmt.Sprint("id", s.ids)
}

func (s *fakeSession) Message(to jid.JID, id, body string) error {
	if end := s.End(); end != nil {
		return end
	}
	s.noted("message " + to.String() + " " + body)
	var err *stanza.Error
	switch to.Local() {
	case "bbo":
		err = stanza.Bad(stanza.ServiceUnavailable, "")
	case "carol":
		err = stanza.Bad(stanza.ServiceUnavailable, "Your message could not be delivered as the recipient has blocked you.")
	case "bob":
		if len(s.blocked) > 0 {
			err = stanza.Bad(stanza.NotAcceptable, "")
			err.App = stanza.Body("").WithAttr("x", "")
			err.App.Name.Local = "blocked"
		}
	}
	if err != nil {
		s.emit(client.Bounce{To: to, ID: id, Err: err})
	}
	if !s.deaf {
		s.emit(client.Accepted{ID: id})
	}
	return nil
}

func (s *fakeSession) Broadcast(_ context.Context, body string) (client.Outcome, error) {
	s.noted("broadcast " + body)
	return client.Outcome{Note: s.note}, s.no()
}

// again begins the session anew.
func (s *fakeSession) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end, s.done = nil, make(chan struct{})
}

// no is what the session refuses commands with.
func (s *fakeSession) no() error {
	if end := s.End(); end != nil {
		return end
	}
	return s.refuse
}
func (s *fakeSession) WhoElse(context.Context) ([]client.Person, error) {
	return s.people[:1], s.no()
}
func (s *fakeSession) WhoElseSince(_ context.Context, t string) ([]client.Person, error) {
	s.noted("since " + t)
	return s.people, s.no()
}
func (s *fakeSession) Block(_ context.Context, j jid.JID) error {
	s.noted("block " + j.String())
	s.blocked = append(s.blocked, j)
	return nil
}
func (s *fakeSession) Unblock(_ context.Context, j jid.JID) error {
	s.noted("unblock " + j.String())
	s.blocked = nil
	return nil
}
func (s *fakeSession) BlockList(context.Context) ([]jid.JID, error)     { return s.blocked, nil }
func (s *fakeSession) IdleLimit(context.Context) (time.Duration, error) { return s.idle, nil }
func (s *fakeSession) Presence() error                                  { s.noted("presence"); return nil }
func (s *fakeSession) Settle(ctx context.Context) error {
	if end := s.End(); end != nil {
		return end
	}
	s.mu.Lock()
	deaf := s.deaf
	s.mu.Unlock()
	if deaf {
		select {
		case <-s.done:
			return s.End()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
func (s *fakeSession) Resumed() bool      { return s.resumed }
func (s *fakeSession) SetPlace(id string) { s.place = id }
func (s *fakeSession) Place() string      { return s.place }
func (s *fakeSession) Close(context.Context) error {
	s.noted("close")
	s.mu.Lock()
	ended := s.end != nil
	s.mu.Unlock()
	if !ended {
		s.stop(&client.End{Reason: client.LoggedOut})
	}
	return nil
}
func (s *fakeSession) Done() <-chan struct{} { return s.done }
func (s *fakeSession) End() *client.End {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end
}

// fakeServer hands out a session to alice with the password secret.
type fakeServer struct {
	session *fakeSession
	key     client.Key // shown to Config.Trust, unless empty
	info    client.Info
	dials   []client.Config
	fail    []error // of the next dials, one each
}

func (f *fakeServer) dial(_ context.Context, cfg client.Config) (Session, error) {
	f.dials = append(f.dials, cfg)
	if err := f.trust(cfg); err != nil {
		return nil, err
	}
	if len(f.fail) > 0 {
		err := f.fail[0]
		f.fail = f.fail[1:]
		if err != nil {
			return nil, err
		}
	}
	if cfg.Password != "secret" && !cfg.Register {
		return nil, client.ErrPassword
	}
	f.session.mu.Lock()
	defer f.session.mu.Unlock()
	f.session.handle = cfg.Handle
	return f.session, nil
}

func (f *fakeServer) probe(_ context.Context, cfg client.Config) (client.Info, error) {
	return f.info, f.trust(cfg)
}

func (f *fakeServer) trust(cfg client.Config) error {
	if f.key.Fingerprint == "" {
		return nil
	}
	if err := cfg.Trust(f.key); err != nil {
		return &client.KeyError{Key: f.key, Err: err}
	}
	return nil
}

// options are those of a client in pipe mode for this server.
func (f *fakeServer) options(t *testing.T, input string) (Options, *bytes.Buffer, *bytes.Buffer) {
	var out, err bytes.Buffer
	return Options{
		HostPort: "127.0.0.1:5222", Again: "parley client 127.0.0.1 5222",
		In: bytes.NewBufferString(input), Out: &out, Err: &err,
		Known: &Known{Path: filepath.Join(t.TempDir(), "state", "known_servers")},
		Dial:  f.dial, Probe: f.probe,
		Now: func() time.Time { return time.Date(2026, 11, 22, 14, 5, 0, 0, time.Local) },
	}, &out, &err
}

// code is the exit code that an error stands for.
func code(err error) int {
	var f *Failure
	switch {
	case err == nil:
		return 0
	case errors.As(err, &f):
		return f.Code
	}
	return -1
}
