package tui

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/client"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
)

const online = "online as alice@localhost\n"

func TestPipe(t *testing.T) {
	for _, c := range []struct {
		name, in, out, err string
		did                string
		set                func(*fakeSession)
	}{
		{name: "nothing", did: "close"},
		{name: "logout", in: "logout\nmessage bob late\n", did: "close"},
		{name: "slash", in: "/logout\n", did: "close"},
		{name: "message", in: "message bob hi there\n\n  \nmessage bob@localhost again", did: "message bob@localhost hi there, message bob@localhost again, close"},
		{name: "elsewhere", in: "message bob@other.org hi\n", did: "message bob@other.org hi, close"},
		{name: "oneself", in: "message alice hi\n", did: "message alice@localhost hi, close"},
		{name: "crlf", in: "message bob hi\r\nlogout\r\n", did: "message bob@localhost hi, close"},
		{name: "unknown user", in: "message bbo hi\n", err: "error: nobody here is called bbo. Did you mean bob?\n", did: "message bbo@localhost hi, close"},
		{name: "no address", in: "message a/b:c hi\n", err: "error: nobody here is called a/b:c\n", did: "close"},
		{name: "blocked sender", in: "message carol hi\n", did: "message carol@localhost hi, close",
			err: "error: not delivered to carol: Your message could not be delivered as the recipient has blocked you.\n"},
		{name: "broadcast", in: "broadcast lunch\n", out: "to everyone: Delivered to 2 people.\n", did: "broadcast lunch, close"},
		{name: "broadcast to some", in: "broadcast lunch\n", did: "broadcast lunch, close", set: func(s *fakeSession) {
			s.note = "Delivered to 1 person.\nYour message could not be delivered to some recipients."
		},
			out: "to everyone: Delivered to 1 person.\\nYour message could not be delivered to some recipients.\n"},
		{name: "whoelse", in: "whoelse\n", out: "bob online now 2026-11-22T09:12:04Z\n", did: "close"},
		{name: "whoelsesince", in: "whoelsesince 15m\n", out: "bob online now 2026-11-22T09:12:04Z\ncarol offline 2026-11-22T13:51:07Z\n", did: "since 15m, close"},
		{name: "switched off", in: "whoelse\n", err: "error: whoelse: this server does not allow it\n", did: "close",
			set: func(s *fakeSession) { s.refuse = stanza.Bad(stanza.Forbidden, "") }},
		{name: "in words", in: "broadcast x\n", err: "error: broadcast: Wait \uFFFD[2J.\n", did: "broadcast x, close",
			set: func(s *fakeSession) { s.refuse = stanza.Bad(stanza.ResourceConstraint, "Wait \u009b[2J.") }},
		{name: "block", in: "block bob\nmessage bob hi\nunblock bob\n", out: "bob is blocked\nbob is unblocked\n",
			err: "error: not sent: you have blocked bob. First: unblock bob\n", did: "block bob@localhost, message bob@localhost hi, unblock bob@localhost, close"},
		{name: "block oneself", in: "block alice\nblock ALICE@localhost\n", err: "error: you cannot block yourself\nerror: you cannot block yourself\n", did: "close"},
		{name: "block unknown", in: "block bobb\n", err: "error: nobody here is called bobb. Did you mean bob?\n", did: "close"},
		{name: "block elsewhere", in: "block eve@evil.org\n", out: "eve@evil.org is blocked\n", did: "block eve@evil.org, close"},
		{name: "unblock", in: "unblock bob\n", err: "error: bob is not blocked\n", did: "close"},
		{name: "wrong words", in: "message bob\nblock\nwhoelse now\nwhoelsesince soon\nmesage bob hi\nlogout\n", did: "close",
			err: "error: message needs a user and a text, for example: message bob hi\nerror: block needs one user, for example: block bob\n" +
				"error: whoelse stands alone: nothing else belongs to it\nerror: whoelsesince needs a number of seconds, for example: whoelsesince 3600\n" +
				"error: no command \"mesage\". Did you mean: message bob hi\n"},
		{name: "long text", in: "message bob " + strings.Repeat("x", maxText+1) + "\nmessage bob hi", err: "error: not sent to bob: the text is too long for one message\n", did: "message bob@localhost hi, close"},
		{name: "long", in: strings.Repeat("x", maxLine+10) + "\nmessage bob hi", err: "error: a line is longer than 1048576 bytes: not sent\n", did: "message bob@localhost hi, close"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeServer{session: newFakeSession()}
			if c.set != nil {
				c.set(f.session)
			}
			o, out, errs := f.options(t, "alice\nsecret\n"+c.in)
			if err := Run(t.Context(), o); err != nil {
				t.Errorf("Run: %v", err)
			}
			if out.String() != c.out || errs.String() != online+c.err {
				t.Errorf("out %q, want %q\nerr %q, want %q", out, c.out, errs, online+c.err)
			}
			if did := doings(f.session); did != c.did {
				t.Errorf("did %q, want %q", did, c.did)
			}
		})
	}
}

// doings are what a session did.
func doings(s *fakeSession) string { return strings.Join(s.all(), ", ") }

func TestPipeEvents(t *testing.T) {
	f := &fakeServer{session: newFakeSession()}
	r, w := io.Pipe()
	o, out, errs := f.options(t, "")
	o.In = r
	done := make(chan error, 1)
	go func() { done <- Run(t.Context(), o) }()
	_, _ = io.WriteString(w, "alice\nsecret\n")
	_, _ = io.WriteString(w, "message bob hi\n")
	for range 2000 { // until the session is there
		if len(f.session.all()) > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	bob := jid.MustParse("bob@localhost/x")
	for _, e := range []client.Event{
		client.Message{From: bob, Body: "hello"},
		client.Message{From: bob, Body: "two\nlines \\ \x1b[2J\u009b\u202e"},
		client.Message{From: bob.Bare(), Body: "hello", Broadcast: true},
		client.Message{From: jid.MustParse("eve@evil.org/x"), Body: "hello"},
		client.Message{From: jid.MustParse("localhost"), Body: "welcome"},
		client.Presence{JID: bob.Bare(), Online: true},
		client.Presence{JID: bob.Bare(), News: true},
		client.Presence{JID: bob.Bare(), Online: true, News: true},
	} {
		f.session.emit(e)
	}
	w.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	got := out.String()
	if want := "bob: hello\nbob: two\\nlines \\\\ \uFFFD[2J\uFFFD\uFFFD\nbob (to everyone): hello\neve@evil.org: hello\nlocalhost: welcome\nbob logged out\nbob logged in\n"; got != want {
		t.Errorf("out %q, want %q", got, want)
	}
	if errs.String() != online {
		t.Errorf("err %q", errs)
	}
}

func TestPipeCredentials(t *testing.T) {
	for _, c := range []struct {
		name, in string
		set      func(*Options)
		code     int
		says     string
		user     string
	}{
		{name: "lines", in: "alice\nsecret\n", user: "alice"},
		{name: "given", in: "logout\n", set: func(o *Options) { o.User, o.Password, o.HasPassword = "alice", "secret", true }, user: "alice"},
		{name: "environment without name", in: "alice\nsecret\n", set: func(o *Options) { o.Password, o.HasPassword = "other", true }, user: "alice"},
		{name: "no password", in: "message bob hi\n", set: func(o *Options) { o.User = "alice" }, code: exitUsage, says: "a password for alice is needed"},
		{name: "empty", in: "", code: exitUsage, says: "the input has not both"},
		{name: "only a name", in: "alice\n", code: exitUsage, says: "the input has not both"},
		{name: "a command", in: "message bob hi\nlogout\n", code: exitUsage, says: "not a user name"},
		{name: "wrong", in: "alice\nwrong\nsecret\n", code: exitSignIn, says: "wrong name or password", user: "alice"},
		{name: "register", in: "dora\nsecret2\n", set: func(o *Options) { o.Register = true }, user: "dora"},
		{name: "bad key", in: "alice\nsecret\n", set: func(o *Options) { o.Trust = "SHA256:short" }, code: exitUsage, says: "--trust needs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeServer{session: newFakeSession()}
			o, _, _ := f.options(t, c.in)
			if c.set != nil {
				c.set(&o)
			}
			err := Run(t.Context(), o)
			if code(err) != c.code || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("exit %d: %v", code(err), err)
			}
			if c.user == "" && len(f.dials) > 0 || c.user != "" && (len(f.dials) != 1 || f.dials[0].User != c.user) {
				t.Errorf("dialled %+v", f.dials)
			}
		})
	}
}

func TestPipeEnds(t *testing.T) {
	for _, c := range []struct {
		end  *client.End
		code int
		says string
	}{
		{&client.End{Reason: client.Inactive, After: 10 * time.Minute}, exitEnded, "you were signed out: nothing from you for 10 minutes"},
		{&client.End{Reason: client.Shutdown}, exitEnded, "the server stopped"},
		{&client.End{Reason: client.Replaced}, exitEnded, "another session of yours took the place of this one"},
		{&client.End{Reason: client.Lost, Err: io.ErrUnexpectedEOF}, exitUnreachable, "connection lost"},
	} {
		f := &fakeServer{session: newFakeSession()}
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		o, _, _ := f.options(t, "")
		o.In, o.User, o.Password, o.HasPassword = r, "alice", "secret", true
		time.AfterFunc(20*time.Millisecond, func() { f.session.stop(c.end) })
		got := Run(t.Context(), o)
		if code(got) != c.code || got.Error() != c.says {
			t.Errorf("exit %d %v, want %d %s", code(got), got, c.code, c.says)
		}
		w.Close()
		r.Close()
	}
	// Ctrl-C says goodbye all the same.
	f := &fakeServer{session: newFakeSession()}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	o, _, _ := f.options(t, "")
	o.In, o.User, o.Password, o.HasPassword = r, "alice", "secret", true
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if err := Run(ctx, o); code(err) != exitInterrupted || !slices.Equal(f.session.all(), []string{"close"}) {
		t.Errorf("exit %v, did %v", err, f.session.all())
	}
}

func TestSignInFailures(t *testing.T) {
	for _, c := range []struct {
		err            error
		code           int
		what, why, fix string
	}{
		{&client.LockedError{For: time.Minute, Text: "Try again in 60 seconds."}, exitSignIn, "sign-in for alice is locked for 60 seconds, until 14:06:00",
			"too many wrong passwords in a row (a rule of this server)", "wait, then:  parley client 127.0.0.1 5222\n forgotten?   an admin can run:  parley user reset alice"},
		{&client.UnreachableError{Tried: []string{"127.0.0.1:5222"}, Err: os.ErrDeadlineExceeded}, exitUnreachable, "cannot reach 127.0.0.1:5222: no answer in 5 s",
			"the server is off, or a firewall is in between", "ask its owner whether it runs, and whether its firewall lets the port in"},
		{&client.RegisterError{Err: stanza.Bad(stanza.Conflict, "taken")}, exitRefused, "the name alice is taken", "", "choose another one"},
		{client.ErrNoRegistration, exitRefused, "this server makes no accounts for people who ask", "", "ask its owner to run:  parley user add alice"},
		{client.ErrNoTLS, exitUntrusted, "the server offers no protected connection, so nothing was sent", "it is set up wrongly, or somebody is between you and it", ""},
		{errors.New("client: something \x1b[31m"), exitFailed, "something \uFFFD[31m", "", ""},
	} {
		f := &fakeServer{session: newFakeSession(), fail: []error{c.err}}
		o, _, _ := f.options(t, "alice\nsecret\n")
		err := Run(t.Context(), o)
		var got *Failure
		if !errors.As(err, &got) || *got != (Failure{Code: c.code, What: c.what, Why: c.why, Fix: c.fix, kind: got.kind, after: got.after}) {
			t.Errorf("%v: %+v", c.err, got)
		}
	}
}
