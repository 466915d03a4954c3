package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/configuration.md anew")

// docs/configuration.md is made from the table of settings and must be as new as it.
func TestDocumentation(t *testing.T) {
	const path = "../docs/configuration.md"
	want := document()
	if *update {
		if err := os.MkdirAll("../docs", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s is not what the table of settings says (%v); write it anew: go test ./config -update", path, err)
	}
}

// The file that the documentation proposes is one that the server takes.
func TestDocumentedFile(t *testing.T) {
	c, err := Load(Sources{File: write(t, example()), Getenv: env("HOME", "/home/x")})
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		t.Error(err)
	}
}

const introduction = `# Configuration

<!-- Made from config/settings.go by: go test ./config -update -->

Parley needs no configuration: ` + "`parley server`" + ` serves this computer, and
` + "`parley server --domain chat.example.org`" + ` everybody who can reach it. What follows is for everything else.

Every setting can be given in four places. The first one that has it wins:

1. a flag: ` + "`--auth-iterations 20000`" + `; for the three most used also a word:
   ` + "`parley server PORT BLOCK_DURATION TIMEOUT`" + `
2. an environment variable: ` + "`PARLEY_AUTH_ITERATIONS=20000`" + `
3. the TOML file named with ` + "`--config FILE`" + ` or ` + "`PARLEY_CONFIG`" + `: the key ` + "`auth.iterations`" + `, or
   ` + "`iterations`" + ` in the section ` + "`[auth]`" + `
4. the default

Names follow one rule: the flag is the key with ` + "`-`" + ` for ` + "`.` and `_`" + `, the variable is the key in capitals with
` + "`_`" + ` for ` + "`.`" + ` and ` + "`PARLEY_`" + ` in front. An empty variable counts as absent. Durations are whole seconds, sizes are
bytes, lists on the command line and in the environment have commas between their parts. A key of the file that does
not exist is an error that names the line and the nearest key.

- ` + "`parley config init FILE`" + ` writes a file with all of them, commented out.
- ` + "`parley config validate FILE`" + ` says everything that is wrong with a file.
- ` + "`parley config show --origin`" + ` says what holds, and where it came from.

A running server reads the file again at SIGHUP, takes over the settings marked "reload" and says in its log what it took over
and what needs a restart; a file with a fault changes nothing. Connections keep what they have begun with.

`

const ending = `
## Exit codes

| Code | Meaning |
| --- | --- |
| 0 | done |
| 1 | failed for another reason |
| 2 | the command line is wrong, or a question has nobody to answer it |
| 3 | the configuration is wrong |
| 4 | signing in failed or is locked |
| 5 | the server cannot be reached |
| 6 | the server's key is not trusted, or has changed |
| 7 | the server refused |
| 8 | the server ended the session |
| 130 | interrupted |
`

func document() string {
	var b strings.Builder
	b.WriteString(introduction)
	section := "-"
	for _, s := range Settings() {
		name, _, dotted := strings.Cut(s.Key, ".")
		if !dotted {
			name = ""
		}
		if name != section {
			section = name
			title := "General"
			if name != "" {
				title = "`[" + name + "]`"
			}
			fmt.Fprintf(&b, "%s## %s\n\n| Key | Default | Values | Reload | Meaning |\n| --- | --- | --- | --- | --- |\n",
				map[bool]string{true: "\n"}[b.Len() > len(introduction)], title)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Key, fallback(s), values(s), map[bool]string{true: "yes"}[s.Reload], s.Doc)
	}
	b.WriteString("\n## Names elsewhere\n\n| Key | Environment | Flag |\n| --- | --- | --- |\n")
	for _, s := range Settings() {
		fmt.Fprintf(&b, "| `%s` | `%s` | `--%s` |\n", s.Key, s.Env(), s.Flag())
	}
	b.WriteString("\n## A file\n\nFor a server that others use, with a certificate of its own:\n\n```toml\n" + example() + "```\n")
	b.WriteString(ending)
	return b.String()
}

func fallback(s Setting) string {
	if s.Default == "" {
		return s.Unset
	}
	return "`" + s.Default + "`"
}

func values(s Setting) string {
	switch s.Kind {
	case Number:
		return fmt.Sprintf("%d to %d", s.Min, s.Max)
	case Seconds:
		return fmt.Sprintf("seconds, %d to %d", s.Min, s.Max)
	case Choice:
		return "`" + strings.Join(s.Choices, "`, `") + "`"
	case Switch:
		return "`true`, `false`"
	case List:
		return "list, such as `[\"" + s.Example + "\"]`"
	default:
		return "text, such as `\"" + s.example() + "\"`"
	}
}

func example() string {
	return `domain = "chat.example.org"
data = "/var/lib/parley"
block_duration = 300

[tls]
cert = "/etc/parley/cert.pem"
key = "/etc/parley/key.pem"

[log]
level = "warn"
`
}
