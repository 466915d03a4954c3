package c2s_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/c2s"
	"parley/xmpp/stream"
)

// acts are what clients send, and whether a person did it (docs/protocol.md, "Timeout").
var acts = []struct {
	name, text string
	counts     bool
}{
	{"message", "<message to='bob@localhost' type='chat'><body>hi</body></message>", true},
	{"message to nobody", "<message to='nobody@localhost' type='chat'><body>hi</body></message>", true},
	{"encrypted message", "<message to='bob@localhost' type='chat'><encrypted xmlns='eu.siacs.conversations.axolotl'/></message>", true},
	{"message with a receipt in it", "<message to='bob@localhost' type='chat'><body>hi</body><received xmlns='urn:xmpp:receipts' id='x'/></message>", true},
	{"reaction", "<message to='bob@localhost' type='chat'><reactions xmlns='urn:xmpp:reactions:0' id='x'/></message>", true},
	{"correction", "<message to='bob@localhost' type='chat'><replace xmlns='urn:xmpp:message-correct:0' id='x'/></message>", true},
	{"retraction", "<message to='bob@localhost' type='chat'><retract xmlns='urn:xmpp:message-retract:1' id='x'/></message>", true},
	{"typing", "<message to='bob@localhost' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>", true},
	{"having read", "<message to='bob@localhost' type='chat'><displayed xmlns='urn:xmpp:chat-markers:0' id='x'/></message>", true},
	{"presence", "<presence><show>away</show></presence>", true},
	{"presence to somebody", "<presence to='bob@localhost'/>", true},
	{"leaving", "<presence type='unavailable'/>", true},
	{"roster", "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='x@localhost'/></query></iq>", true},
	{"block", "<iq type='set' id='1'><block xmlns='urn:xmpp:blocking'><item jid='x@localhost'/></block></iq>", true},
	{"command", "<iq type='set' id='1' to='localhost'><command xmlns='http://jabber.org/protocol/commands' node='x'/></iq>", true},

	{"nothing", "", false},
	{"white space", " ", false},
	{"ping", "<iq type='get' id='1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>", false},
	{"answer to a ping", "<iq type='result' id='1' to='bob@localhost/b'/>", false},
	{"error", "<iq type='error' id='1' to='bob@localhost/b'/>", false},
	{"roster, asked for", "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>", false},
	{"disco", "<iq type='get' id='1' to='localhost'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", false},
	{"archive", "<iq type='set' id='1'><query xmlns='urn:xmpp:mam:2'/></iq>", false},
	{"carbons", "<iq type='set' id='1'><enable xmlns='urn:xmpp:carbons:2'/></iq>", false},
	{"client state", "<iq type='set' id='1'><active xmlns='urn:xmpp:csi:0'/></iq>", false},
	{"receipt", "<message to='bob@localhost'><received xmlns='urn:xmpp:receipts' id='x'/></message>", false},
	{"marker of arrival", "<message to='bob@localhost'><received xmlns='urn:xmpp:chat-markers:0' id='x'/></message>", false},
	{"no longer typing", "<message to='bob@localhost' type='chat'><paused xmlns='http://jabber.org/protocol/chatstates'/></message>", false},
	{"bounce", "<message to='bob@localhost' type='error'><body>hi</body></message>", false},
	{"idle presence", "<presence><show>away</show><idle xmlns='urn:xmpp:idle:1' since='2026-01-01T00:00:00Z'/></presence>", false},
	{"probe", "<presence type='probe' to='bob@localhost'/>", false},
	{"receiving", "receiving", false},
}

// TestTimeout: a session is ended once its person has done nothing for the whole timeout, to the second, and everybody
// hears why. What a program does by itself does not count.
func TestTimeout(t *testing.T) {
	const timeout = 300 * time.Second
	for _, c := range acts {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRoom(t, roomOptions{Config: c2s.Config{Settings: c2s.Settings{Timeout: timeout}}}, "alice", "bob")
				alice, done := r.join("alice", "a", true)
				began := time.Now()
				hers := alice.follow()
				time.Sleep(100 * time.Second)
				bob, _ := r.join("bob", "b", true)
				his := bob.follow()
				time.Sleep(100 * time.Second)
				if c.text == "receiving" {
					bob.send("<message to='alice@localhost' type='chat'><body>hi</body></message>")
				} else if c.text != "" {
					alice.send(c.text)
				}
				<-hers
				<-done
				want := timeout
				if c.counts {
					want += 200 * time.Second
				}
				if took := time.Since(began); took != want {
					t.Errorf("ended after %v instead of %v", took, want)
				}
				if !strings.HasSuffix(alice.got, "<stream:error><policy-violation xmlns='"+stream.NSError+"'/>"+
					"<text xmlns='"+stream.NSError+"'>Logged out after 300 seconds without activity.</text>"+
					"<inactive xmlns='urn:parley:0' seconds='300'/></stream:error></stream:stream>") {
					t.Errorf("closed with %q", alice.got)
				}
				<-his
				gone := "<presence from='alice@localhost/a' to='bob@localhost/b' type='unavailable'><status>Logged out: inactive</status></presence>"
				if told := strings.Contains(bob.got, gone); told == c.counts && c.name != "receiving" { // when it counts, he was gone before her
					t.Errorf("bob was told: %v, in %q", told, bob.got)
				}
			})
		})
	}
}

// TestTimeoutPerSession: what somebody does on one device does not keep another one.
func TestTimeoutPerSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, roomOptions{Config: c2s.Config{Settings: c2s.Settings{Timeout: time.Minute}}}, "alice")
		desk, gone := r.join("alice", "desk", true)
		phone, done := r.join("alice", "phone", true)
		read := desk.follow()
		phone.follow()
		for range 4 {
			time.Sleep(20 * time.Second)
			phone.send("<message to='alice@localhost/phone' type='chat'><body>hi</body></message>")
		}
		<-read
		<-gone
		desk.refused(stream.PolicyViolation)
		select {
		case <-done:
			t.Error("the phone was logged out, too")
		default:
		}
	})
}
