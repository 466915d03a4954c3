package realclients

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/imtest"
)

// logs waits until what profanity has logged, its stanzas among that, has the text so many times.
func logs(t *testing.T, p *screen, text string, times int) {
	t.Helper()
	var log []byte
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		log, _ = os.ReadFile(filepath.Join(p.home, "profanity", "logs", "profanity.log"))
		if strings.Count(string(log), text) >= times {
			return
		}
	}
	t.Fatalf("profanity has not logged %q %d times:\n%s", text, times, tail(string(log), 5000))
}

// TestProfanityManagement restarts and kills the server under profanity, which signs in again by itself: with stream
// management (XEP-0198), what is written meanwhile arrives once. After an order to end the stream, libstrophe 0.12.2 has
// forgotten its session and binds a new one; after a lost connection it resumes.
func TestProfanityManagement(t *testing.T) {
	imtest.Need(t, "profanity")
	s := startServer(t, buildParley(t))
	alice, bob := profanity(t, s, "alice", "/reconnect 1"), profanity(t, s, "bob", "/reconnect 1")
	for _, p := range []*screen{alice, bob} {
		logs(t, p, `<enabled id=`, 1)
	}
	bob.enter("/msg alice@localhost hello")
	alice.shows("chat message: bob")
	alice.enter("/win 2")
	alice.shows("hello")

	t.Log("the server restarts while alice does not look")
	alice.signal(syscall.SIGSTOP)
	s.obey(t, "stop")
	s.obey(t, "start")
	logs(t, bob, `<enabled id=`, 2)
	bob.enter("while it restarted")
	bob.enter("/ping")
	bob.enter("/win 1")
	bob.shows("Ping response from server")
	alice.signal(syscall.SIGCONT)
	alice.shows("while it restarted")
	logs(t, alice, `<enabled id=`, 2)
	bob.enter("/win 2")
	bob.enter("it is back")
	alice.shows("it is back")
	alice.once("while it restarted") // when the server is killed right after it, it may come again

	t.Log("the server is killed while alice does not look")
	alice.signal(syscall.SIGSTOP)
	s.obey(t, "kill")
	s.obey(t, "start")
	logs(t, bob, `<resumed `, 1)
	bob.enter("while it was killed")
	bob.enter("/ping")
	alice.signal(syscall.SIGCONT)
	alice.shows("while it was killed")
	logs(t, alice, `<resumed `, 1)
	alice.enter("and back")
	bob.shows("and back")
	bob.enter("the last")
	alice.shows("the last")
	alice.once("while it was killed")

	t.Log("a second device: history and copies")
	desk := profanity(t, s, "alice", "/mam on")
	logs(t, desk, "urn:xmpp:mam:2", 1) // before it knows that there is an archive, it does not ask for it, and not later either
	desk.enter("/msg bob@localhost")
	desk.shows("hello", "while it restarted", "while it was killed", "and back", "the last")
	alice.enter("from the first device")
	desk.shows("from the first device")
	bob.enter("to both devices")
	desk.shows("to both devices")
	alice.shows("to both devices")
	desk.once("from the first device")
	t.Run("the server stops in order", s.stop)
}
