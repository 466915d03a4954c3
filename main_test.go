package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMain lets a test start the program as a process of its own: the test binary with PARLEY_TEST_MAIN set is it.
// With the value "stuck" it is a server that does not get to its end.
func TestMain(m *testing.M) {
	switch os.Getenv("PARLEY_TEST_MAIN") {
	case "":
		os.Exit(m.Run())
	case "stuck":
		p := &program{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
		ctx, _ := p.untilSignal(context.Background())
		fmt.Println("ready")
		<-ctx.Done()
		fmt.Println("stopping")
		select {}
	default:
		main()
	}
}

// cli is what one command line did.
type cli struct {
	code     int
	out, err string
}

// run executes a command line in this process. The environment is what env says and no more.
func runCLI(t *testing.T, env map[string]string, input string, args ...string) cli {
	t.Helper()
	var out, err bytes.Buffer
	p := &program{in: strings.NewReader(input), out: &out, err: &err, getenv: func(name string) string { return env[name] }}
	code := p.run(args)
	return cli{code, out.String(), err.String()}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{}, {"help"}, {"--help"}, {"-h"}} {
		r := runCLI(t, nil, "", args...)
		if r.code != 0 || !strings.Contains(r.out, "parley server") || !strings.Contains(r.out, "parley user") || r.err != "" {
			t.Errorf("parley %v: %+v", args, r)
		}
	}
	for _, args := range [][]string{{"help", "server"}, {"server", "--help"}} {
		r := runCLI(t, nil, "", args...)
		if r.code != 0 || !strings.Contains(r.out, "parley server [PORT [BLOCK_DURATION [TIMEOUT]]]") || !strings.Contains(r.out, "--tls-port") {
			t.Errorf("parley %v: %+v", args, r)
		}
	}
	if r := runCLI(t, nil, "", "help", "config"); r.code != 0 || !strings.Contains(r.out, "auth.iterations") {
		t.Errorf("help config: %+v", r)
	}
	if r := runCLI(t, nil, "", "help", "user", "add"); r.code != 0 || !strings.Contains(r.out, "--make-password") {
		t.Errorf("help user add: %+v", r)
	}
	if r := runCLI(t, nil, "", "version"); r.code != 0 || !strings.HasPrefix(r.out, "parley "+version+" (go") {
		t.Errorf("version: %+v", r)
	}
	if r := runCLI(t, nil, "", "version", "--json"); r.code != 0 || !strings.HasPrefix(r.out, `{"version":"`+version+`"`) {
		t.Errorf("version --json: %+v", r)
	}
	if r := runCLI(t, nil, "", "completion", "bash"); r.code != 0 || !strings.Contains(r.out, "parley") {
		t.Errorf("completion: exit %d", r.code)
	}
}

// Every wrong command line gets one sentence, never a dump of the usage, and the code for it.
func TestWrongCommandLines(t *testing.T) {
	file := filepath.Join(t.TempDir(), "parley.toml")
	if err := os.WriteFile(file, []byte("domian = 'x.org'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		line string
		env  string // NAME=value
		code int
		says string // what follows "error: " up to the end of the output
	}{
		{"servr", "", 2, "there is no command \"servr\"\n  fix  did you mean:  parley server\n"},
		{"frobnicate", "", 2, "there is no command \"frobnicate\"\n  fix  all commands: parley help\n"},
		{"help frobnicate", "", 2, "there is no command \"frobnicate\"\n  fix  all commands: parley help\n"},
		{"user", "", 2, "parley user needs one more word: add, demote, import, list, lock, promote, remove, reset or unlock\n  fix  parley user add\n"},
		{"user ad bob", "", 2, "there is no command \"user ad\"\n  fix  did you mean:  parley user add\n"},
		{"user add", "", 2, "parley user add needs a NAME\n  fix  parley user add NAME\n"},
		{"user add bob secret-password", "", 2, "parley user add takes at most 1 word, and \"secret-password\" is one word too many\n  fix  parley user add NAME\n"},
		{"user list all", "", 2, "parley user list takes no words, and \"all\" is one\n  fix  parley user list\n"},
		{"user add bob --password x", "", 2, "there is no flag --password for parley user add\n  fix  all flags: parley help user add\n"},
		{"user import", "", 2, "parley user import needs a FILE\n  fix  parley user import FILE\n"},
		{"user import /nowhere/file", "", 1, "cannot read /nowhere/file\n  why  no such file or directory\n  fix  parley user import FILE\n"},
		{"user lock", "", 2, "parley user lock needs a NAME\n  fix  parley user lock NAME\n"},
		{"admin shutdwn", "", 2, "there is no command \"admin shutdwn\"\n  fix  did you mean:  parley admin shutdown\n"},
		{"admin announce", "", 2, "parley admin announce needs text=\n  fix  parley admin announce text=TEXT\n"},
		{"admin announce hello", "", 2, "\"hello\" is not a field: it has no =\n  fix  parley admin announce text=TEXT\n"},
		{"admin announce txt=hello", "", 2, "parley admin announce has no field \"txt\"\n  fix  did you mean:  text=\n"},
		{"admin delete-motd text=hello", "", 2, "parley admin delete-motd takes no fields, and \"text=hello\" is one word too many\n  fix  parley admin delete-motd\n"},
		{"admin announce text=hello --data /nowhere", "", 1, "no server is running on /nowhere\n  why  parley admin announce is for a running server\n" +
			"  fix  start it:  parley server --data /nowhere\n       or  the directory of another one:  --data DIR\n"},
		{"server 1 2 3 4", "", 2, "parley server takes at most 3 words, and \"4\" is one word too many\n  fix  parley server [PORT [BLOCK_DURATION [TIMEOUT]]]\n"},
		{"server 70000", "", 2, "PORT must be a number from 1 to 65535, not 70000\n  fix  for example:  parley server 5222 60 300\n"},
		{"server 0", "", 2, "PORT must be a number from 1 to 65535, not 0\n  fix  for example:  parley server 5222 60 300\n"},
		{"server http", "", 2, "PORT must be a number from 1 to 65535, not \"http\"\n  fix  for example:  parley server 5222 60 300\n"},
		{"server 5222 soon", "", 2, "BLOCK_DURATION must be a whole number of seconds from 0 to 315360000, not \"soon\"\n  fix  for example:  parley server 5222 60 300\n"},
		{"server -1", "", 2, "PORT must be a number from 1 to 65535, not -1\n  fix  for example:  parley server 5222 60 300\n"},
		{"server 5222 -5", "", 2, "BLOCK_DURATION must be a whole number of seconds from 0 to 315360000, not -5\n  fix  for example:  parley server 5222 60 300\n"},
		{"server 5222 60 -1", "", 2, "TIMEOUT must be a whole number of seconds from 0 to 315360000, not -1\n  fix  for example:  parley server 5222 60 300\n"},
		{"server -- 5222 60 -1", "", 2, "TIMEOUT must be a whole number of seconds from 0 to 315360000, not -1\n  fix  for example:  parley server 5222 60 300\n"},
		{"server --timeout -1", "", 2, "--timeout must be a whole number of seconds from 0 to 315360000, not -1\n  fix  for example:  --timeout 0\n"},
		{"server 5222 --port 5333", "", 2, "PORT is given twice: 5222 as a word and 5333 as --port\n  fix  leave one of them out\n"},
		{"server --prot 5333", "", 2, "there is no flag --prot for parley server\n  fix  did you mean:  --port\n"},
		{"server -x", "", 2, "there is no flag \"-x\" for parley server\n  fix  all flags: parley help server\n"},
		{"server --port", "", 2, "--port needs a value after it\n  fix  --port NUMBER\n"},
		{"server --tls-cert x.pem", "", 2, "--tls-cert is given, tls.key is not\n  why  a certificate and its key belong together\n  fix  give both, or neither for a self-signed key\n"},
		{"server --insecure-listen 0.0.0.0:1", "", 2, "--insecure-listen must be ADDR:PORT with a loopback address, because nothing on it is encrypted, not \"0.0.0.0:1\"\n  fix  for example:  --insecure-listen 127.0.0.1:5322\n"},
		{"server", "PARLEY_TIMEOUT=5m", 3, "PARLEY_TIMEOUT must be a whole number of seconds from 0 to 315360000, not \"5m\"\n  fix  for example:  PARLEY_TIMEOUT=0\n"},
		{"server --config " + file, "", 3, "config line 1: unknown key \"domian\" in " + file + "\n  fix  did you mean \"domain\"?  All keys: parley help config\n"},
		{"server", "PARLEY_CONFIG=" + file, 3, "config line 1: unknown key \"domian\" in " + file + "\n  fix  did you mean \"domain\"?  All keys: parley help config\n"},
		{"server --config /nowhere/parley.toml", "", 3, "cannot read the configuration file /nowhere/parley.toml\n  why  no such file or directory\n  fix  give the right name with  --config FILE  or leave it out\n"},
		{"server", "HOME=", 3, "there is no directory for the data\n  why  neither HOME nor XDG_DATA_HOME is set\n  fix  --data DIR\n"},
		{"server", "PARLEY_LOG_FORMAT=xml", 3, "PARLEY_LOG_FORMAT must be text or json, not \"xml\"\n  fix  for example:  PARLEY_LOG_FORMAT=text\n"},
		{"server --log-format xml", "", 2, "--log-format must be text or json, not \"xml\"\n  fix  for example:  --log-format text\n"},
		{"config", "", 2, "parley config needs one more word: init, show or validate\n  fix  parley config init\n"},
		{"config shwo", "", 2, "there is no command \"config shwo\"\n  fix  did you mean:  parley config show\n"},
		{"config show port", "", 2, "parley config show takes no words, and \"port\" is one\n  fix  parley config show\n"},
		{"config show --port 0", "", 2, "--port must be a number from 1 to 65535, not 0\n  fix  for example:  --port 5222\n"},
		{"config init a b", "", 2, "parley config init takes at most 1 word, and \"b\" is one word too many\n  fix  parley config init [FILE]\n"},
		{"man frobnicate", "", 2, "there is no command \"frobnicate\"\n  fix  all commands: parley help\n"},
		{"man --dir x server", "", 2, "--dir takes all commands, and \"server\" is one\n  fix  parley man --dir DIR\n"},
		{"version now", "", 2, "parley version takes no words, and \"now\" is one\n  fix  parley version\n"},
		{"completion", "", 2, "parley completion needs one more word: bash, fish, powershell or zsh\n  fix  parley completion bash\n"},
		{"completion tcsh", "", 2, "there is no command \"completion tcsh\"\n  fix  all commands: parley help completion\n"},
	}
	for _, test := range tests {
		t.Run(test.line+" "+test.env, func(t *testing.T) {
			env := map[string]string{"HOME": t.TempDir()}
			if name, value, ok := strings.Cut(test.env, "="); ok {
				env[name] = value
			}
			r := runCLI(t, env, "", strings.Fields(test.line)...)
			if r.code != test.code || r.err != "error: "+test.says || r.out != "" {
				t.Errorf("exit %d, want %d\n%s%s\nwant\nerror: %s", r.code, test.code, r.out, r.err, test.says)
			}
		})
	}
}

// Nothing that somebody typed reaches the terminal as a control.
func TestFailureIsHarmless(t *testing.T) {
	r := runCLI(t, nil, "", "user", "\x1b[2J\u009b31m\u202e")
	if r.code != 2 || strings.ContainsAny(r.err, "\x1b\u009b\u202e") {
		t.Errorf("%q", r.err)
	}
	var b bytes.Buffer
	(&failure{what: "a\x07b", fix: "one\ntwo"}).print(&b)
	if b.String() != "error: a\ufffdb\n  fix  one\n       or  two\n" {
		t.Errorf("%q", b.String())
	}
}

func TestPaths(t *testing.T) {
	for path, want := range map[string]string{"/a/b": "/a/b", "/a b": "'/a b'", "it's": `'it'\''s'`, "~x": "'~x'"} {
		if got := quoted(path); got != want {
			t.Errorf("quoted(%q) = %s, want %s", path, got, want)
		}
	}
	for name, want := range map[string]string{"Bob Smith": "bob.smith", "a/b@x": "a.b", "\x00": "", "ÄB": "b"} {
		if got := betterName(name); got != want {
			t.Errorf("betterName(%q) = %q, want %q", name, got, want)
		}
	}
}
