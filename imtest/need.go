// Package imtest is the test harness: a server in one call and scripted dialogues. Only tests import it.
package imtest

import (
	"os"
	"os/exec"
	"testing"
)

// Need skips the test when something that it uses is not installed on this machine. In CI, where .ci/run installs all
// of it, nothing may be skipped: there a missing tool fails the test. what is "python3-slixmpp" (Debian's package, for
// /usr/bin/python3) or else the name of a program that must be found in PATH.
func Need(t testing.TB, what string) {
	t.Helper()
	if err := find(what); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("this test needs %s: %v (CI=true: nothing may be skipped, .ci/run must install it)", what, err)
		}
		pkg := what
		if what == "mkfs.ext4" {
			pkg = "e2fsprogs"
		}
		t.Skipf("this test needs %s: %v; apt-get install %s", what, err, pkg)
	}
}

func find(what string) error {
	if what == "python3-slixmpp" {
		return exec.Command("/usr/bin/python3", "-c", "import slixmpp").Run()
	}
	_, err := exec.LookPath(what)
	return err
}
