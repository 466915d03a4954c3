package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"parley/config"
)

// asked returns what the shells are told when somebody wants the last word completed.
func asked(t *testing.T, args ...string) []string {
	t.Helper()
	r := runCLI(t, nil, "", append([]string{"__complete"}, args...)...)
	if r.code != 0 {
		t.Fatalf("%+v", r)
	}
	var words []string
	for line := range strings.Lines(r.out) {
		word, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		words = append(words, word)
	}
	return words
}

// Every setting is completed as a flag, and its choices as values.
func TestCompletionOfSettings(t *testing.T) {
	for _, command := range [][]string{{"server"}, {"config", "show"}, {"config", "validate"}} {
		flags := asked(t, append(slices.Clone(command), "--")...)
		for _, s := range config.Settings() {
			if !slices.Contains(flags, "--"+s.Flag()) {
				t.Errorf("%v does not complete --%s", command, s.Flag())
			}
		}
	}
	for _, s := range config.Settings() {
		got := asked(t, "server", "--"+s.Flag()+"=")
		want := append(slices.Clone(s.Choices), ":4") // and no names of files
		switch {
		case s.Kind == config.Switch:
			want = []string{"true", "false", ":4"}
		case s.Key == "data":
			want = []string{":16"} // directories
		case s.Key == "tls.cert" || s.Key == "tls.key":
			want = []string{":0"} // files
		}
		if !slices.Equal(got, want) {
			t.Errorf("--%s is completed with %q, want %q", s.Flag(), got, want)
		}
	}
	if got := asked(t, "server", "--config", ""); !slices.Equal(got, []string{"toml", ":8"}) {
		t.Errorf("--config is completed with %q", got)
	}
	if got := asked(t, "man", "config", ""); !slices.Equal(got, []string{"init", "show", "validate", ":4"}) {
		t.Errorf("man config is completed with %q", got)
	}
}

// bashWords is what the script needs of the package bash-completion, for where that is not installed.
const bashWords = `_get_comp_words_by_ref() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}; }
__ltrim_colon_completions() { :; }
`

// TestBashCompletion lets bash complete command lines with the script that `parley completion bash` prints.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("bash is not here")
	}
	script := filepath.Join(t.TempDir(), "parley.bash")
	r := runCLI(t, nil, "", "completion", "bash")
	if err := os.WriteFile(script, []byte(r.out), 0o600); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"parley serv":                         "server",
		"parley conf":                         "config",
		"parley config ":                      "init show validate",
		"parley config show --or":             "--origin",
		"parley completion ":                  "bash fish powershell zsh",
		"parley help user r":                  "remove reset",
		"parley server --log-f":               "--log-format",
		"parley server --registration ":       "auto open closed",
		"parley server --blocked-sender dis":  "discreet",
		"parley server --explain --limits-st": "--limits-stanza-bytes",
		"parley version --j":                  "--json",
	} {
		program := bashWords + `
parley() { PARLEY_TEST_MAIN=1 HOME=/nowhere "` + os.Args[0] + `" "$@"; }
compopt() { :; }
source ` + script + `
read -ra COMP_WORDS <<<"$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
__start_parley
for word in "${COMPREPLY[@]}"; do word=${word%% *}; echo "${word%%$'\t'*}"; done | sort | xargs
`
		out, err := exec.Command(bash, "--norc", "-c", program, "bash", line).CombinedOutput()
		sorted := strings.Fields(want)
		slices.Sort(sorted)
		if got := strings.TrimSpace(string(out)); err != nil || got != strings.Join(sorted, " ") {
			t.Errorf("%q is completed with %q (%v), want %q", line, got, err, want)
		}
	}
}

// The scripts for the other shells are what those shells can read, as far as they are here.
func TestOtherCompletions(t *testing.T) {
	for shell, begin := range map[string]string{"zsh": "#compdef parley", "fish": "# fish completion for parley", "powershell": "# powershell completion for parley", "bash": "# bash completion V2 for parley"} {
		r := runCLI(t, nil, "", "completion", shell)
		if r.code != 0 || !strings.HasPrefix(r.out, begin) {
			t.Errorf("completion %s: exit %d, begins with %.40q", shell, r.code, r.out)
		}
		path, err := exec.LookPath(shell)
		if err != nil || shell == "powershell" {
			t.Logf("%s is not here", shell)
			continue
		}
		check := exec.Command(path, "-n")
		check.Stdin = strings.NewReader(r.out)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("%s cannot read its script: %v\n%s", shell, err, out)
		}
	}
}

// The manual has a page for every command, says what the help says, and roff has nothing to complain about.
func TestManual(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	r := runCLI(t, nil, "", "man", "--dir", dir)
	if r.code != 0 || !strings.HasPrefix(r.out, "Wrote ") || r.err != "" {
		t.Fatalf("%+v", r)
	}
	for _, name := range []string{"parley", "parley-server", "parley-config-show", "parley-user-add", "parley-completion-bash"} {
		if _, err := os.Stat(filepath.Join(dir, name+".1")); err != nil {
			t.Error(err)
		}
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("groff is not here")
	}
	text := map[string]string{}
	for _, page := range pages {
		cmd := exec.Command(groff, "-man", "-Tutf8", "-ww", "-P-cbou", page)
		var complaints strings.Builder
		cmd.Stderr = &complaints
		out, err := cmd.Output()
		if err != nil || complaints.Len() > 0 {
			t.Errorf("%s: %v\n%s", filepath.Base(page), err, complaints.String())
		}
		text[strings.TrimSuffix(filepath.Base(page), ".1")] = string(out)
	}
	for page, says := range map[string][]string{
		"parley":             {"parley config", "the settings of the server: init, show, validate", "the server's key is not trusted, or has changed", "parley-server(1)"},
		"parley-server":      {"parley server [PORT [BLOCK_DURATION [TIMEOUT]]]", "--log-format text|json", "--limits-rates[=true|false]", "second Ctrl-C", "--domain chat.example.org "},
		"parley-config":      {"SETTINGS", "auth.iterations", "PARLEY_AUTH_ITERATIONS"},
		"parley-config-init": {"parley config init [FILE]", "parley config init /etc/parley/parley.toml", "parley-config(1)"},
	} {
		for _, want := range says {
			if !strings.Contains(text[page], want) {
				t.Errorf("%s(1) does not say %q:\n%s", page, want, text[page])
			}
		}
	}
	one := runCLI(t, nil, "", "man", "config", "init")
	if file, err := os.ReadFile(filepath.Join(dir, "parley-config-init.1")); err != nil || one.out != string(file) {
		t.Errorf("parley man config init is another page (%v)", err)
	}
	checkFailure(t, runCLI(t, nil, "", "man", "conifg"), 2, "error: there is no command \"conifg\"\n  fix  did you mean:  parley config\n")
	checkFailure(t, runCLI(t, nil, "", "man", "--dir", "/dev/null/x"), 1, "error: cannot write the manual pages to /dev/null/x\n  why  not a directory\n")
	if got := roff(".it's \\ a-b…\x1b"); got != `\&.it's \e a\-b\[u2026]` {
		t.Errorf("roff: %s", got)
	}
}
