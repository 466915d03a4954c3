package tui

import (
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"parley/client"
	"parley/xmpp/jid"
)

// stage is a model without a terminal: what it prints is collected, what it gives the worker is done at once.
type stage struct {
	t       *testing.T
	m       *model
	s       *fakeSession
	jobs    chan job
	printed []string
	quit    bool
	stopped bool
	now     time.Time
	ticks   int   // timers set
	slow    bool  // the worker does nothing
	away    error // what comes of dialling, nil: the session begins anew
}

func newStage(t *testing.T) *stage {
	g := &stage{t: t, s: newFakeSession(), jobs: make(chan job, 1), now: time.Date(2026, 11, 22, 14, 5, 0, 0, time.Local)}
	a := &app{Options: Options{User: "alice", Again: "parley client", Now: func() time.Time { return g.now }}}
	g.m = &model{a: a, jobs: g.jobs, stop: func() { g.stopped = true }, voice: says{now: a.now, d: desk{g.s}}, box: &outbox{}}
	g.m.Init()
	g.send(tea.WindowSizeMsg{Width: 60, Height: 20})
	g.send(settled{})
	return g
}

// send gives the model a message and follows up what comes of it, timers apart.
func (g *stage) send(msg tea.Msg) {
	_, cmd := g.m.Update(msg)
	g.follow(cmd)
	g.work()
}

func (g *stage) follow(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	got := make(chan tea.Msg, 1)
	go func() { got <- cmd() }()
	select {
	case msg := <-got:
		g.take(msg)
	case <-time.After(20 * time.Millisecond):
		g.ticks++ // a timer: tests send its message themselves
	}
}

func (g *stage) take(msg tea.Msg) {
	switch v := reflect.ValueOf(msg); {
	case msg == nil:
	case v.Kind() == reflect.Slice && v.Type().Elem() == reflect.TypeFor[tea.Cmd](): // a batch or a sequence
		for i := range v.Len() {
			g.follow(v.Index(i).Interface().(tea.Cmd))
		}
	case v.Type() == reflect.TypeFor[tea.QuitMsg]():
		g.quit = true
	case strings.HasSuffix(v.Type().Name(), "printLineMessage"):
		g.printed = append(g.printed, strings.Split(v.Field(0).String(), "\n")...)
	default:
		g.send(msg)
	}
}

// work does the jobs as the worker would.
func (g *stage) work() {
	for !g.slow {
		select {
		case j := <-g.jobs:
			switch j.kind {
			case jobStart, jobDial:
				g.s.noted("start")
				if j.kind == jobDial {
					if g.away != nil {
						g.send(started{s: g.s, err: g.away})
						continue
					}
					g.s.again()
				}
				g.send(started{s: g.s, limit: g.s.idle})
			case jobPresence:
				g.send(carried{job: j, err: g.s.Presence()})
			case jobMessage:
				var events []client.Event
				g.s.handle = func(e client.Event) { events = append(events, e) }
				err := g.s.Message(j.letter.to, j.letter.id, j.letter.text)
				g.send(carried{job: j, err: err})
				for _, e := range events {
					g.send(e)
				}
			case jobCommand:
				r, err := desk{g.s}.do(g.t.Context(), j.command)
				g.send(carried{job: j, result: r, err: err})
			case jobLeave:
				g.s.noted("leave")
				g.send(left{})
			}
		default:
			return
		}
	}
}

// end ends the session as a server or a network would.
func (g *stage) end(end *client.End) {
	g.t.Helper()
	g.s.mu.Lock()
	g.s.end = end
	g.s.mu.Unlock()
	g.send(end)
}

// keys types text and keys named in angle brackets.
func (g *stage) keys(s string) {
	named := map[string]tea.KeyPressMsg{
		"enter": {Code: tea.KeyEnter}, "up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown}, "tab": {Code: tea.KeyTab}, "esc": {Code: tea.KeyEscape},
		"left": {Code: tea.KeyLeft}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd}, "bs": {Code: tea.KeyBackspace}, "del": {Code: tea.KeyDelete},
		"c-c": {Code: 'c', Mod: tea.ModCtrl}, "c-d": {Code: 'd', Mod: tea.ModCtrl}, "c-u": {Code: 'u', Mod: tea.ModCtrl}, "c-w": {Code: 'w', Mod: tea.ModCtrl},
		"c-r": {Code: 'r', Mod: tea.ModCtrl}, "c-k": {Code: 'k', Mod: tea.ModCtrl}, "c-j": {Code: 'j', Mod: tea.ModCtrl}, "s-tab": {Code: tea.KeyTab, Mod: tea.ModShift},
	}
	for s != "" {
		if name, rest, ok := strings.Cut(strings.TrimPrefix(s, "<"), ">"); ok && s[0] == '<' {
			k, known := named[name]
			if !known {
				g.t.Fatalf("no key %q", name)
			}
			g.send(k)
			s = rest
			continue
		}
		r := []rune(s)[0]
		g.send(tea.KeyPressMsg{Code: r, Text: string(r)})
		s = s[len(string(r)):]
	}
}

func (g *stage) expect(what ...string) {
	g.t.Helper()
	if got, want := strings.Join(g.printed, "\n"), strings.Join(what, "\n"); got != want {
		g.t.Errorf("printed\n%s\nwant\n%s", got, want)
	}
	g.printed = nil
}

func (g *stage) prompt(want string) {
	g.t.Helper()
	if got := g.m.View().Content; got != want {
		g.t.Errorf("prompt %q, want %q", got, want)
	}
}

const hello = "14:05 online as alice@localhost. Type help for commands,\n      logout to leave."

func TestLine(t *testing.T) {
	g := newStage(t)
	g.expect(hello)
	g.keys("whoelse<enter>")
	g.expect("> whoelse", "  1 other online", "  bob      since "+local("2026-11-22T09:12:04Z", &g.now))
	g.keys("whoelsesince 1h<enter>")
	g.expect("> whoelsesince 1h", "  2 others here since 13:05", "  bob      online", "  carol    left "+local("2026-11-22T13:51:07Z", &g.now))
	g.keys("broadcast lunch<enter>")
	g.expect("> broadcast lunch", "  to everyone: 2 people (delivered 14:05)")
	g.keys("block bob<enter>unblock bob<enter>")
	g.expect("> block bob", "  bob is blocked: no messages either way, and bob cannot", "  see you online.", "  bob is not told. Undo: unblock bob",
		"> unblock bob", "  bob is unblocked. What bob wrote meanwhile was not kept.")
	g.keys("message bbo hi<enter>mesage bob hi<enter>")
	g.expect("> message bbo hi", "  nobody here is called bbo. Did you mean bob?", "> mesage bob hi", `  no command "mesage". Did you mean: message bob hi`, "  (arrow-up to fix it)")
	g.keys("message bob a long text that needs more than one row, as one can see<enter>")
	g.expect("> message bob a long text that needs more than one row, as", "  one can see")
	bob := jid.MustParse("bob@localhost/x")
	g.send(client.Message{From: bob, Body: "one\ntwo \x1b[2J"})
	g.send(client.Message{From: bob.Bare(), Body: "x", Broadcast: true})
	g.send(client.Message{From: bob, Body: "old", Delayed: g.now.Add(-time.Hour)})
	g.send(client.Message{From: bob, Body: "older", Delayed: g.now.Add(-72 * time.Hour)})
	g.send(client.Presence{JID: bob.Bare(), Online: true})
	g.send(client.Presence{JID: bob.Bare(), News: true})
	g.send(client.Presence{JID: bob.Bare(), News: true, Online: true})
	g.expect("14:05 bob: one", "      two \uFFFD[2J", "14:05 bob (to everyone): x", "13:05 bob: old", "19 Nov 14:05 bob: older", "14:05 bob left", "14:05 bob is online")
	g.now = g.now.Add(7 * time.Minute)
	g.keys("logout<enter>")
	g.expect("> logout", "14:12 signed out. 7 minutes, 2 messages sent.")
	if !g.quit || g.m.exit != nil || !g.stopped {
		t.Errorf("quit %v, exit %v", g.quit, g.m.exit)
	}
}

// local is a time of day where the test runs.
func local(s string, now *time.Time) string {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return s
	}
	at = at.In(now.Location())
	return at.Format("15:04")
}

func TestKeys(t *testing.T) {
	g := newStage(t)
	for _, c := range []struct{ keys, prompt string }{
		{"", "> "},
		{"hello", "> hello"},
		{"<left><left><bs>", "> helo"},
		{"<home><del>", "> elo"},
		{"<end> wörld 日本", "> elo wörld 日本"},
		{"<c-w>", "> elo wörld "},
		{"<left><left><c-k>", "> elo wörl"},
		{"<c-u>", "> "},
		{"a<c-j>b", "> a↵\nb"},
		{"<c-c>", "> "},
		{"who<tab>", "> whoelse\n whoelse  whoelsesince"},
		{"<tab>", "> whoelsesince\n whoelse  whoelsesince"},
		{"<s-tab>", "> whoelse\n whoelse  whoelsesince"},
		{"<esc>", "> who"},
		{"<c-u>/bro<tab>", "> /broadcast "},
		{"<c-u>message c<tab>", "> message carol "},
		{"<c-u>block <tab>", "> block bob\n bob  carol"},
		{"x", "> block bobx"},
		{"<c-u>broadcast b<tab>", "> broadcast b"},
		{"<c-u>x<enter>y<enter>draft<up>", "> y"},
		{"<up><up><up>", "> x"},
		{"<down><down>", "> draft"},
		{"<c-c>", "> "},
		{"   <enter>", "> "},
	} {
		g.keys(c.keys)
		if got := g.m.View().Content; got != c.prompt {
			t.Errorf("after %q: %q, want %q", c.keys, got, c.prompt)
		}
	}
	g.keys("<c-c>")
	if !g.quit || g.m.exit != nil {
		t.Errorf("Ctrl-C on an empty line: quit %v, %v", g.quit, g.m.exit)
	}
	g = newStage(t)
	if g.keys("<c-d>"); !g.quit {
		t.Error("Ctrl-D on an empty line does not quit")
	}
	g = newStage(t)
	if g.send(stopSignal{}); !g.quit || g.m.exit != errInterrupted {
		t.Error("a signal does not quit")
	}
}

// A paste is text, whatever is in it, and tmux sends CR for its line breaks.
func TestPaste(t *testing.T) {
	g := newStage(t)
	g.printed = nil
	g.send(tea.PasteMsg{Content: "message bob one\rlogout\r\n\x1b[31mthree\r"})
	g.prompt("> message bob one↵\nlogout↵\n\uFFFD[31mthree")
	g.keys("<enter>")
	g.expect("> message bob one", "  logout", "  \uFFFD[31mthree")
	if did := g.s.all(); did[len(did)-1] != "message bob@localhost one\nlogout\n\uFFFD[31mthree" {
		t.Errorf("%q", did)
	}
	g.send(tea.PasteMsg{Content: "a\rb\rc\rd\re"})
	g.prompt("Paste 5 lines as one message? [y] paste [n] drop ")
	g.keys("<tab>x")
	g.keys("n")
	g.prompt("> ")
	g.send(tea.PasteMsg{Content: "a\nb\nc\nd"})
	g.keys("y")
	g.prompt("> a↵\nb↵\nc↵\nd")
	g.expect()
}

func TestLineEnds(t *testing.T) {
	g := newStage(t)
	g.printed = nil
	g.keys("message bob half a th")
	g.end(&client.End{Reason: client.Inactive, After: 10 * time.Minute})
	g.expect("14:05 You were signed out: nothing from you for 10 minutes", "      (rule of this server).",
		"      Draft to bob kept. Messages for you are kept on the", "      server.", "      Enter = sign in again, q = quit")
	g.prompt("> ")
	g.keys("whoelse<enter>message bob hi<enter>")
	g.expect("> whoelse", "  not done: no connection right now. Arrow-up brings it", "  back.",
		"> message bob hi", "  to bob (waiting)")
	g.away = &client.UnreachableError{Tried: []string{"x:1"}, Err: errors.New("off")}
	g.keys("<enter>")
	g.expect("14:05 signing in again ...", "14:05 Cannot reach x:1. Off", "      Enter = sign in again, q = quit")
	g.away = nil
	g.keys("<enter>")
	g.expect("14:05 signing in again ...", "14:05 online again as alice@localhost.", "  to bob (sent): hi")
	g.prompt("> message bob half a th")
	g.keys("<c-u>quick")
	g.prompt("> quick")
	g.keys("<c-u>")
	g.end(&client.End{Reason: client.Replaced, Text: "The same client has signed in again."})
	g.expect("14:05 Another session of yours took the place of this one:", "      The same client has signed in again.",
		"      Messages for you are kept on the server.", "      Enter = sign in again, q = quit")
	g.keys("q")
	g.expect()
	if !g.quit || g.m.exit == nil || g.m.exit.Code != exitEnded {
		t.Errorf("quit %v, exit %+v", g.quit, g.m.exit)
	}
}

func TestReconnect(t *testing.T) {
	g := newStage(t)
	g.printed = nil
	g.away = &client.UnreachableError{Tried: []string{"x:1"}, Err: errors.New("refused")}
	g.end(&client.End{Reason: client.Lost, Err: io.ErrUnexpectedEOF})
	lost := []string{"14:05 connection lost. Trying again: 1 s, 2 s, 4 s ... You", "      can go on writing."}
	g.expect(lost...)
	for range 8 {
		g.send(retry{g.m.link.round})
	}
	g.expect()
	// What is typed meanwhile waits, and goes out in order; what needs an answer is not done.
	g.keys("message bob still there?<enter>message carol and you?<enter>whoelse<enter>message a/b x<enter>")
	g.expect("> message bob still there?", "  to bob (waiting)", "> message carol and you?", "  to carol (waiting)",
		"> whoelse", "  not done: no connection right now. Arrow-up brings it", "  back.", "> message a/b x", "  nobody here is called a/b")
	g.now = g.now.Add(38 * time.Second)
	g.away = nil
	before := len(g.s.all())
	g.keys("<c-r>")
	g.expect("  not delivered to carol: Your message could not be", "  delivered as the recipient has blocked you.", "14:05 connected again after 38 s. Sent: 1 waiting message.")
	if did := g.s.all()[before:]; !slices.Equal(did, []string{"start", "message bob@localhost still there?", "message carol@localhost and you?"}) {
		t.Errorf("did %q", did)
	}
	g.send(retry{g.m.link.round}) // of a timer that is void now
	g.keys("whoelse<enter>")
	g.expect("> whoelse", "  1 other online", "  bob      since "+local("2026-11-22T09:12:04Z", &g.now))
	// What cannot be helped by waiting ends the attempts, and what waited is not sent.
	g.end(&client.End{Reason: client.Shutdown})
	g.expect("14:05 the server stopped. Trying again: 1 s, 2 s, 4 s ...", "      You can go on writing.")
	g.keys("message bob hi<enter>")
	g.away = client.ErrPassword
	g.keys("<enter>")
	g.expect("> message bob hi", "  to bob (waiting)", "14:05 Wrong name or password.", "      Enter = sign in again, q = quit")
	if g.keys("q"); !g.quit || g.m.exit.Code != exitSignIn {
		t.Errorf("quit %v, exit %+v", g.quit, g.m.exit)
	}
	// The first start fails for good.
	g = newStage(t)
	g.m.state = signingIn
	if g.send(started{s: g.s, err: &client.End{Reason: client.Shutdown}}); !g.quit || g.m.exit.Code != exitEnded {
		t.Errorf("quit %v, exit %+v", g.quit, g.m.exit)
	}
}

func TestIdleWarning(t *testing.T) {
	g := newStage(t)
	g.m.idle.limit = 10 * time.Minute
	g.keys("whoelse<enter>")
	g.printed = nil
	g.send(idleWarning{round: g.m.idle.round - 1, left: time.Minute}) // void: something was done meanwhile
	g.expect()
	g.send(idleWarning{round: g.m.idle.round, left: time.Minute})
	g.expect("14:05 no activity: you will be signed out at 14:06. Any key", "      keeps you in.")
	g.keys("xy")
	if did := g.s.all(); did[len(did)-1] != "presence" || did[len(did)-2] == "presence" {
		t.Errorf("did %q", did)
	}
}

// Rows are printed in order and never more at once than the screen has; the way of counting cells can change.
func TestPrinting(t *testing.T) {
	g := newStage(t)
	g.printed = nil
	g.send(tea.ModeReportMsg{Mode: ansi.ModeUnicodeCore, Value: ansi.ModeReset})
	if g.m.width.method != ansi.GraphemeWidth {
		t.Error("the terminal's answer was not heard")
	}
	g.send(tea.WindowSizeMsg{Width: 20, Height: 5})
	var lines []string
	for range 50 {
		lines = append(lines, "x")
		g.m.tell(plain("x"))
	}
	if _, cmd := g.m.Update(nil); cmd != nil || len(g.m.unprinted) != 50 {
		t.Error("printed before the prompt was drawn in the new size")
	}
	g.m.settling = 1 // the timers of both changes of size never came in this test
	g.send(settled{})
	if len(g.printed) != len(lines) {
		t.Errorf("%d rows printed", len(g.printed))
	}
	g.m.state = leaving
	g.prompt(" ")
}
