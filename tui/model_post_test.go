package tui

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"parley/client"
	"parley/xmpp/jid"
	"parley/xmpp/words"
)

// What went out and was not accepted before the connection broke is the next session's; what could not go out waits and
// goes out in order; all of it is told.
func TestKeptOverALoss(t *testing.T) {
	g := newStage(t)
	g.keys("message bob safe<enter>")
	g.s.deaf = true
	g.keys("message bob one<enter>message carol two<enter>")
	g.printed = nil
	g.s.mu.Lock()
	g.s.end = &client.End{Reason: client.Lost} // which is not known here yet
	g.s.mu.Unlock()
	g.keys("message bob three<enter>message bob four<enter>")
	g.expect("> message bob three", "  to bob (waiting)", "> message bob four", "  to bob (waiting)")
	g.send(g.s.end)
	g.expect("14:05 connection lost. Trying again: 1 s, 2 s, 4 s ... You", "      can go on writing.")
	g.send(doubt{"id2"})
	g.send(doubt{"id4"})
	g.expect("  to bob (waiting): one")
	before := len(g.s.all())
	g.s.resumed = true
	g.keys("<enter>")
	g.expect() // nothing is accepted yet
	if did := g.s.all()[before:]; !slices.Equal(did, []string{"start", "message bob@localhost three", "message bob@localhost four"}) {
		t.Errorf("did %q", did)
	}
	for i := 2; i <= 5; i++ {
		g.send(client.Accepted{ID: fmt.Sprint("id", i)})
	}
	g.expect("14:05 connected again after 0 s, nothing missed. Sent: 3", "      waiting messages.")
	// Leaving while something waits is no success; too much does not wait.
	g.away = &client.UnreachableError{Tried: []string{"x:1"}, Err: errors.New("refused")}
	g.end(&client.End{Reason: client.Lost})
	g.keys("message bob hi<enter>")
	for range maxLetterBytes / maxTyped {
		g.m.message(words.Line{Verb: "message", User: "bob", Text: strings.Repeat("x", maxTyped)})
	}
	g.send(nil)
	if last := strings.Join(g.printed, " "); !strings.Contains(last, "too much is waiting already.") || len(g.m.box.list) != maxLetterBytes/maxTyped {
		t.Errorf("%d wait, printed %q", len(g.m.box.list), last)
	}
	g.printed = nil
	g.keys("logout<enter>")
	if !g.quit || g.m.exit == nil || g.m.exit.What != fmt.Sprintf("not confirmed: %d messages", maxLetterBytes/maxTyped) || g.printed[1] != "  to bob (not confirmed): hi" {
		t.Errorf("quit %v, exit %+v, %q", g.quit, g.m.exit, g.printed)
	}
}

// What the worker has at the moment of a loss stays before what is behind it, whether it went out or not.
func TestLossOnTheWay(t *testing.T) {
	for _, out := range []bool{false, true} {
		g := newStage(t)
		g.slow = true
		g.keys("message bob one<enter>message bob two<enter>whoelse<enter>")
		g.printed = nil
		end := &client.End{Reason: client.Lost}
		g.end(end)
		first := <-g.jobs
		if out {
			g.send(carried{job: first})
		} else {
			g.send(carried{job: first, err: end})
		}
		var texts []string
		for _, l := range g.m.box.waiting() {
			texts = append(texts, l.text)
		}
		said := strings.Join(g.printed, " ")
		if got := strings.Join(texts, " "); !out && got != "one two" || out && got != "two" {
			t.Errorf("went out %v: %q waits", out, got)
		}
		if !strings.Contains(said, "whoelse not done") || strings.Contains(said, "(waiting): one") == out {
			t.Errorf("went out %v: printed %q", out, said)
		}
		// The server signs us out for good: they go on waiting, for the person to sign in again.
		g.m.state = here
		g.end(&client.End{Reason: client.Replaced})
		if len(g.m.box.list) != 2 {
			t.Errorf("%d wait", len(g.m.box.list))
		}
	}
}

// What comes while we sign in is told behind that we are online, and all the same when we never are.
func TestEarly(t *testing.T) {
	for _, err := range []error{nil, &client.End{Reason: client.Lost}} {
		g := newStage(t)
		g.printed, g.m.state = nil, signingIn
		g.send(client.Message{From: jid.MustParse("bob@localhost/x"), Body: "early"})
		g.expect()
		g.send(started{s: g.s, err: err})
		want := []string{"14:05 bob: early"}
		if err == nil {
			want = append([]string{hello}, want...)
		}
		g.expect(want...)
	}
	g := newStage(t)
	g.end(&client.End{Reason: client.Lost})
	g.slow, g.printed = true, nil
	g.keys("<enter>") // dials
	g.send(client.Message{From: jid.MustParse("bob@localhost/x"), Body: "missed"})
	g.send(client.CaughtUp{Messages: 1})
	g.expect()
	g.send(started{s: g.s})
	g.expect("14:05 connected again after 0 s.", "14:05 bob: missed", "14:05 1 message from meanwhile fetched.")
}

// A letter is told of once it is delivered, or when nothing was heard of it for a moment; never twice the same, and from
// nobody but the recipient.
func TestWaitingAcceptedDelivered(t *testing.T) {
	g := newStage(t)
	bob := jid.MustParse("bob@localhost/x")
	say := func(line string) {
		g.keys(line + "<enter>")
		g.printed = nil
	}
	g.s.online = true
	say("message bob quick")
	g.send(client.Delivered{ID: "id1", By: bob})
	g.send(client.Delivered{ID: "id1", By: bob})
	g.send(doubt{"id1"})
	g.expect("  to bob (delivered 14:05)")
	say("message bob slow")
	g.send(client.Delivered{ID: "id2", By: jid.MustParse("carol@localhost")}) // a liar
	g.send(doubt{"id2"})
	g.expect("  to bob (sent)")
	g.send(client.Delivered{ID: "id2", By: bob, At: g.now.Add(-time.Minute)})
	g.send(client.Delivered{ID: "id2", By: bob, Read: true})
	g.send(client.Delivered{ID: "id2", By: bob})
	g.expect("  to bob (delivered 14:04): slow", "  to bob (read 14:05): slow")
	say("message bob first\u2028\x1b")
	say("message bob second")
	g.send(client.Delivered{ID: "id3", By: bob, Read: true})
	g.send(client.Delivered{ID: "id4", By: bob})
	g.expect("  to bob (read 14:05): first\uFFFD\uFFFD", "  to bob (delivered 14:05)")
	// The server is slow.
	g.s.deaf = true
	say("message bob stuck")
	g.send(doubt{"id5"})
	g.send(client.Accepted{ID: "id5"})
	g.send(client.Accepted{ID: "id5"})
	g.expect("  to bob (waiting)", "  to bob (sent): stuck")
	// Nobody is there to take it.
	g.s.deaf, g.s.online = false, false
	g.keys("message bob later<enter>")
	g.expect("> message bob later", "  to bob (waiting: bob is offline, gets it at next sign-in)")
	g.send(client.CaughtUp{Messages: 2})
	g.send(client.CaughtUp{Messages: 500, More: true})
	g.expect("14:05 2 messages from meanwhile fetched.", "14:05 500 messages from meanwhile fetched. There were more:", "      those between these and now stay on the server.")
}
