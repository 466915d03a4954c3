package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// backupDialogue backs up and restores a data directory, which has the accounts alice and bob; it is the same whether a
// server runs there or not. DIR stands for a directory of the test's own, TIME for the time.
func backupDialogue(t *testing.T, data string) {
	dir := t.TempDir()
	for name, text := range map[string]string{"notes.txt": "hello", "parley.tar.gz": "\x1f\x8b", "full/x": "x"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"PARLEY_AUTH_ITERATIONS": "4096"}
	again := func(data string) string {
		return "  fix  another directory:  --data " + strings.ReplaceAll(quoted(besides(filepath.Join(dir, data))), dir, "DIR") + "\n"
	}
	for _, step := range []struct {
		line     string
		code     int
		out, err string
	}{
		{"backup", 2, "", "error: parley backup needs a FILE\n  fix  parley backup FILE\n"},
		{"backup DIR --data DATA", 2, "", "error: DIR is a directory\n  fix  parley backup DIR/parley.tar\n"},
		{"backup DIR/notes.txt --data DATA", 1, "", "error: DIR/notes.txt exists already; nothing was written\n  fix  another name\n       or  replace it:  --force\n"},
		{"backup DIR/none/b.tar --data DATA", 1, "", "error: cannot write DIR/none/b.tar\n  why  no such file or directory\n  fix  another place for it:  parley backup FILE\n"},
		{"backup DIR/b.tar --data DIR/full", 1, "", "error: there is nothing to back up in DIR/full\n  why  no server has kept anything there yet\n  fix  the directory of the server:  --data DIR\n"},
		{"backup DIR/b.tar --data DIR/none", 1, "", "error: there is nothing to back up in DIR/none\n  why  no server has kept anything there yet\n  fix  the directory of the server:  --data DIR\n"},
		{"backup DIR/b.tar --data DATA", 0, "Backed up localhost to DIR/b.tar: 2 accounts, 0 archived messages.\n", ""},
		{"backup DIR/b.tar --data DATA", 1, "", "error: DIR/b.tar exists already; nothing was written\n  fix  another name\n       or  replace it:  --force\n"},
		{"backup DIR/b.tar --force --data DATA", 0, "Backed up localhost to DIR/b.tar: 2 accounts, 0 archived messages.\n", ""},
		{"restore", 2, "", "error: parley restore needs a FILE\n  fix  parley restore FILE\n"},
		{"restore DIR/none --data DIR/new", 1, "", "error: cannot read DIR/none\n  why  no such file or directory\n  fix  parley restore FILE\n"},
		{"restore DIR --data DIR/new", 2, "", "error: DIR is not a file\n  fix  parley restore FILE\n"},
		{"restore DIR/notes.txt --data DIR/new", 1, "", "error: DIR/notes.txt is not a backup of parley; nothing was restored\n  fix  a file that  parley backup FILE  has written\n"},
		{"restore DIR/parley.tar.gz --data DIR/new", 1, "", "error: DIR/parley.tar.gz is not a backup of parley; nothing was restored\n" +
			"  why  by its name it is packed: unpack it first\n  fix  a file that  parley backup FILE  has written\n"},
		{"restore DIR/b.tar --data DIR/full", 1, "", "error: DIR/full is not empty; nothing was restored\n  why  a backup is never restored over what is there\n" + again("full")},
		{"restore DIR/b.tar --data DIR/new/data", 0, "Restored localhost into DIR/new/data, as it was at TIME: 2 accounts, 0 archived messages.\n", ""},
		{"restore DIR/b.tar --data DIR/new/data", 1, "", "error: DIR/new/data is not empty; nothing was restored\n  why  a backup is never restored over what is there\n" + again("new/data")},
		{"user list --data DIR/new/data", 0, "alice@localhost  added DAY\nbob@localhost    added DAY\n", ""},
		{"backup DIR/b2.tar --data DIR/new/data", 0, "Backed up localhost to DIR/b2.tar: 2 accounts, 0 archived messages.\n", ""},
	} {
		t.Run(step.line, func(t *testing.T) {
			words := strings.NewReplacer("DIR", dir, "DATA", data)
			r := runCLI(t, env, "", strings.Fields(words.Replace(step.line))...)
			out := regexp.MustCompile(`at \d\d:\d\d on \d+ [A-Z][a-z]{2} \d{4}`).ReplaceAllString(strings.ReplaceAll(r.out, dir, "DIR"), "at TIME")
			out = regexp.MustCompile(`added \d+ [A-Z][a-z]{2} \d{4}`).ReplaceAllString(out, "added DAY")
			if got := strings.ReplaceAll(r.err, dir, "DIR"); r.code != step.code || out != step.out || got != step.err {
				t.Errorf("exit %d, want %d\n%s%s\nwant\n%s%s", r.code, step.code, out, got, step.out, step.err)
			}
		})
	}
	info, err := os.Stat(filepath.Join(dir, "b.tar"))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
	list, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(list) > 0 {
		t.Errorf("left behind: %v, %v", list, err)
	}
}

// people makes the accounts of the dialogue.
func people(t *testing.T, data string) {
	t.Helper()
	for _, name := range []string{"alice", "bob"} {
		if r := runCLI(t, map[string]string{"PARLEY_AUTH_ITERATIONS": "4096"}, "", "user", "add", name, "--make-password", "--data", data); r.code != 0 {
			t.Fatal(r.err)
		}
	}
}

func TestBackupWithoutServer(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	people(t, data)
	backupDialogue(t, data)
}

func TestBackupWithServer(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data)
	people(t, data)
	backupDialogue(t, data)
	file := filepath.Join(t.TempDir(), "b.tar")
	if r := runCLI(t, nil, "", "backup", file, "--data", data); r.code != 0 {
		t.Fatal(r.err)
	}
	r := runCLI(t, nil, "", "restore", file, "--data", data)
	if want := fmt.Sprintf("error: %s is in use by another parley (process %d)\n", data, s.cmd.Process.Pid); r.code != 1 || !strings.HasPrefix(r.err, want) {
		t.Errorf("%+v", r)
	}
	s.stop()
	restored := filepath.Join(t.TempDir(), "restored")
	if r := runCLI(t, nil, "", "restore", file, "--data", restored); r.code != 0 {
		t.Fatal(r.err)
	}
	show := func(data string) string {
		return runCLI(t, nil, "", "config", "show", "--fingerprint", "--data", data).out
	}
	if a, b := show(data), show(restored); a == "" || a != b {
		t.Errorf("the key was %q and is %q", a, b)
	}
	s = startServer(t, restored)
	if r := runCLI(t, nil, "", "user", "list", "--data", restored); r.code != 0 || strings.Count(r.out, "\n") != 2 {
		t.Errorf("%+v", r)
	}
	s.stop()
}

// What a restore that was cut off has left is told by every command, and the restore can be done again.
func TestRestoreCutOff(t *testing.T) {
	dir := t.TempDir()
	data, cut, file := filepath.Join(dir, "data"), filepath.Join(dir, "cut"), filepath.Join(dir, "b.tar")
	people(t, data)
	if r := runCLI(t, nil, "", "backup", file, "--data", data); r.code != 0 {
		t.Fatal(r.err)
	}
	if err := os.MkdirAll(filepath.Join(cut, "restoring"), 0o700); err != nil {
		t.Fatal(err)
	}
	says := "error: a restore into " + cut + " was cut off; there is no data in it yet\n  fix  the restore once more:  parley restore FILE --data " + cut + "\n"
	for _, args := range [][]string{{"server", "15222"}, {"user", "list"}, {"backup", filepath.Join(dir, "c.tar")}} {
		if r := runCLI(t, map[string]string{"HOME": dir}, "", append(args, "--data", cut)...); r.code != 1 || !strings.HasPrefix(r.err, says) {
			t.Errorf("%v: %+v", args, r)
		}
	}
	if r := runCLI(t, nil, "", "restore", file, "--data", cut); r.code != 0 {
		t.Errorf("%+v", r)
	}
	if r := runCLI(t, nil, "", "user", "list", "--data", cut); r.code != 0 || strings.Count(r.out, "\n") != 2 {
		t.Errorf("%+v", r)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r := runCLI(t, nil, "", "restore", file, "--data", filepath.Join(dir, "new"))
	checkFailure(t, r, 1, "error: the backup "+file+" is damaged; nothing was restored\n", "  why  the sum of parley.db is another one\n")
}

// TestBackupFull fills a small file system: with a backup, and with what is restored from one.
func TestBackupFull(t *testing.T) {
	dir := t.TempDir()
	small := filepath.Join(dir, "small")
	if err := os.Mkdir(small, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=32k,mode=700", "none", small).CombinedOutput(); err != nil {
		t.Skipf("no file system can be mounted here: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", small).CombinedOutput(); err != nil {
			t.Errorf("%v %s", err, out)
		}
	})
	data, file := filepath.Join(dir, "data"), filepath.Join(dir, "b.tar")
	people(t, data)
	r := runCLI(t, nil, "", "backup", filepath.Join(small, "b.tar"), "--data", data)
	checkFailure(t, r, 1, "error: there is no room for "+small+"/b.tar; nothing was kept of it\n", "")
	if r := runCLI(t, nil, "", "backup", file, "--data", data); r.code != 0 {
		t.Fatal(r.err)
	}
	for _, into := range []string{small, filepath.Join(small, "data")} {
		r = runCLI(t, map[string]string{"HOME": dir}, "", "restore", file, "--data", into)
		checkFailure(t, r, 1, "error: the disk with "+into+" is full\n", "")
		if left, err := os.ReadDir(small); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// TestProgress: nothing of what is quick, a line at each quarter of what is not, and one line on a terminal.
func TestProgress(t *testing.T) {
	show := func(terminal bool, after ...time.Duration) string {
		var b bytes.Buffer
		g := &progress{w: &b, terminal: terminal, what: "backup", then: "looking", total: int64(len(after)), began: time.Unix(0, 0)}
		for _, d := range after {
			g.done++
			g.tell(time.Unix(0, 0).Add(d))
		}
		g.end()
		return b.String()
	}
	ms := time.Millisecond
	for _, test := range []struct {
		terminal bool
		after    []time.Duration
		want     string
	}{
		{false, []time.Duration{1 * ms, 500 * ms, 900 * ms, 999 * ms}, ""},
		{true, []time.Duration{1 * ms, 500 * ms, 900 * ms, 999 * ms}, ""},
		{false, []time.Duration{1100 * ms, 1200 * ms, 1300 * ms, 1400 * ms}, "backup: 25 %\nbackup: 50 %\nbackup: 75 %\nbackup: 100 %\nbackup: looking\n"},
		{false, []time.Duration{1 * ms, 2 * ms, 3 * ms, 4 * ms, 500 * ms, 1400 * ms, 1500 * ms, 1600 * ms}, "backup: 75 %\nbackup: 100 %\nbackup: looking\n"},
		{true, []time.Duration{900 * ms, 1100 * ms, 1150 * ms, 1300 * ms},
			"\rbackup [==========          ]  50 %\x1b[K\rbackup [====================] 100 %\x1b[K\rbackup: looking\x1b[K\r\x1b[K"},
	} {
		if got := show(test.terminal, test.after...); got != test.want {
			t.Errorf("%v %v: %q, want %q", test.terminal, test.after, got, test.want)
		}
	}
}
