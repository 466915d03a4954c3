package c2s_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/imtest"
	"parley/store"
	"parley/store/memory"
	"parley/store/sqlite"
	"parley/xmpp/stream"
)

// chat is a numbered message of about a kilobyte.
func chat(to string, n int) string {
	return fmt.Sprintf("<message to='%s@localhost' type='chat' id='m%d'><body>%s</body></message>", to, n, strings.Repeat("x", 900))
}

// numbered expects the messages from..to next, in order and each once; presence and the like between them is skipped.
func (p *peer) numbered(from, to int) {
	p.t.Helper()
	for n := from; n <= to; n++ {
		p.get("<message ")
		if head := p.get(">"); !strings.Contains(head, fmt.Sprintf(" id='m%d'", n)) {
			p.t.Fatalf("got %s instead of message %d", head, n)
		}
		p.get("</message>")
	}
}

// discard reads on for ever and forgets.
func (p *peer) discard() {
	for p.read() {
		p.got = ""
	}
}

const many = 3000

// TestReaderPauses: somebody who stops reading costs a bounded amount of memory and holds up nobody; when he reads on,
// on the same connection, everything is there, in order and once (catalogue C20, F10).
func TestReaderPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, roomOptions{}, "alice", "bob", "carol")
		bob, _ := r.join("bob", "b", true)
		alice, _ := r.join("alice", "a", true)
		carol, _ := r.join("carol", "c", true)
		before := heap()
		began := time.Now()
		for n := range many {
			alice.send(chat("bob", n))
		}
		alice.send(chat("carol", 0))
		carol.numbered(0, 0)
		carol.send(chat("alice", 0))
		alice.numbered(0, 0)
		if took := time.Since(began); took != 0 {
			t.Errorf("others waited %v for him", took)
		}
		grown := int64(heap()) - int64(before)
		t.Logf("%d messages wait: memory %+d KiB, of which the archives in memory take about %d", many, grown>>10, 2*many)
		time.Sleep(20 * time.Second)
		bob.numbered(0, many-1)
		alice.send(chat("bob", many))
		bob.numbered(many, many)
	})
}

// TestReaderIsSlow: the same for somebody who reads two kilobytes each second.
func TestReaderIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, roomOptions{}, "alice", "bob")
		bob, done := r.join("bob", "b", true)
		alice, _ := r.join("alice", "a", true)
		for n := range many {
			alice.send(chat("bob", n))
		}
		began := time.Now()
		bob.got = ""
		for next := 0; next < many; {
			time.Sleep(2 * time.Second)
			if !bob.read() {
				t.Fatalf("closed after %v at message %d: %v", time.Since(began), next, bob.err)
			}
			for strings.Contains(bob.got, "</message>") {
				bob.numbered(next, next)
				next++
			}
		}
		t.Logf("%d messages in %v", many, time.Since(began))
		select {
		case <-done:
			t.Error("his session has ended")
		default:
		}
	})
}

// TestReaderIsDead: whoever takes nothing for half a minute loses his connection, and no message.
func TestReaderIsDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, roomOptions{}, "alice", "bob")
		_, done := r.join("bob", "b", true)
		alice, _ := r.join("alice", "a", true)
		began := time.Now()
		for n := range many {
			alice.send(chat("bob", n))
		}
		alice.get("<presence from='bob@localhost/b' to='alice@localhost/a' type='unavailable'/>")
		<-done
		if took := time.Since(began); took > time.Minute {
			t.Errorf("closed after %v", took)
		}
		for n := range 10 { // while he is away
			alice.send(chat("bob", many+n))
		}
		alice.fence()
		bob, _ := r.join("bob", "b", false)
		bob.send("<presence/>")
		bob.numbered(0, many+9)
		alice.get("<presence from='bob@localhost/b' to='alice@localhost/a'/>")
	})
}

// TestReaderOverflows: of what nobody keeps, presence above all, so much cannot wait. He is told, and starts anew with
// the truth.
func TestReaderOverflows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, roomOptions{}, "alice", "bob")
		bob, done := r.join("bob", "b", true)
		alice, _ := r.join("alice", "a", true)
		go alice.discard()
		began := time.Now()
		for n := range 1000 {
			alice.send(fmt.Sprintf("<presence><status>%d%s</status></presence>", n, strings.Repeat("x", 900)))
		}
		time.Sleep(time.Second)
		bob.refused(stream.ResourceConstraint)
		if len(bob.got) > 1<<20 {
			t.Errorf("he was sent %d bytes", len(bob.got))
		}
		<-done
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("closed after %v", took)
		}
		bob, _ = r.join("bob", "b", false)
		bob.send("<presence/>")
		bob.get("<presence from='alice@localhost/a'")
		if status := bob.get("</presence>"); !strings.Contains(status, "<status>999x") {
			t.Errorf("believes %.100q", status)
		}
	})
}

// TestReaderDeaf: the same when he does not even read his stream error.
func TestReaderDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, roomOptions{}, "alice", "bob")
		_, done := r.join("bob", "b", true)
		alice, _ := r.join("alice", "a", true)
		go alice.discard()
		began := time.Now()
		for range 1000 {
			alice.send("<presence><status>" + strings.Repeat("x", 900) + "</status></presence>")
		}
		<-done
		if took := time.Since(began); took > time.Minute {
			t.Errorf("closed after %v", took)
		}
	})
}

// TestReaderOverTCP is TestReaderPauses where the system has buffers of its own, with and without TLS.
func TestReaderOverTCP(t *testing.T) {
	for _, tr := range []imtest.Transport{imtest.TCP, imtest.TLS} {
		t.Run(string(tr), func(t *testing.T) {
			many, engine := many, store.Engine(memory.New())
			long := os.Getenv("PARLEY_LONG") != ""
			if long {
				db, err := sqlite.Open(t.TempDir(), sqlite.Options{})
				if err != nil {
					t.Fatal(err)
				}
				many, engine = 20000, db // memory counts here, and archives are not to be in it
			}
			s := imtest.Start(t, imtest.Options{Transport: tr, Engine: engine})
			s.Account("alice", "bob", "carol")
			bob := dial(t, s)
			bob.toSASL()
			bob.signIn("bob")
			bob.bind("b")
			bob.send("<presence/>")
			bob.fence()
			alice, carol := s.Online(t, "alice/a"), s.Online(t, "carol/c")
			before := heap()
			for n := range many {
				alice.Send(chat("bob", n))
			}
			alice.Send(chat("carol", 0))
			for carol.Next().ID != "m0" {
				continue
			}
			grown := int64(heap()) - int64(before)
			t.Logf("%d messages wait: memory %+d KiB", many, grown>>10)
			if long && grown > 16<<20 {
				t.Errorf("memory grew by %d KiB", grown>>10)
			}
			bob.numbered(0, many-1)
		})
	}
}

// TestReaderBreaksOff: the connection breaks while much is under way. What he got by then and what he gets from then on
// is everything, in order.
func TestReaderBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, roomOptions{}, "alice", "bob")
		alice, _ := r.join("alice", "a", true)
		bob, done := r.join("bob", "b", true)
		for n := range many {
			alice.send(chat("bob", n))
		}
		next := 0 // the first that he does not have
		for range 5 {
			bob.got = ""
			for range 40 + 37*next%61 {
				if !bob.read() {
					t.Fatal(bob.err)
				}
			}
			bob.close()
			for {
				head, rest, found := strings.Cut(bob.got, "</message>")
				if !found {
					break
				}
				bob.got = rest
				var n int
				_, id, _ := strings.Cut(head, " id='m")
				if _, err := fmt.Sscanf(id, "%d'", &n); err != nil || n > next {
					t.Fatalf("message %q instead of %d or one that was there already", id[:min(20, len(id))], next)
				}
				next = max(next, n+1)
			}
			<-done
			bob, done = r.join("bob", "b", false)
			bob.send("<presence/>")
		}
		t.Logf("%d messages came before the last connection", next)
		if next == 0 || next == many {
			t.Error("nothing was tested")
		}
		bob.get("<message ")
		head := bob.get(">")
		var first int
		_, id, _ := strings.Cut(head, " id='m")
		if _, err := fmt.Sscanf(id, "%d'", &first); err != nil || first > next {
			t.Fatalf("message %d instead of %d or one that was there already", first, next)
		}
		bob.get("</message>")
		bob.numbered(first+1, many-1)
	})
}
