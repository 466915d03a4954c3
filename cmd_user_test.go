package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"parley/ext/admin"
)

// dialogue is a series of `parley user` commands on one data directory, with what each of them must say. It is the
// same whether a server runs there or not. DAY stands for the date.
func userDialogue(t *testing.T, data string) {
	env := map[string]string{"HOME": t.TempDir(), "PARLEY_AUTH_ITERATIONS": "4096"}
	file := filepath.Join(t.TempDir(), "credentials.txt")
	text := "\ufeffhans falcon-and-tiger\r\nyoda wise@!man\nHans another-password\nhans once-more-please\n" +
		"lonely\n\nthree words here\n\xff\xfe x\na/b password-enough\nALICE password-enough\nmike " + strings.Repeat("p", 2000) + "\nkate last-line-no-break"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		line, input string
		code        int
		out, err    string
	}{
		{"list", "", 0, "", "No accounts yet. The first one:  parley user add NAME\n"},
		{"add alice --password-stdin", "correct horse\nbattery\n", 0, "Added alice@localhost.\n", ""},
		{"add Bob --password-stdin", "long-enough-1\r\n", 0, "Added bob@localhost.\n", ""},
		{"add bob --make-password", "", 1, "", "error: bob@localhost exists already (added DAY)\n  fix  new password for bob:  parley user reset bob\n"},
		{"add BOB --make-password", "", 1, "", "error: bob@localhost exists already (added DAY)\n  fix  new password for bob:  parley user reset bob\n"},
		{"add carol", "", 2, "", "error: a password is needed and there is no terminal to ask on\n  fix  echo \"$PW\" | parley user add carol --password-stdin\n       or  parley user add carol --make-password\n"},
		{"add carol --password-stdin", "short\n", 2, "", "error: the password is too short: it has 5 characters, at least 10 are needed\n  fix  a longer one, or  --make-password\n"},
		{"add carol --password-stdin", "", 2, "", "error: the password on the input is empty\n  fix  echo \"$PW\" | parley user add carol --password-stdin\n       or  parley user add carol --make-password\n"},
		{"add carol --password-stdin", "bad\x01password\n", 2, "", "error: this cannot be a password: it has control characters or others that cannot be typed everywhere\n  fix  another one, or  --make-password\n"},
		{"add carol --password-stdin --make-password", "x", 2, "", "error: --make-password and --password-stdin exclude each other\n  fix  --make-password\n       or  --password-stdin\n"},
		{"add Bob_Smith --make-password", "", 2, "", "error: \"Bob Smith\" cannot be a user name: it has a space\n  fix  parley user add bob.smith --make-password\n"},
		{"add carol@localhost --make-password", "", 2, "", "error: \"carol@localhost\" cannot be a user name: it has an @; the name alone is enough\n  fix  parley user add carol --make-password\n"},
		{"list", "", 0, "alice@localhost  added DAY\nbob@localhost    added DAY\n", ""},
		{"reset alise --make-password", "", 1, "", "error: nobody here is called alise\n  fix  did you mean:  alice\n"},
		{"reset zebra --make-password", "", 1, "", "error: nobody here is called zebra\n  fix  all of them:  parley user list\n"},
		{"reset alice --password-stdin", "another one 2\n", 0, "New password for alice@localhost; the old one is no longer valid.\n", ""},
		{"reset alice --password-stdin", "tiny\n", 2, "", "error: the password is too short: it has 4 characters, at least 10 are needed\n  fix  a longer one, or  --make-password\n"},
		{"remove bob", "", 0, "Removed bob@localhost and all that was kept for it.\n", ""},
		{"remove bob", "", 1, "", "error: nobody here is called bob\n  fix  all of them:  parley user list\n"},
		{"import " + file, "", 1, "Added 3 accounts, 1 with a short password; refused 8 lines.\n",
			"line 3 refused: \"Hans\" differs only in case from \"hans\" in line 1\n" +
				"line 4 refused: \"hans\" is in line 1 already\n" +
				"line 5 refused: \"lonely\" has no password\n" +
				"line 7 refused: it has 3 words; a name and a password were expected\n" +
				"line 8 refused: it is not UTF-8 text\n" +
				"line 9 refused: \"a/b\" cannot be a user name: it has the character /\n" +
				"line 10 refused: \"ALICE\" differs only in case from alice@localhost, which exists already (added DAY)\n" +
				"line 11 refused: this cannot be a password: it is longer than 1024 bytes\n" +
				"warning: the password of yoda has less than 10 characters; it was taken\n" +
				"error: 8 lines of " + file + " not taken\n  why  the reasons are above, with the number of the line\n" +
				"  fix  mend those lines and import the file again: accounts that exist are left alone\n"},
		{"import -", "# the team\ndave a-good-password\n  #erin another-password\n", 0, "Added 1 account; left out 2 lines beginning with #.\n", ""},
		{"add root --admin --password-stdin", "long-enough-1\n", 0, "Added root@localhost, admin.\n", ""},
		{"lock dave", "", 0, "dave@localhost is locked: nobody can sign in to it, and its sessions are ended. What is written to it is kept.\n", ""},
		{"promote Dave", "", 0, "dave@localhost is an administrator now.\n", ""},
		{"list", "", 0, "alice@localhost  added DAY\ndave@localhost   added DAY  admin  locked\nhans@localhost   added DAY\nkate@localhost   added DAY\n" +
			"root@localhost   added DAY  admin\nyoda@localhost   added DAY\n", ""},
		{"reset dave --password-stdin", "another one 2\n", 0, "New password for dave@localhost; the old one is no longer valid.\nThe account is still locked:  parley user unlock dave\n", ""},
		{"unlock dave", "", 0, "dave@localhost is unlocked, and wrong passwords are forgotten.\n", ""},
		{"demote dave", "", 0, "dave@localhost is not an administrator.\n", ""},
		{"lock dav", "", 1, "", "error: nobody here is called dav\n  fix  did you mean:  dave\n"},
		{"unlock dave@localhost", "", 2, "", "error: \"dave@localhost\" cannot be a user name: it has an @; the name alone is enough\n  fix  parley user unlock dave\n"},
		{"promote zebra", "", 1, "", "error: nobody here is called zebra\n  fix  all of them:  parley user list\n"},
		{"remove root", "", 0, "Removed root@localhost and all that was kept for it.\n", ""},
		{"lock hans", "", 0, "hans@localhost is locked: nobody can sign in to it, and its sessions are ended. What is written to it is kept.\n", ""},
		{"list --domain elsewhere.example", "", 3, "", "error: the data in " + data + " belongs to the domain localhost, not to elsewhere.example\n" +
			"  why  every address in it ends with that name, so it cannot change\n  fix  --domain localhost\n       or  another directory for elsewhere.example:  --data " + quoted(besides(data)) + "\n"},
	}
	added := regexp.MustCompile(`added \d+ [A-Z][a-z]{2} \d{4}`)
	for _, step := range steps {
		args := strings.Fields(step.line)
		for i := range args { // the only name with a space
			args[i] = strings.ReplaceAll(args[i], "Bob_Smith", "Bob Smith")
		}
		r := runCLI(t, env, step.input, append(append([]string{"user"}, args...), "--data", data)...)
		r.out, r.err = added.ReplaceAllString(r.out, "added DAY"), added.ReplaceAllString(r.err, "added DAY")
		if r.code != step.code || r.out != step.out || r.err != step.err {
			t.Errorf("user %s: exit %d, want %d\n%s%s\nwant\n%s%s", step.line, r.code, step.code, r.out, r.err, step.out, step.err)
		}
	}
	r := runCLI(t, env, "", "user", "add", "erin", "--make-password", "--data", data)
	if r.code != 0 || !regexp.MustCompile(`^Made for you:  [a-z]+(-[a-z]+){3}\nAdded erin@localhost\.\n$`).MatchString(r.out) {
		t.Errorf("made password: %+v", r)
	}
	r = runCLI(t, env, "", "user", "list", "--json", "--data", data)
	var list []admin.Account
	if err := json.Unmarshal([]byte(r.out), &list); err != nil || len(list) != 6 || list[0].Name != "alice" || list[0].Added.IsZero() ||
		list[0].Admin || list[0].Locked || list[3].Name != "hans" || !list[3].Locked {
		t.Errorf("list --json: %v, %s", err, r.out)
	}
}

func TestUserWithoutServer(t *testing.T) {
	userDialogue(t, filepath.Join(t.TempDir(), "made", "data"))
}

func TestUserWithServer(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data)
	if info, err := os.Lstat(filepath.Join(data, "parley.sock")); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("control socket: %v, %v", info, err)
	}
	userDialogue(t, data)
	s.stop()
	if r := runCLI(t, nil, "", "user", "list", "--data", data); r.code != 0 || strings.Count(r.out, "\n") != 6 {
		t.Errorf("after the server: %+v", r)
	}
}

// A data directory whose name is too long for a socket is no reason not to start, nor to do without the commands.
func TestUserLongPath(t *testing.T) {
	data := filepath.Join(t.TempDir(), strings.Repeat("a-long-name-", 10), "data")
	s := startServer(t, data)
	if r := runCLI(t, nil, "", "user", "add", "alice", "--make-password", "--data", data); r.code != 0 {
		t.Errorf("%+v", r)
	}
	s.stop()
}

// What a server left that was killed is in nobody's way.
func TestUserStaleSocket(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	s := startServer(t, data)
	s.cmd.Process.Kill()
	<-s.done
	if _, err := os.Lstat(filepath.Join(data, "parley.sock")); err != nil {
		t.Fatal(err)
	}
	if r := runCLI(t, nil, "", "user", "add", "alice", "--make-password", "--data", data); r.code != 0 {
		t.Errorf("%+v", r)
	}
	s = startServer(t, data)
	if r := runCLI(t, nil, "", "user", "list", "--data", data); r.code != 0 || !strings.HasPrefix(r.out, "alice") {
		t.Errorf("%+v", r)
	}
	s.stop()
}

// The domain of a new directory is written down, and counts when none is asked for.
func TestUserDomain(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for _, args := range []string{"add alice --make-password --domain Chat.Example.org", "list"} {
		r := runCLI(t, nil, "", append(strings.Fields("user "+args), "--data", data)...)
		if r.code != 0 || !strings.Contains(r.out, "alice@chat.example.org") {
			t.Errorf("%s: %+v", args, r)
		}
	}
}

func TestUserBadData(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := runCLI(t, nil, "", "user", "add", "alice", "--make-password", "--data", filepath.Join(file, "below"))
	checkFailure(t, r, 1, fmt.Sprintf("error: cannot keep data in %s/below:", file))
	r = runCLI(t, nil, "", "user", "import", dir, "--data", filepath.Join(dir, "data"))
	checkFailure(t, r, 1, "error: cannot read "+dir+"\n  why  is a directory\n")
	if _, err := os.Stat(filepath.Join(dir, "data")); err == nil {
		t.Error("data was made for an import that cannot be")
	}
}
