package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// wrong returns a value that a setting does not take, and what is said about it; none where every text is right.
func wrong(s Setting) (text, says string) {
	switch s.Kind {
	case Number:
		return "-1", fmt.Sprintf("must be a number from %d to %d, not -1", s.Min, s.Max)
	case Seconds:
		return "-1", fmt.Sprintf("must be a whole number of seconds from %d to %d, not -1", s.Min, s.Max)
	case Switch:
		return "perhaps", `must be true or false, not "perhaps"`
	case Choice:
		last := len(s.Choices) - 1
		return "perhaps", fmt.Sprintf(`must be %s or %s, not "perhaps"`, strings.Join(s.Choices[:last], ", "), s.Choices[last])
	}
	switch s.Key {
	case "domain":
		return "a b", `must be a domain name, not "a b"`
	case "listen":
		return "here", `must be an IP address of this computer, not "here"`
	case "insecure_listen":
		return "0.0.0.0:1", `must be ADDR:PORT with a loopback address, because nothing on it is encrypted, not "0.0.0.0:1"`
	}
	return "", ""
}

// A wrong value gets its sentence, wherever it was given, with a good one from the same place.
func TestWrongEverywhere(t *testing.T) {
	for _, s := range Settings() {
		t.Run(s.Key, func(t *testing.T) {
			one := func(src Sources, what, fix string, usage bool) {
				t.Helper()
				if src.Args == nil {
					src.Args = map[string]Arg{}
				}
				if _, given := src.Args["data"]; !given {
					src.Args["data"] = Arg{Text: "d"}
				}
				_, faults := Check(src)
				if len(faults) != 1 {
					t.Fatalf("%d faults, want %q", len(faults), what)
				}
				got, want := *faults[0], Error{What: what, Fix: "for example:  " + fix, Usage: usage}
				if src.File != "" {
					got.What = strings.ReplaceAll(got.What, src.File, "FILE")
				}
				if got != want {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			}
			// Every setting can have the wrong type in the file.
			typed := map[bool]string{true: "5", false: "1979-05-27"}[s.Kind == Text || s.Kind == Choice]
			form := map[Kind]string{Text: "a text in quotes", List: "a list of texts"}[s.Kind]
			text, says := wrong(s)
			if form == "" {
				form, _, _ = strings.Cut(strings.TrimPrefix(says, "must be "), ", not ")
			}
			one(Sources{File: write(t, "\n"+s.Key+" = "+typed+"\n")}, "config line 2: "+s.Key+" must be "+form+", in FILE", s.line(), false)
			if text == "" {
				return
			}
			example := s.Default
			if s.Example != "" {
				example = s.Example
			}
			one(Sources{Args: map[string]Arg{s.Key: {Text: text, Name: "--" + s.Flag()}}}, "--"+s.Flag()+" "+says, "--"+s.Flag()+" "+example, true)
			one(Sources{Getenv: env(s.Env(), text)}, s.Env()+" "+says, s.Env()+"="+example, false)
			if s.Kind != Switch { // which has no wrong values of the right type
				one(Sources{File: write(t, tomlLine(s, text))}, "config line 1: "+s.Key+" "+says+", in FILE", s.line(), false)
			}
		})
	}
}

// All faults are found at once, those of the file in the order of its lines.
func TestAllFaults(t *testing.T) {
	file := write(t, `domian = "x.org"
port = 5222
timeout = "5m"

[limits]
sessions = 0
rate = true

[tls]
cert = "x.pem"
`)
	_, faults := Check(Sources{File: file, Getenv: env("HOME", "/home/x", "PARLEY_REGISTRATION", "maybe"),
		Args: map[string]Arg{"tls_port": {Text: "5222", Name: "--tls-port"}}})
	var got []string
	for _, e := range faults {
		got = append(got, strings.ReplaceAll(e.What, file, "FILE"))
	}
	want := []string{
		`config line 1: unknown key "domian" in FILE`,
		"config line 3: timeout must be a whole number of seconds from 0 to 315360000, in FILE",
		`config line 7: unknown key "limits.rate" in FILE`,
		`PARLEY_REGISTRATION must be auto, open or closed, not "maybe"`,
		"config line 6: limits.sessions must be a number from 1 to 1000, not 0, in FILE",
		"port and tls_port are both 5222",
		"tls.cert is given, tls.key is not",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := Load(Sources{File: file}); err == nil || err.(*Error).Why != `it is not the only one: "limits.rate" in line 7` {
		t.Errorf("the first of them is %v", err)
	}
}

// The template changes nothing as it is, names every setting, and with its "#" gone says the defaults.
func TestTemplate(t *testing.T) {
	text := Template()
	c, err := Load(Sources{File: write(t, text), Getenv: env("HOME", "/home/x")})
	if err != nil || len(c.origins) != 0 {
		t.Fatalf("as it is: %v, %d settings", err, len(c.origins))
	}
	for _, s := range Settings() {
		_, rest, ok := strings.Cut(text, "\n#"+s.Key+" = ")
		value, _, _ := strings.Cut(rest, "\n")
		c, err := Load(Sources{File: write(t, s.Key+" = "+value), Getenv: env("HOME", "/home/x")})
		if err == nil && s.problem(&c) != "" {
			err = fmt.Errorf("%s", s.problem(&c))
		}
		if !ok || err != nil {
			t.Errorf("%s: %v, %v", s.Key, ok, err)
		}
		if s.Default != "" && !reflect.DeepEqual(s.Value(c), s.Value(Default())) {
			t.Errorf("%s: the template has %v, the default is %v", s.Key, s.Value(c), s.Value(Default()))
		}
	}
	for line := range strings.Lines(text) {
		if len([]rune(line)) > 121 || line != "\n" && line[0] != '#' {
			t.Errorf("not a short comment: %q", line)
		}
	}
}

// What Line writes is a line of a file with that value, whatever is in it.
func TestLine(t *testing.T) {
	for _, s := range Settings() {
		one, _ := sample(t, s)
		one = number(s, one)
		if s.Kind == Text && s.check == nil {
			one = "/\"\\\t\x7f\u0085 é = #"
		}
		c := Default()
		if line, set := s.Line(c); !set && (s.Default != "" || line[0] != '#') {
			t.Errorf("%s by default: %q", s.Key, line)
		}
		s.set(&c, one)
		line, set := s.Line(c)
		back, err := Load(Sources{File: write(t, line+"\n")})
		if !set || err != nil || !reflect.DeepEqual(s.Value(back), s.Value(c)) {
			t.Errorf("%q is read as %v, %v; want %v", line, s.Value(back), err, s.Value(c))
		}
	}
}

// A running server takes over what it can, and says of the rest that it waits for a restart.
func TestReload(t *testing.T) {
	for _, s := range Settings() {
		one, two := sample(t, s)
		if one == s.Default {
			one = two
		}
		next := Default()
		s.set(&next, number(s, one))
		now, taken, later := Default().Reload(next)
		want := map[bool]string{true: fmt.Sprintf("[%s] []", s.Key), false: fmt.Sprintf("[] [%s]", s.Key)}[s.Reload]
		if got := fmt.Sprint(taken, later); got != want {
			t.Errorf("%s: %s, want %s", s.Key, got, want)
		}
		if reflect.DeepEqual(s.Value(now), s.Value(next)) != s.Reload {
			t.Errorf("%s is %v", s.Key, s.Value(now))
		}
	}
}

// FuzzFile: no text crashes the reading, and every fault has a line in it.
func FuzzFile(f *testing.F) {
	f.Add("port = 1\n[limits]\nsessions = '3'\n[[log]]\nlevel = {a.b = 1}\n")
	f.Add("\ufefflimits = {sessions = 3, x = [{y = 1}]}\n\"a\\nb\".c = 1979-05-27\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		c.origins = map[string]origin{}
		for _, e := range c.decode("FILE", []byte(text)) {
			var line int
			if _, err := fmt.Sscanf(e.What, "config line %d:", &line); err != nil || line < 1 || line > strings.Count(text, "\n")+1 {
				t.Errorf("%q: %v", e.What, err)
			}
		}
		for key, o := range c.origins {
			if o.Line < 1 || o.Line > strings.Count(text, "\n")+1 {
				t.Errorf("%s in line %d", key, o.Line)
			}
		}
	})
}
