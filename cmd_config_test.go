package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parley/config"
)

// good returns a value of a setting that is not its default.
func good(s config.Setting) string {
	switch {
	case s.Kind == config.Switch:
		return map[string]string{"true": "false", "false": "true"}[s.Default]
	case s.Kind == config.Choice:
		return s.Choices[slices.IndexFunc(s.Choices, func(c string) bool { return c != s.Default })]
	case s.Kind == config.Number || s.Kind == config.Seconds:
		return map[bool]string{true: "50000", false: "500"}[s.Min > 500]
	}
	return s.Example
}

// shownSetting is what config show says of one setting.
func shownSetting(t *testing.T, env map[string]string, key string, args ...string) settingFact {
	t.Helper()
	if env["HOME"] == "" {
		env["HOME"] = "/home/x"
	}
	r := runCLI(t, env, "", append([]string{"config", "show", "--json"}, args...)...)
	if r.code != 0 {
		t.Fatalf("%+v", r)
	}
	var facts []settingFact
	if err := json.Unmarshal([]byte(r.out), &facts); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(facts, func(f settingFact) bool { return f.Key == key })
	if i < 0 {
		t.Fatalf("%s is not shown", key)
	}
	return facts[i]
}

// Every setting is taken on the command line, from the environment and from the file, and config show says which.
func TestConfigShowEverySetting(t *testing.T) {
	for _, s := range config.Settings() {
		t.Run(s.Key, func(t *testing.T) {
			value := good(s)
			var also []string // what belongs together
			switch s.Key {
			case "tls.cert":
				also = []string{"--tls-key", "/k"}
			case "tls.key":
				also = []string{"--tls-cert", "/c"}
			}
			if f := shownSetting(t, map[string]string{}, s.Key); f.Origin != "default" || f.File+f.Name != "" || s.Default == "" && s.Key != "data" && f.Value != nil {
				t.Errorf("by default %+v", f)
			}
			flag := shownSetting(t, map[string]string{}, s.Key, append(also, "--"+s.Flag()+"="+value)...)
			if flag.Origin != "flag" || flag.Name != "--"+s.Flag() {
				t.Errorf("by flag %+v", flag)
			}
			var c config.Config
			c, err := config.Load(config.Sources{Args: map[string]config.Arg{s.Key: {Text: value}}})
			if err != nil {
				t.Fatal(err)
			}
			want, _ := json.Marshal(s.Value(c))
			if got, _ := json.Marshal(flag.Value); string(got) != string(want) {
				t.Errorf("by flag it is %s, want %s", got, want)
			}
			byEnv := shownSetting(t, map[string]string{s.Env(): value}, s.Key, also...)
			if byEnv.Origin != "environment" || byEnv.Name != s.Env() {
				t.Errorf("by environment %+v", byEnv)
			}
			line, _ := s.Line(c)
			file := filepath.Join(t.TempDir(), "p.toml")
			if err := os.WriteFile(file, []byte("\n"+line+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			byFile := shownSetting(t, map[string]string{"PARLEY_CONFIG": file}, s.Key, also...)
			if byFile.Origin != "file" || byFile.File != file || byFile.Line != 2 {
				t.Errorf("by file %+v", byFile)
			}
		})
	}
}

// What config show prints is a file with the same settings.
func TestConfigShowIsAFile(t *testing.T) {
	env := map[string]string{"HOME": "/home/x", "PARLEY_TIMEOUT": "300", "PARLEY_LISTEN": "127.0.0.1,::1"}
	first := runCLI(t, env, "", "config", "show", "--origin", "--log-format", "json")
	for _, want := range []string{"timeout = 300                            # PARLEY_TIMEOUT\n", "# --log-format\n", "port = 5222                              # default\n",
		"listen = [\"127.0.0.1\", \"::1\"]            # PARLEY_LISTEN\n", "# tls_port is not set: the port after port\n"} {
		if !strings.Contains(first.out, want) {
			t.Errorf("does not say %q:\n%s", want, first.out)
		}
	}
	file := filepath.Join(t.TempDir(), "p.toml")
	if err := os.WriteFile(file, []byte(first.out), 0o600); err != nil {
		t.Fatal(err)
	}
	plain := runCLI(t, env, "", "config", "show", "--log-format", "json")
	again := runCLI(t, map[string]string{"HOME": "/home/y"}, "", "config", "show", "--config", file)
	if again.code != 0 || again.out != plain.out || again.err != "" {
		t.Errorf("%+v\nwant\n%s", again, plain.out)
	}
}

func TestConfigInit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "parley.toml")
	r := runCLI(t, nil, "", "config", "init", file)
	if r.code != 0 || r.out != "Wrote "+file+". Use it:  parley server --config "+file+"\n" {
		t.Errorf("%+v", r)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != config.Template() {
		t.Errorf("%v, %d bytes", err, len(text))
	}
	if r := runCLI(t, nil, "", "config", "init"); r.code != 0 || r.out != config.Template() {
		t.Errorf("%+v", r)
	}
	if r := runCLI(t, nil, "", "config", "init", "-"); r.code != 0 || r.out != config.Template() {
		t.Errorf("%+v", r)
	}
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	checkFailure(t, runCLI(t, nil, "", "config", "init", file), 1, "error: "+file+" exists already; nothing was changed\n", "  fix  another name:  parley config init "+file+".new\n")
	if text, _ := os.ReadFile(file); string(text) != "mine" {
		t.Errorf("the file is now %q", text)
	}
	checkFailure(t, runCLI(t, nil, "", "config", "init", "/nowhere/p.toml"), 1, "error: cannot write /nowhere/p.toml\n  why  no such file or directory\n")
}

func TestConfigValidate(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "parley.toml")
	set := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"HOME": dir}
	set("port = 5333\n[log]\nlevel = 'warn'\n")
	if r := runCLI(t, env, "", "config", "validate", file); r.code != 0 || r.out != file+": nothing is wrong, 2 settings given\n" || r.err != "" {
		t.Errorf("%+v", r)
	}
	if r := runCLI(t, env, "", "config", "validate", "--timeout", "5"); r.code != 0 || r.out != "no file: nothing is wrong, 1 setting given\n" {
		t.Errorf("%+v", r)
	}
	set("domian = 'x.org'\nport = 70000\n[tls]\ncert = '/nowhere/c.pem'\nkey = '/nowhere/k.pem'\n")
	r := runCLI(t, map[string]string{"HOME": dir, "PARLEY_CONFIG": file, "PARLEY_ARCHIVE": "maybe"}, "", "config", "validate")
	want := `error: config line 1: unknown key "domian" in FILE
  fix  did you mean "domain"?  All keys: parley help config
error: config line 2: port must be a number from 1 to 65535, not 70000, in FILE
  fix  for example:  port = 5222
error: PARLEY_ARCHIVE must be on or off, not "maybe"
  fix  for example:  PARLEY_ARCHIVE=on
error: cannot use the certificate /nowhere/c.pem with the key /nowhere/k.pem
  why  open /nowhere/c.pem: no such file or directory
  fix  --tls-cert and --tls-key with files in PEM form, the chain in the first
`
	if got := strings.ReplaceAll(r.err, file, "FILE"); r.code != 3 || got != want || r.out != "" {
		t.Errorf("exit %d\n%s\nwant\n%s", r.code, got, want)
	}
	checkFailure(t, runCLI(t, env, "", "config", "validate", "/nowhere/p"), 3, "error: cannot read the configuration file /nowhere/p\n")
	checkFailure(t, runCLI(t, env, "", "config", "validate", file, "--config", "/other"), 2, "error: FILE is given twice: "+file+" as a word and /other as --config\n")
	checkFailure(t, runCLI(t, env, "", "config", "validate", "--port", "0"), 3, "error: --port must be a number from 1 to 65535, not 0\n")
}

func TestFingerprint(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	env := map[string]string{"HOME": "/home/x"}
	checkFailure(t, runCLI(t, env, "", "config", "show", "--fingerprint", "--data", data), 1, "error: there is no key in "+data+" yet\n", "  fix  parley server --data "+data+"\n")
	s := startServer(t, data)
	r := runCLI(t, env, "", "config", "show", "--fingerprint", "--data", data)
	if r.code != 0 || len(r.out) != len("SHA256:")+43+1 || !strings.Contains(s.said(), "key="+strings.TrimSpace(r.out)) {
		t.Errorf("%+v\n%s", r, s.said())
	}
	s.stop()
	cert := filepath.Join(data, "tls.crt")
	again := runCLI(t, env, "", "config", "show", "--fingerprint", "--tls-cert", cert, "--tls-key", cert)
	if again.out != r.out {
		t.Errorf("%+v", again)
	}
	checkFailure(t, runCLI(t, env, "", "config", "show", "--fingerprint", "--tls-cert", filepath.Join(data, "tls.key"), "--tls-key", cert), 1, "error: cannot read the server's certificate\n")
	asJSON := runCLI(t, env, "", "config", "show", "--fingerprint", "--json", "--data", data)
	if asJSON.out != fmt.Sprintf("{\"fingerprint\":%q}\n", strings.TrimSpace(r.out)) {
		t.Errorf("%+v", asJSON)
	}
}
