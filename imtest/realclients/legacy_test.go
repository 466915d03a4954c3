package realclients

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"parley/imtest"
)

// TestLegacy lets slixmpp sign in with SCRAM-SHA-1 and PLAIN, after auth.legacy has been turned on for a server that has
// accounts already.
func TestLegacy(t *testing.T) {
	imtest.Need(t, "python3-slixmpp")
	binary := buildParley(t)
	s := startServer(t, binary, "--auth-legacy")
	runChecks(t, s, "legacy")
	if said := s.output.String(); !strings.Contains(said, "2 accounts cannot sign in with SCRAM-SHA-1 yet") {
		t.Errorf("the server says %s", said)
	}
	// The server is down, and the command knows of auth.legacy all the same: only bob has not signed in with PLAIN.
	list := exec.Command(binary, "user", "list", "--data", s.dir)
	var stderr bytes.Buffer
	list.Stderr = &stderr
	if err := list.Run(); err != nil || !strings.HasPrefix(stderr.String(), "1 account cannot sign in with SCRAM-SHA-1 yet") {
		t.Errorf("user list: %v, %s", err, stderr.String())
	}
}
