package c2s_test

import (
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"parley/c2s"
	"parley/imtest"
	"parley/xmpp/stream"
)

const (
	wrongAnswer = "<failure xmlns='" + stream.NSSASL + "'><not-authorized/><text xml:lang='en'>Wrong name or password.</text></failure>"
	lockAnswer  = "<failure xmlns='" + stream.NSSASL + "'><temporary-auth-failure/><text xml:lang='en'>Too many wrong passwords. Try again in "
)

// lock uses up somebody's three attempts on one stream.
func lock(p *peer, name string) {
	p.t.Helper()
	for range 2 {
		if answer := p.attempt(name, "wrong password"); answer != wrongAnswer {
			p.t.Fatalf("wrong password: %s", answer)
		}
	}
	if answer := p.attempt(name, "wrong password"); !strings.HasPrefix(answer, lockAnswer) {
		p.t.Fatalf("third wrong password: %s", answer)
	}
	p.refused(stream.PolicyViolation)
}

// refusedAtOnce tells whether an exchange is refused at its first message, before any proof.
func refusedAtOnce(p *peer, name string) bool {
	p.t.Helper()
	p.send(firstMessage("n,,n=" + name + ",r=abc"))
	refused := strings.HasPrefix(p.element(), lockAnswer)
	if refused {
		p.refused(stream.PolicyViolation)
	}
	p.close()
	return refused
}

// TestLockout: three wrong passwords, and the right one does not help until the time is over. Then it does, and the
// counting begins anew.
func TestLockout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRoom(t, roomOptions{block: time.Minute}, "alice", "bob")
		sasl := func() *peer {
			p, _ := r.connect(c2s.Insecure)
			p.toSASL()
			return p
		}
		for range 2 {
			p := sasl()
			for range 2 {
				if p.attempt("alice", "wrong password") != wrongAnswer {
					t.Fatal("two attempts")
				}
			}
			p.signIn("alice") // which forgets them
			p.close()
		}
		p := sasl()
		if p.attempt("alice", "wrong password") != wrongAnswer {
			t.Fatal("one attempt")
		}
		p.close() // another stream is no new beginning
		p = sasl()
		if p.attempt("alice", "wrong password") != wrongAnswer {
			t.Fatal("two attempts")
		}
		if answer := p.attempt("alice", "wrong password"); answer != lockAnswer+"60 seconds.</text></failure>" {
			t.Fatalf("three attempts: %s", answer)
		}
		p.refused(stream.PolicyViolation)
		for _, name := range []string{"alice", "ALICE", "ＡＬＩＣＥ"} {
			if !refusedAtOnce(sasl(), name) {
				t.Errorf("%s may try", name)
			}
		}
		time.Sleep(59 * time.Second)
		p = sasl()
		p.send(firstMessage("n,,n=alice,r=abc"))
		if answer := p.element(); answer != lockAnswer+"1 second.</text></failure>" {
			t.Errorf("a second before the end: %s", answer)
		}
		sasl().signIn("bob")
		time.Sleep(time.Second)
		sasl().signIn("alice")
		lock(sasl(), "alice")
	})
}

// TestLockoutScope: who is shut out.
func TestLockoutScope(t *testing.T) {
	for scope, everywhere := range map[string]bool{"source": false, "account": true} {
		t.Run(scope, func(t *testing.T) {
			s := imtest.Start(t, imtest.Options{Transport: imtest.TCP, Settings: map[string]string{"lockout.scope": scope}})
			s.Account("alice")
			p := dial(t, s)
			p.toSASL()
			lock(p, "alice")
			p = dial(t, s)
			p.toSASL()
			if !refusedAtOnce(p, "alice") {
				t.Error("alice may try from where she was locked out")
			}
			near, far := net.Pipe() // counts as another address: [::1]
			s.Clients().Carry(t.Context(), far, c2s.Insecure)
			p = newPeer(t, near)
			p.toSASL()
			if refusedAtOnce(p, "alice") != everywhere {
				t.Errorf("refused from elsewhere: %v", !everywhere)
			}
		})
	}
}

// TestLockoutAtOnce: attempts on many connections at the same time get no more answers than attempts one by one
// (catalogue C16, F13c).
func TestLockoutAtOnce(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.TCP})
	s.Account("alice")
	var peers []*peer
	for range 20 {
		p := dial(t, s)
		p.toSASL()
		peers = append(peers, p)
	}
	var mu sync.Mutex
	answers := map[string]int{}
	var work sync.WaitGroup
	for _, p := range peers {
		work.Go(func() {
			answer := p.attempt("alice", "wrong password")
			mu.Lock()
			defer mu.Unlock()
			if strings.HasPrefix(answer, lockAnswer) {
				answer = lockAnswer
			}
			answers[answer]++
		})
	}
	work.Wait()
	if answers[wrongAnswer] != 2 || answers[lockAnswer] != 18 {
		t.Errorf("answers: %v", answers)
	}
	p := dial(t, s)
	p.toSASL()
	if !refusedAtOnce(p, "alice") {
		t.Error("alice may try")
	}
}

// TestUnknownNames: a name without an account gets the same bytes as one that has one, but for what is random
// (catalogue C15).
func TestUnknownNames(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.TCP})
	s.Account("alice")
	random := regexp.MustCompile(`r=[^,]*,s=([^,]*),|id='[^']*'`)
	talk := func(name string) (said, salts string) {
		p := dial(t, s)
		p.toSASL()
		for range 3 {
			p.send(firstMessage("n,,n=" + name + ",r=abcdefgh"))
			challenge := p.challenge()
			nonce := strings.TrimPrefix(strings.Split(challenge, ",")[0], "r=")
			salts += random.FindStringSubmatch(challenge)[1] + " "
			said += random.ReplaceAllStringFunc(challenge, func(s string) string { return strings.Repeat("*", len(s)) })
			p.send(proofMessage("c=biws,r=" + nonce + ",p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
			said += p.element()
		}
		return said + p.end(), salts
	}
	known, salt := talk("alice")
	for _, name := range []string{"nobody", "nemo"} {
		unknown, other := talk(name)
		if unknown != known {
			t.Errorf("%s is told\n%s\nand alice\n%s", name, unknown, known)
		}
		if salt := strings.Fields(other); salt[0] != salt[1] || salt[1] != salt[2] {
			t.Errorf("%s: the salt changes: %v", name, salt)
		}
		if other == salt {
			t.Errorf("%s has the salt of alice", name)
		}
		p := dial(t, s)
		p.toSASL()
		if !refusedAtOnce(p, name) {
			t.Errorf("%s may try", name)
		}
	}
}

// TestSessions: an account has 20 sessions at the most; one with a resource that is there already takes its place.
func TestSessions(t *testing.T) {
	r := newRoom(t, roomOptions{}, "alice")
	bind := "<iq type='set' id='b'><bind xmlns='" + stream.NSBind + "'><resource>"
	var peers []*peer
	for i := range 20 {
		p, _ := r.join("alice", string(rune('a'+i)), false)
		peers = append(peers, p)
	}
	late, _ := r.connect(c2s.Insecure)
	late.toSASL()
	late.signIn("alice")
	late.send(bind + "new</resource></bind></iq>")
	late.get("<error type='wait'><resource-constraint ")
	late.send(bind + "c</resource></bind></iq>")
	peers[2].refused(stream.Conflict)
	late.get("<jid>alice@localhost/c</jid>")
	late.fence()
	peers[3].fence()
	peers[3].close()
	for {
		late, _ = r.connect(c2s.Insecure)
		late.toSASL()
		late.signIn("alice")
		late.send(bind + "new</resource></bind></iq>")
		late.get("<iq ")
		if strings.Contains(late.get(">"), "result") {
			return
		}
		late.close()
		time.Sleep(time.Millisecond)
	}
}
