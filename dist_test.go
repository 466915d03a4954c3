package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const unitFile = "dist/parley.service"

// maxExposure is how much of the system a break-in at the server may reach, as systemd-analyze counts it: 0 nothing, 10 all.
const maxExposure = 1.5

// TestUnit checks the unit with systemd's own tools: that it understands every line, and how far the server is shut in.
func TestUnit(t *testing.T) {
	text, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Type=notify", "ExecReload=/bin/kill -HUP $MAINPID", "StateDirectory=parley", "WatchdogSec=30", "Restart=always"} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("the unit lacks %s", line)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here; on Debian it is in the package systemd")
	}
	out, err := exec.Command(analyze, "security", "--offline=yes", "--no-pager", unitFile).CombinedOutput()
	score := regexp.MustCompile(`exposure level for parley.service: ([0-9.]+)`).FindSubmatch(out)
	if score == nil {
		t.Fatalf("no score: %v\n%s", err, out)
	}
	exposure, err := strconv.ParseFloat(string(score[1]), 64)
	if err != nil || exposure > maxExposure {
		t.Errorf("exposure %s, at most %v\n%s", score[1], maxExposure, out)
	}
	t.Logf("exposure %s", score[1])

	// What it starts need not be on this computer.
	here := strings.NewReplacer("/usr/local/bin/parley", "/bin/true", "Documentation=", "#").Replace(string(text))
	name := filepath.Join(t.TempDir(), "parley.service")
	if err := os.WriteFile(name, []byte(here), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ = exec.Command(analyze, "verify", "--man=no", name).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "parley.service") {
			t.Errorf("systemd does not understand the unit: %s", line)
		}
	}
}
