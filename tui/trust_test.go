package tui

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/client"
)

var (
	keyA = "SHA256:" + strings.Repeat("A", 43)
	keyB = "SHA256:" + strings.Repeat("B", 42) + "A"
)

// Which keys are taken, and which end it with exit code 6, in pipe mode.
func TestTrust(t *testing.T) {
	const far, near = "192.0.2.7:5222", "127.0.0.1:5222"
	for _, c := range []struct {
		name  string
		known string // HOST:PORT and key
		at    string
		key   string
		vouch bool
		trust string
		code  int
		says  string // in the error, or on stderr
		added bool
	}{
		{name: "new on loopback", at: near, key: keyA, says: "127.0.0.1:5222 is new to this computer; its key is trusted from now on: " + keyA, added: true},
		{name: "new on localhost", at: "localhost:5222", key: keyA, says: "is new to this computer", added: true},
		{name: "new on ipv6", at: "[::1]:5222", key: keyA, says: "is new to this computer", added: true},
		{name: "new elsewhere", at: far, key: keyA, code: exitUntrusted, says: "no authority vouches for its key. Nothing was sent."},
		{name: "pretends", at: "localhost.evil.org:5222", key: keyA, code: exitUntrusted, says: "no authority vouches"},
		{name: "named", at: far, key: keyA, trust: keyA, added: true},
		{name: "named another", at: far, key: keyA, trust: keyB, code: exitUntrusted, says: "another key than the one given with --trust"},
		{name: "named another on loopback", at: near, key: keyA, trust: keyB, code: exitUntrusted, says: "another key than the one given"},
		{name: "known", known: far + " " + keyA, at: far, key: keyA},
		{name: "known and named", known: far + " " + keyA, at: far, key: keyA, trust: keyA},
		{name: "known, named another", known: far + " " + keyA, at: far, key: keyA, trust: keyB, code: exitUntrusted, says: "another key than the one given"},
		{name: "known on another port", known: "192.0.2.7:5223 " + keyA, at: far, key: keyA},
		{name: "another one on another port", known: "192.0.2.7:5223 " + keyB, at: far, key: keyA, code: exitUntrusted, says: "no authority vouches"},
		{name: "changed", known: far + " " + keyB, at: far, key: keyA, code: exitUntrusted, says: "STOP. 192.0.2.7:5222 shows another key than before."},
		{name: "changed on loopback", known: near + " " + keyB, at: near, key: keyA, code: exitUntrusted, says: "STOP. 127.0.0.1:5222 shows"},
		{name: "changed and named", known: near + " " + keyB, at: near, key: keyA, trust: keyA, code: exitUntrusted, says: "STOP."},
		{name: "vouched for", at: far, key: keyA, vouch: true},
		{name: "vouched for, named another", at: far, key: keyA, vouch: true, trust: keyB, code: exitUntrusted, says: "another key than the one given"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeServer{session: newFakeSession(), key: client.Key{HostPort: c.at, Fingerprint: c.key, Verified: c.vouch}}
			o, _, errs := f.options(t, "alice\nsecret\n")
			o.Trust = c.trust
			if at, key, ok := strings.Cut(c.known, " "); ok {
				if err := o.Known.Add(Pin{HostPort: at, Key: key, Since: time.Now()}); err != nil {
					t.Fatal(err)
				}
			}
			before, _ := o.Known.List()
			err := Run(t.Context(), o)
			if code(err) != c.code {
				t.Fatalf("exit %d: %v", code(err), err)
			}
			if err == nil && !strings.Contains(errs.String(), c.says) || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v\n%s", err, errs)
			}
			after, _ := o.Known.List()
			if (len(after) > len(before)) != c.added {
				t.Errorf("known before %v, after %v", before, after)
			}
		})
	}
}

func TestKnown(t *testing.T) {
	k := &Known{Path: filepath.Join(t.TempDir(), "a", "b", "known_servers")}
	if list, err := k.List(); err != nil || list != nil {
		t.Errorf("%v, %v", list, err)
	}
	at := time.Date(2026, 11, 22, 14, 5, 0, 0, time.UTC)
	for _, p := range []Pin{{"a:1", keyA, at}, {"b:1", keyB, at}, {"b:2", keyB, at}, {"[::1]:5222", keyA, at}} {
		if err := k.Add(p); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.OpenFile(k.Path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("# a remark\n\nc:1\nd:1 MD5:x\ne:1 " + keyA + " yesterday\n")
	f.Close()
	if list, err := k.List(); err != nil || len(list) != 5 || list[0] != (Pin{"a:1", keyA, at}) {
		t.Errorf("%v, %v", list, err)
	}
	for server, want := range map[string]int{"b": 2, "a:1": 1, "zoe": 0, "::1": 1} {
		if n, err := k.Forget(server); err != nil || n != want {
			t.Errorf("Forget(%q) = %d, %v", server, n, err)
		}
	}
	text, _ := os.ReadFile(k.Path)
	if string(text) != "# a remark\n\nc:1\nd:1 MD5:x\ne:1 "+keyA+" yesterday\n" {
		t.Errorf("left %q", text)
	}
	for _, path := range []string{k.Path, filepath.Dir(k.Path)} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	for env, want := range map[string]string{"/state": "/state/parley/known_servers", "": "/home/x/.local/state/parley/known_servers", "relative": "/home/x/.local/state/parley/known_servers"} {
		k, err := DefaultKnown(func(name string) string { return map[string]string{"XDG_STATE_HOME": env, "HOME": "/home/x"}[name] })
		if err != nil || k.Path != want {
			t.Errorf("%q: %v, %v", env, k, err)
		}
	}
}

// person answers questions from a list.
type person struct {
	answers []string
	asked   []string
}

func (p *person) line(question string) (string, error) {
	_, last := cutLast(question)
	p.asked = append(p.asked, last)
	if len(p.answers) == 0 {
		return "", errInterrupted
	}
	a := p.answers[0]
	p.answers = p.answers[1:]
	return a, nil
}

func (p *person) secret(question string) (string, error) {
	s, err := p.line(question)
	p.asked[len(p.asked)-1] += "*"
	return s, err
}

func TestSignIn(t *testing.T) {
	locked := &client.LockedError{For: time.Minute}
	for _, c := range []struct {
		name    string
		user    string
		answers string
		open    bool // registration
		flag    bool // --register
		fail    []error
		asked   string
		out     string
		code    int
	}{
		{name: "right", answers: "alice secret", asked: "Username: |Password: *"},
		{name: "named", user: "alice", answers: "secret", asked: "Password for alice: *"},
		{name: "second try", answers: "alice wrong secret", asked: "Username: |Password: *|Password for alice: *", out: "Wrong name or password. 2 more tries.\n"},
		{name: "three wrong", answers: "alice a b c", fail: []error{nil, nil, locked}, asked: "Username: |Password: *|Password for alice: *|Password for alice: *",
			out: "Wrong name or password. 2 more tries.\nWrong name or password. 1 more try.\n", code: exitSignIn},
		{name: "locked at once", answers: "alice secret", fail: []error{locked}, asked: "Username: |Password: *", code: exitSignIn},
		{name: "empty name", answers: " alice secret", asked: "Username: |Username: |Password: *"},
		{name: "no name", answers: "a/b x alice secret", fail: []error{client.ErrName}, asked: "Username: |Password: *|Username: |Password: *",
			out: "\"a/b\" cannot be a user name. Names are single words; they have no spaces and none of \" & ' / : < > @\n"},
		{name: "left", answers: "alice", asked: "Username: |Password: *", code: exitInterrupted},
		{name: "gone", answers: "alice secret", fail: []error{&client.End{Reason: client.Shutdown}}, asked: "Username: |Password: *", code: exitEnded},
		{name: "new", open: true, answers: "new dora one two same same", asked: "Username: |Choose a user name: |Choose a password (at least 10 characters): *|The same again: *|Choose a password (at least 10 characters): *|The same again: *",
			out: "No account yet? Answer: new\nThese were not the same.\n"},
		{name: "new is a name", answers: "new secret", asked: "Username: |Password: *"},
		{name: "register", flag: true, user: "dora", open: true, answers: "same same", asked: "Choose a password (at least 10 characters): *|The same again: *"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := &fakeServer{session: newFakeSession(), fail: c.fail, info: client.Info{Registration: c.open}}
			o, _, _ := f.options(t, "")
			var out bytes.Buffer
			o.Out, o.User, o.Register = &out, c.user, c.flag
			a, err := newApp(o)
			if err != nil {
				t.Fatal(err)
			}
			p := &person{answers: strings.Split(c.answers, " ")}
			info, _ := a.meet(t.Context(), p)
			s, cfg, failed := a.signIn(t.Context(), p, info, func(client.Event) {})
			if asked := strings.Join(p.asked, "|"); asked != c.asked || out.String() != c.out {
				t.Errorf("asked %q\nwant  %q\nprinted %q\nwant    %q", asked, c.asked, out.String(), c.out)
			}
			got := 0
			if failed != nil {
				got = failed.Code
			}
			if got != c.code || (s != nil) != (c.code == 0) || s != nil && (cfg.Register || cfg.Password == "") {
				t.Errorf("exit %d: %v, register %v", got, failed, cfg.Register)
			}
		})
	}
}

// At a terminal a new key is a question, asked before anything else.
func TestMeet(t *testing.T) {
	for answer, want := range map[string]int{"y": 0, "YES": 0, "n": exitUntrusted, "": exitUntrusted} {
		f := &fakeServer{session: newFakeSession(), key: client.Key{HostPort: "127.0.0.1:5222", Fingerprint: keyA}}
		o, _, _ := f.options(t, "")
		o.Interactive = true
		a, err := newApp(o)
		if err != nil {
			t.Fatal(err)
		}
		p := &person{answers: []string{answer}}
		_, failed := a.meet(t.Context(), p)
		if (failed == nil) != (want == 0) || failed != nil && failed.Code != want || len(p.asked) != 1 {
			t.Errorf("%q: %v, asked %q", answer, failed, p.asked)
		}
		if list, _ := o.Known.List(); (len(list) == 1) != (want == 0) {
			t.Errorf("%q: known %v", answer, list)
		}
	}
	// It works even where nothing can be remembered.
	f := &fakeServer{session: newFakeSession(), key: client.Key{HostPort: "127.0.0.1:5222", Fingerprint: keyA}}
	o, _, errs := f.options(t, "")
	o.Interactive = true
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o.Known = &Known{Path: filepath.Join(blocked, "known_servers")}
	a, _ := newApp(o)
	if _, failed := a.meet(t.Context(), &person{answers: []string{"y"}}); failed == nil || failed.Code != exitFailed {
		t.Errorf("%v, %s", failed, errs) // a folder that is a file cannot even be looked into
	}
}

func TestSend(t *testing.T) {
	for _, c := range []struct {
		to, text string
		fail     error
		code     int
		says     string
	}{
		{to: "bob", text: "hi"},
		{to: "bob", text: " ", code: exitUsage, says: "the text is empty"},
		{to: "bbo", text: "hi", code: exitRefused, says: "nobody here is called bbo. Did you mean bob?"},
		{to: "a/b", text: "hi", code: exitRefused, says: "nobody here is called a/b"},
		{to: "carol", text: "hi", code: exitRefused, says: "not delivered to carol: Your message could not be delivered as the recipient has blocked you."},
		{to: "bob", text: "hi", fail: client.ErrPassword, code: exitSignIn, says: "wrong name or password"},
		{to: "bob", text: "hi", fail: &client.UnreachableError{Tried: []string{"x:1"}, Err: errors.New("off")}, code: exitUnreachable, says: "cannot reach x:1"},
	} {
		f := &fakeServer{session: newFakeSession(), fail: []error{c.fail}}
		o, out, _ := f.options(t, "")
		o.User, o.Password, o.HasPassword = "alice", "secret", true
		err := Send(t.Context(), o, c.to, c.text)
		if code(err) != c.code || err != nil && err.Error() != c.says || out.Len() > 0 {
			t.Errorf("to %s: exit %d %v, out %q", c.to, code(err), err, out)
		}
		if did := doings(f.session); c.code == 0 && did != "message bob@localhost hi, close" {
			t.Errorf("did %s", did)
		}
	}
	f := &fakeServer{session: newFakeSession()}
	o, _, _ := f.options(t, "")
	o.User = "alice"
	if err := Send(t.Context(), o, "bob", "hi"); code(err) != exitUsage {
		t.Errorf("without a password: %v", err)
	}
}
