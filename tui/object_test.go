package tui

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/client"
	"parley/xmpp/jid"
)

// script is a client in pipe mode in a bubble of time, with its input in the test's hand.
type script struct {
	t    *testing.T
	f    *fakeServer
	in   *io.PipeWriter
	done chan error

	mu       sync.Mutex
	out, err bytes.Buffer
}

// buffer is one of a script's outputs.
type buffer struct {
	s *script
	b *bytes.Buffer
}

func (w buffer) Write(p []byte) (int, error) {
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return w.b.Write(p)
}

func newScript(t *testing.T, set func(*Options)) *script {
	s := &script{t: t, f: &fakeServer{session: newFakeSession()}, done: make(chan error, 1)}
	o, _, _ := s.f.options(t, "")
	r, w := io.Pipe()
	s.in = w
	o.In, o.Out, o.Err = r, buffer{s, &s.out}, buffer{s, &s.err}
	o.User, o.Password, o.HasPassword = "alice", "secret", true
	o.Now = func() time.Time { return time.Date(2026, 11, 22, 9, 41, 0, 0, time.UTC) }
	if set != nil {
		set(&o)
	}
	go func() { s.done <- Run(t.Context(), o) }()
	synctest.Wait()
	return s
}

// do gives the script lines and lets it come to rest.
func (s *script) do(lines ...string) {
	for _, l := range lines {
		_, _ = io.WriteString(s.in, l+"\n")
		synctest.Wait()
	}
}

// lose ends the session; the next one is another one.
func (s *script) lose(end *client.End) *fakeSession {
	old := s.f.session
	s.f.session = newFakeSession()
	s.f.session.ids = old.ids
	old.stop(end)
	synctest.Wait()
	return s.f.session
}

// said is what came out since the last call.
func (s *script) said() (out, err string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out, err = s.out.String(), s.err.String()
	s.out.Reset()
	s.err.Reset()
	return out, err
}

func (s *script) expect(what string, lines ...string) {
	s.t.Helper()
	out, _ := s.said()
	want := strings.Join(lines, "\n")
	if want != "" {
		want += "\n"
	}
	if out != want {
		s.t.Errorf("%s: printed\n%swant\n%s", what, out, want)
	}
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			s.t.Errorf("no JSON: %s", line)
		}
	}
}

func (s *script) end(want int) {
	s.t.Helper()
	s.in.Close()
	if err := <-s.done; code(err) != want {
		s.t.Errorf("exit %d: %v, want %d", code(err), err, want)
	}
}

const at = `"time":"2026-11-22T09:41:00Z"}`

// TestObjects holds every object against docs/client.md. Fields are added, never renamed.
func TestObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, func(o *Options) { o.JSON = true })
		s.expect("at first", `{"type":"online","as":"alice@localhost",`+at)
		s.do("message bob backup done", "whoelse", "whoelsesince 1h", "broadcast lunch", "block bob", "unblock bob", "")
		s.expect("commands",
			`{"type":"sent","line":1,"to":"bob","id":"id1",`+at,
			`{"type":"whoelse","line":2,"users":[{"name":"bob","jid":"bob@localhost","state":"online","since":"2026-11-22T09:12:04Z"}],`+at,
			`{"type":"whoelsesince","line":3,"users":[{"name":"bob","jid":"bob@localhost","state":"online","since":"2026-11-22T09:12:04Z"},`+
				`{"name":"carol","jid":"carol@localhost","state":"offline","last":"2026-11-22T13:51:07Z"}],`+at,
			`{"type":"sent","line":4,"broadcast":true,"note":"Delivered to 2 people.",`+at,
			`{"type":"block","line":5,"user":"bob",`+at,
			`{"type":"unblock","line":6,"user":"bob",`+at)
		s.f.session.people = s.f.session.people[:0:0]
		s.do("whoelsesince 1h")
		s.expect("nobody", `{"type":"whoelsesince","line":8,"users":[],`+at)
		s.do("mesage bob hi", "message bob", "message bbo hi", "message carol hi", "unblock bob", "block alice")
		s.expect("errors",
			`{"type":"error","line":9,"code":"unknown-command","what":"no command \"mesage\". Did you mean: message bob hi",`+at,
			`{"type":"error","line":10,"code":"wrong-words","what":"message needs a user and a text, for example: message bob hi",`+at,
			`{"type":"error","line":11,"to":"bbo","id":"id2","code":"no-such-user","what":"nobody here is called bbo. Did you mean bob?",`+at,
			`{"type":"error","line":12,"to":"carol","id":"id3","code":"not-accepted","what":"not delivered to carol: Your message could not be delivered as the recipient has blocked you.",`+at,
			`{"type":"error","line":13,"code":"not-blocked","what":"bob is not blocked",`+at,
			`{"type":"error","line":14,"code":"yourself","what":"you cannot block yourself",`+at)
		bob := jid.MustParse("bob@localhost/x")
		for _, e := range []client.Event{
			client.Message{From: bob, ID: "m1", Body: "two\nlines, \"quoted\" & <b> \x1b[2J \u009b \u202e \U000E0041 日本"},
			client.Message{From: bob, Body: ""},
			client.Message{From: jid.MustParse("eve@evil.org/x"), Body: "old", Delayed: time.Date(2026, 11, 21, 17, 2, 0, 0, time.FixedZone("", 3600))},
			client.Message{From: bob.Bare(), Body: "lunch", Broadcast: true},
			client.Presence{JID: bob.Bare(), Online: true},
			client.Presence{JID: bob.Bare(), Online: true, News: true},
			client.Presence{JID: bob.Bare(), News: true},
		} {
			s.f.session.emit(e)
		}
		s.expect("events",
			`{"type":"message","from":"bob","jid":"bob@localhost","id":"m1","text":"two\nlines, \"quoted\" & <b> \u001b[2J \u009b \u202e \udb40\udc41 日本",`+at,
			`{"type":"message","from":"bob","jid":"bob@localhost","text":"",`+at,
			`{"type":"message","from":"eve@evil.org","jid":"eve@evil.org","text":"old","delayed":true,"time":"2026-11-21T16:02:00Z"}`,
			`{"type":"broadcast","from":"bob","jid":"bob@localhost","text":"lunch",`+at,
			`{"type":"presence","user":"bob","jid":"bob@localhost","event":"came",`+at,
			`{"type":"presence","user":"bob","jid":"bob@localhost","event":"went",`+at)
		s.do("help")
		if out, _ := s.said(); !strings.HasPrefix(out, `{"type":"help","line":15,"commands":[{"name":"message","usage":"<user> <text>","about":"write to one person (kept if offline)"},`) {
			t.Errorf("help: %s", out)
		}
		s.in.Close()
		synctest.Wait()
		s.expect("at last", `{"type":"closed","reason":"logout",`+at)
		s.end(0)
	})
}

// TestObjectsAtTheEnd: how it ends, and why it did not begin.
func TestObjectsAtTheEnd(t *testing.T) {
	for _, c := range []struct {
		end  *client.End
		want string
		code int
	}{
		{&client.End{Reason: client.Inactive, After: 10 * time.Minute}, `{"type":"closed","reason":"idle-timeout","after_s":600,` + at, exitEnded},
		{&client.End{Reason: client.Shutdown}, `{"type":"closed","reason":"shutdown",` + at, exitEnded},
		{&client.End{Reason: client.Replaced}, `{"type":"closed","reason":"replaced",` + at, exitEnded},
		{&client.End{Reason: client.Closed}, `{"type":"closed","reason":"closed",` + at, exitEnded},
		{&client.End{Reason: client.Refused}, `{"type":"closed","reason":"refused",` + at, exitEnded},
		{&client.End{Reason: client.Lost}, `{"type":"closed","reason":"lost",` + at, exitUnreachable},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newScript(t, func(o *Options) { o.JSON = true })
			s.said()
			s.lose(c.end)
			s.expect(c.end.Error(), c.want)
			s.end(c.code)
		})
	}
	for _, c := range []struct {
		err  error
		want string
		code int
	}{
		{client.ErrPassword, `{"type":"error","code":"wrong-password","what":"wrong name or password","fix":["an admin can set a new one:  parley user reset alice"],` + at, exitSignIn},
		{&client.LockedError{For: time.Minute}, `{"type":"error","code":"locked","what":"sign-in for alice is locked for 60 seconds, until 09:42:00",` +
			`"why":"too many wrong passwords in a row (a rule of this server)","fix":["wait, then:  parley client 127.0.0.1 5222","forgotten?   an admin can run:  parley user reset alice"],"after_s":60,` + at, exitSignIn},
		{&client.UnreachableError{Tried: []string{"127.0.0.1:5222"}, Err: os.ErrDeadlineExceeded}, `{"type":"error","code":"unreachable","what":"cannot reach 127.0.0.1:5222: no answer in 5 s",` +
			`"why":"the server is off, or a firewall is in between","fix":["ask its owner whether it runs, and whether its firewall lets the port in"],` + at, exitUnreachable},
		{errors.New("client: odd"), `{"type":"error","code":"failed","what":"odd",` + at, exitFailed},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeServer{session: newFakeSession(), fail: []error{c.err}}
			o, out, _ := f.options(t, "")
			o.JSON, o.User, o.Password, o.HasPassword = true, "alice", "secret", true
			o.Now = func() time.Time { return time.Date(2026, 11, 22, 9, 41, 0, 0, time.UTC) }
			if err := Run(t.Context(), o); code(err) != c.code || out.String() != c.want+"\n" {
				t.Errorf("exit %d, printed\n%swant\n%s", code(err), out, c.want)
			}
		})
	}
}

// TestObjectsOfLoss: a connection that is lost and comes back, and one that does not.
func TestObjectsOfLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, func(o *Options) { o.JSON, o.Retry = true, time.Minute })
		s.f.session.deaf = true
		s.do("message bob one")
		s.said()
		off := &client.UnreachableError{Tried: []string{"x:1"}, Err: errors.New("off")}
		s.f.fail = []error{off, &client.End{Reason: client.Shutdown}, off}
		s.lose(&client.End{Reason: client.Lost})
		go s.do("message bob two") // is not read before there is a connection
		time.Sleep(15 * time.Second)
		out, errs := s.said()
		for i, want := range []string{
			`{"type":"reconnecting","try":1,"in_s":*,"reason":"lost",` + at,
			`{"type":"reconnecting","try":2,"in_s":*,"reason":"lost",` + at,
			`{"type":"reconnecting","try":3,"in_s":*,"reason":"lost",` + at,
			`{"type":"reconnecting","try":4,"in_s":*,"reason":"lost",` + at,
			`{"type":"online","as":"alice@localhost","after_s":*,` + at,
			`{"type":"sent","line":2,"to":"bob","id":"id2",` + at,
		} {
			lines := strings.Split(out, "\n")
			before, after, _ := strings.Cut(want, "*")
			if i >= len(lines) || !strings.HasPrefix(lines[i], before) || !strings.HasSuffix(lines[i], after) {
				t.Fatalf("line %d is not %s in\n%s", i+1, want, out)
			}
		}
		if errs != "" {
			t.Errorf("on the standard error: %s", errs)
		}
		s.f.session.emit(client.Accepted{ID: "id1"}) // by the session that went on with the first one
		s.f.session.emit(client.Delivered{ID: "id2", By: jid.MustParse("bob@localhost/x")})
		s.f.session.emit(client.Delivered{ID: "id2", By: jid.MustParse("bob@localhost/x"), Read: true, At: time.Date(2026, 11, 22, 9, 40, 0, 0, time.UTC)})
		s.f.session.emit(client.Delivered{ID: "id2", By: jid.MustParse("carol@localhost/x")})
		s.f.session.emit(client.CaughtUp{Messages: 3, More: true})
		s.expect("after it", `{"type":"sent","line":1,"to":"bob","id":"id1",`+at, `{"type":"delivered","line":2,"to":"bob","id":"id2",`+at,
			`{"type":"delivered","line":2,"to":"bob","id":"id2","read":true,"time":"2026-11-22T09:40:00Z"}`, `{"type":"caught-up","messages":3,"more":true,`+at)
		s.f.session.deaf = true
		s.do("message bob three")
		for range 20 {
			s.f.fail = append(s.f.fail, off)
		}
		lost := time.Now()
		s.f.session.stop(&client.End{Reason: client.Shutdown})
		if err := <-s.done; code(err) != exitEnded || time.Since(lost) != time.Minute {
			t.Errorf("exit %d after %v: %v", code(err), time.Since(lost), err)
		}
		out, _ = s.said()
		if lines := strings.Split(strings.TrimSpace(out), "\n"); lines[len(lines)-1] != `{"type":"closed","reason":"shutdown",`+at ||
			lines[len(lines)-2] != `{"type":"error","line":3,"to":"bob","id":"id3","code":"unconfirmed","what":"not confirmed: there is no connection, and the message to bob may not have arrived: three",`+at || !strings.HasPrefix(lines[0], `{"type":"reconnecting","try":1,`) {
			t.Errorf("at last\n%s", out)
		}
		s.in.Close()
	})
}

// TestLossInWords: the same for people; a password that is wrong by now ends the attempts at once.
func TestLossInWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScript(t, func(o *Options) { o.Retry = time.Minute })
		s.said()
		s.f.fail = []error{&client.UnreachableError{Tried: []string{"x:1"}, Err: errors.New("off")}}
		s.lose(&client.End{Reason: client.Lost})
		time.Sleep(10 * time.Second)
		s.do("message bob hi")
		out, errs := s.said()
		lines := strings.Split(errs, "\n")
		if out != "" || len(lines) != 3 || lines[0] != "connection lost. Trying again for 60 s: 1 s, 2 s, 4 s ..." || !strings.HasPrefix(lines[1], "connected again after ") {
			t.Errorf("printed %q and %q", out, errs)
		}
		s.f.fail = []error{client.ErrPassword}
		lost := time.Now()
		s.lose(&client.End{Reason: client.Lost})
		if err := <-s.done; code(err) != exitSignIn || time.Since(lost) > 4*time.Second {
			t.Errorf("exit %d after %v", code(err), time.Since(lost))
		}
		s.in.Close()
	})
}

func TestBackoff(t *testing.T) {
	var b backoff
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		if got := b.next(); got > want*time.Second || got < want*time.Second*3/4 {
			t.Errorf("wait %d: %v", i, got)
		}
	}
	b.lost(time.Second) // it did not hold
	if got := b.next(); got < 20*time.Second {
		t.Errorf("a connection that does not hold is tried again after %v", got)
	}
	b.lost(steady)
	if got := b.next(); got > time.Second {
		t.Errorf("after a while: %v", got)
	}
}
