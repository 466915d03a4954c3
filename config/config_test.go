package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// sample returns two good values of a setting that differ from its default and from each other.
func sample(t *testing.T, s Setting) (one, two string) {
	t.Helper()
	switch s.Kind {
	case Number, Seconds:
		return "4998", "4999" // in no range's way but those below
	case Choice:
		return s.Choices[1], s.Choices[len(s.Choices)-1]
	case Switch:
		return "false", "true"
	case List:
		return "127.0.0.7,::1", "10.0.0.1"
	}
	switch s.Key {
	case "insecure_listen":
		return "127.0.0.1:5322", "[::1]:5322"
	case "domain":
		return "chat.example.org", "talk.example.net"
	}
	return "/one/" + s.Key, "/two/" + s.Key
}

func number(s Setting, text string) string {
	if s.Kind == Number && s.Min > 4999 {
		return text + "0"
	}
	return text
}

func tomlLine(s Setting, text string) string {
	switch s.Kind {
	case Number, Seconds, Switch:
		return s.Key + " = " + text + "\n"
	case List:
		return s.Key + ` = ["` + strings.ReplaceAll(text, ",", `", "`) + "\"]\n"
	default:
		return s.Key + ` = "` + text + "\"\n"
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "parley.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func value(c Config, s Setting) any {
	return reflect.ValueOf(s.field(&c)).Elem().Interface()
}

// Every setting is read from the flag, the environment and the file, in this order of strength, and else has
// its default.
func TestFourPlaces(t *testing.T) {
	for _, s := range Settings() {
		t.Run(s.Key, func(t *testing.T) {
			one, two := sample(t, s)
			one, two = number(s, one), number(s, two)
			var wantOne, wantTwo Config
			s.set(&wantOne, one)
			s.set(&wantTwo, two)

			none, err := Load(Sources{Getenv: env("HOME", "/home/x")})
			if err != nil {
				t.Fatal(err)
			}
			var def Config
			s.set(&def, s.Default)
			if s.Key == "data" {
				def.Data = "/home/x/.local/share/parley"
			}
			if s.Default == "" && s.Kind <= Seconds {
				def = Config{}
			}
			if got := value(none, s); !reflect.DeepEqual(got, value(def, s)) || none.Asked(s.Key) {
				t.Errorf("default is %v, want %v", got, value(def, s))
			}
			from := func(c Config, want Origin) {
				t.Helper()
				if got := c.Origin(s.Key); got != want {
					t.Errorf("came from %+v, want %+v", got, want)
				}
			}
			from(none, Origin{})

			file := write(t, "# comment\n\n"+tomlLine(s, one))
			fromFile, err := Load(Sources{File: file})
			if err != nil || !reflect.DeepEqual(value(fromFile, s), value(wantOne, s)) || !fromFile.Asked(s.Key) {
				t.Errorf("file gives %v, %v; want %v", value(fromFile, s), err, one)
			}
			from(fromFile, Origin{File: file, Line: 3})
			if section, key, dotted := strings.Cut(s.Key, "."); dotted {
				file := write(t, "["+section+"]\n"+strings.Replace(tomlLine(s, one), s.Key, key, 1))
				c, err := Load(Sources{File: file})
				if err != nil || !reflect.DeepEqual(value(c, s), value(wantOne, s)) {
					t.Errorf("file with the section gives %v, %v; want %v", value(c, s), err, one)
				}
				from(c, Origin{File: file, Line: 2})
			}
			fromEnv, err := Load(Sources{File: file, Getenv: env(s.Env(), two)})
			if err != nil || !reflect.DeepEqual(value(fromEnv, s), value(wantTwo, s)) {
				t.Errorf("environment over file gives %v, %v; want %v", value(fromEnv, s), err, two)
			}
			from(fromEnv, Origin{Env: s.Env()})
			fromFlag, err := Load(Sources{Getenv: env(s.Env(), two),
				Args: map[string]Arg{s.Key: {Text: one, Name: "--" + s.Flag()}}})
			if err != nil || !reflect.DeepEqual(value(fromFlag, s), value(wantOne, s)) {
				t.Errorf("flag over environment gives %v, %v; want %v", value(fromFlag, s), err, one)
			}
			from(fromFlag, Origin{Arg: "--" + s.Flag()})
		})
	}
}

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// The table is complete: every field of the struct has a row, under the name that its tags say.
func TestTableCoversStruct(t *testing.T) {
	var walk func(prefix string, typ reflect.Type) []string
	walk = func(prefix string, typ reflect.Type) (keys []string) {
		for f := range typ.Fields() {
			switch {
			case !f.IsExported():
			case f.Type.Kind() == reflect.Struct:
				keys = append(keys, walk(prefix+f.Tag.Get("toml")+".", f.Type)...)
			default:
				keys = append(keys, prefix+f.Tag.Get("toml"))
			}
		}
		return keys
	}
	seen := map[string]bool{}
	for _, s := range Settings() {
		if seen[s.Key] || seen[s.Flag()] || s.Doc == "" || s.Default == "" && s.Unset == "" {
			t.Errorf("row %s is doubled or incomplete", s.Key)
		}
		seen[s.Key], seen[s.Flag()] = true, true
	}
	for _, key := range walk("", reflect.TypeFor[Config]()) {
		if !seen[key] {
			t.Errorf("no row for %s", key)
		}
	}
	if err := func() error { c := Default(); c.Data = "x"; return c.Validate() }(); err != nil {
		t.Errorf("defaults: %v", err)
	}
}

func TestBadValues(t *testing.T) {
	arg := func(key, text string) Sources {
		return Sources{Args: map[string]Arg{key: {Text: text, Name: "--" + key}}}
	}
	tests := []struct {
		name  string
		src   Sources
		what  string
		usage bool
	}{
		{"port too high", arg("port", "70000"), "--port must be a number from 1 to 65535, not 70000", true},
		{"port zero", arg("port", "0"), "--port must be a number from 1 to 65535, not 0", true},
		{"port words", arg("port", "https"), `--port must be a number from 1 to 65535, not "https"`, true},
		{"port enormous", arg("port", "99999999999999999999"), `--port must be a number from 1 to 65535, not "99999999999999999999"`, true},
		{"positional", Sources{Args: map[string]Arg{"timeout": {Text: "5m", Name: "TIMEOUT"}}},
			`TIMEOUT must be a whole number of seconds from 0 to 315360000, not "5m"`, true},
		{"environment", Sources{Getenv: env("PARLEY_BLOCK_DURATION", "-5")},
			"PARLEY_BLOCK_DURATION must be a whole number of seconds from 0 to 315360000, not -5", false},
		{"fraction", arg("timeout", "1.5"), `--timeout must be a whole number of seconds from 0 to 315360000, not "1.5"`, true},
		{"iterations", arg("auth.iterations", "1"), "--auth.iterations must be a number from 4096 to 5000000, not 1", true},
		{"choice", arg("registration", "maybe"), `--registration must be auto, open or closed, not "maybe"`, true},
		{"switch", arg("limits.rates", "perhaps"), `--limits.rates must be true or false, not "perhaps"`, true},
		{"domain space", arg("domain", "chat example"), `--domain must be a domain name, not "chat example"`, true},
		{"domain slash", arg("domain", "a/b"), `--domain must be a domain name, not "a/b"`, true},
		{"domain empty label", arg("domain", "a..b"), `--domain must be a domain name, not "a..b"`, true},
		{"domain empty", arg("domain", ""), `--domain must be a domain name, not ""`, true},
		{"domain address", arg("domain", "192.0.2.1"), "--domain must be a name, not the address 192.0.2.1", true},
		{"domain at", arg("domain", "bob@x.org"), `--domain must be a domain name, not "bob@x.org"`, true},
		{"listen with port", arg("listen", "127.0.0.1:80"), `--listen takes addresses without a port, not "127.0.0.1:80"`, true},
		{"listen name", arg("listen", "127.0.0.1,here"), `--listen must be an IP address of this computer, not "here"`, true},
		{"tls port", arg("tls_port", "0"), "--tls_port must be a number from 1 to 65535, not 0", true},
		{"tls port after the last", arg("port", "65535"), "after port 65535 there is none for direct TLS", true},
		{"same ports", arg("tls_port", "5222"), "port and tls_port are both 5222", true},
		{"insecure for all", arg("insecure_listen", "0.0.0.0:5322"),
			`--insecure_listen must be ADDR:PORT with a loopback address, because nothing on it is encrypted, not "0.0.0.0:5322"`, true},
		{"insecure without port", arg("insecure_listen", "127.0.0.1"),
			`--insecure_listen must be ADDR:PORT with a loopback address, because nothing on it is encrypted, not "127.0.0.1"`, true},
		{"contact without scheme", arg("contact.abuse", "mailto:a@x.org,abuse@x.org"), `--contact.abuse must be an address such as mailto:help@example.org, xmpp:help@example.org or https://example.org/help, not "abuse@x.org"`, true},
		{"contact by telephone", arg("contact.support", "tel:+44"), `--contact.support must be an address such as mailto:help@example.org, xmpp:help@example.org or https://example.org/help, not "tel:+44"`, true},
		{"contact in clear", arg("contact.admin", "http://x.org/"), `--contact.admin must be an address such as mailto:help@example.org, xmpp:help@example.org or https://example.org/help, not "http://x.org/"`, true},
		{"contact without host", arg("contact.admin", "https:///x"), `--contact.admin must be an address such as mailto:help@example.org, xmpp:help@example.org or https://example.org/help, not "https:///x"`, true},
		{"contact without address", arg("contact.security", "xmpp:"), `--contact.security must be an address such as mailto:help@example.org, xmpp:help@example.org or https://example.org/help, not "xmpp:"`, true},
		{"contact with a space", arg("contact.feedback", "mailto:a b@x.org"), `--contact.feedback must be an address such as mailto:help@example.org, xmpp:help@example.org or https://example.org/help, not "mailto:a b@x.org"`, true},
		{"contact with an escape", arg("contact.feedback", "mailto:a\u009b@x.org"), `--contact.feedback must be an address such as mailto:help@example.org, xmpp:help@example.org or https://example.org/help, not "mailto:a\u009b@x.org"`, true},
		{"cert alone", arg("tls.cert", "x.pem"), "--tls.cert is given, tls.key is not", true},
		{"key alone", arg("tls.key", "x.pem"), "--tls.key is given, tls.cert is not", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.src.Args == nil {
				test.src.Args = map[string]Arg{}
			}
			test.src.Args["data"] = Arg{Text: "d"}
			c, err := Load(test.src)
			if err == nil {
				err = c.Validate()
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if e.What != test.what || e.Usage != test.usage || e.Fix == "" {
				t.Errorf("got  %q (fix %q, usage %v)\nwant %q", e.What, e.Fix, e.Usage, test.what)
			}
		})
	}
}

func TestBadFiles(t *testing.T) {
	tests := []struct{ name, text, what, fix string }{
		{"unknown key", "port = 5222\n\ndomian = 'x.org'\n", `config line 3: unknown key "domian" in FILE`, `did you mean "domain"?  All keys: parley help config`},
		{"unknown in section", "[auth]\niteration = 5000\n", `config line 2: unknown key "auth.iteration" in FILE`, `did you mean "auth.iterations"?  All keys: parley help config`},
		{"wrong section", "[limits]\niterations = 5000\n", `config line 2: unknown key "limits.iterations" in FILE`, `did you mean "auth.iterations"?  All keys: parley help config`},
		{"general key in a section", "[auth]\nport = 5000\n", `config line 2: unknown key "auth.port" in FILE`, `did you mean "port"?  All keys: parley help config`},
		{"unknown section", "[limtis]\nsessions = 3\n", `config line 1: unknown key "limtis" in FILE`, `did you mean "limits"?  All keys: parley help config`},
		{"far from all", "zzz = 1\n", `config line 1: unknown key "zzz" in FILE`, "All keys: parley help config"},
		{"type", "[limits]\nsessions = '3'\n", `config line 2: limits.sessions must be a number from 1 to 1000, in FILE`, "for example:  limits.sessions = 20"},
		{"fraction", "port = 5222.5\n", `config line 1: port must be a number from 1 to 65535, in FILE`, "for example:  port = 5222"},
		{"text", "domain = 5\n", `config line 1: domain must be a text in quotes, in FILE`, `for example:  domain = "chat.example.org"`},
		{"list", "listen = '::1'\n", `config line 1: listen must be a list of texts, in FILE`, `for example:  listen = ["0.0.0.0"]`},
		{"value for a section", "auth = 7\n", `config line 1: "auth" must be a section, in FILE`, "for example:  auth.iterations = 100000"},
		{"section for a value", "[port]\nx = 1\n", "config line 1: port must be a number from 1 to 65535, in FILE", "for example:  port = 5222"},
		{"value in a list", "listen = ['::1', 5]\n", `config line 1: listen must be a list of texts, in FILE`, `for example:  listen = ["0.0.0.0"]`},
		{"capitals", "Port = 5222\n", `config line 1: unknown key "Port" in FILE`, `did you mean "port"?  All keys: parley help config`},
		{"in a list", "port = 5222\nlisten = ['::1', 'here']\n", `config line 2: listen must be an IP address of this computer, not "here", in FILE`, `for example:  listen = ["0.0.0.0"]`},
		{"inline table", "\nlimits = {sessions = 3, sesions = 4}\n", `config line 2: unknown key "limits.sesions" in FILE`, `did you mean "limits.sessions"?  All keys: parley help config`},
		{"list of tables", "[[log]]\nlevel = 'info'\n", `config line 1: "log" must be a section, in FILE`, `for example:  log.level = "info"`},
		{"too large", "port = 70000\n", "config line 1: port must be a number from 1 to 65535, not 70000, in FILE", "for example:  port = 5222"},
		{"not TOML", "port 5222\n", "config line 1: this is not TOML, in FILE", `a line looks like  domain = "chat.example.org"`},
		{"twice", "port = 1\nport = 2\n", "config line 2: this is not TOML, in FILE", `a line looks like  domain = "chat.example.org"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := write(t, test.text)
			c, err := Load(Sources{File: path, Getenv: env("HOME", "/home/x")})
			if err == nil {
				err = c.Validate()
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if got := strings.ReplaceAll(e.What, path, "FILE"); got != test.what || e.Fix != test.fix || e.Usage {
				t.Errorf("got  %q (why %q)\nfix  %q\nwant %q\nfix  %q", got, e.Why, e.Fix, test.what, test.fix)
			}
		})
	}
	t.Run("absent", func(t *testing.T) {
		_, err := Load(Sources{File: "/nowhere/parley.toml"})
		if err == nil || !strings.HasPrefix(err.Error(), "cannot read the configuration file /nowhere/parley.toml; no such file") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("all unknown keys at once", func(t *testing.T) {
		_, err := Load(Sources{File: write(t, "a = 1\nb = 2\nc = 3\n")})
		if e := (*Error)(nil); !errors.As(err, &e) || e.Why != `it is not the only one: "b" in line 2, "c" in line 3` {
			t.Errorf("got %v", err)
		}
	})
}

func TestDerived(t *testing.T) {
	c := Default()
	if a, asked := c.Addresses(); !reflect.DeepEqual(a, []string{"127.0.0.1", "::1"}) || asked || !c.RegistrationOpen() {
		t.Errorf("localhost listens on %q, registration %v", a, c.RegistrationOpen())
	}
	if p, asked := c.DirectTLS(); p != 5223 || asked {
		t.Errorf("direct TLS on %d, asked %v", p, asked)
	}
	c.Domain, c.TLSPort = "chat.example.org", 443
	if a, asked := c.Addresses(); !reflect.DeepEqual(a, []string{""}) || asked || c.RegistrationOpen() {
		t.Errorf("a public name listens on %q, registration %v", a, c.RegistrationOpen())
	}
	if p, asked := c.DirectTLS(); p != 443 || !asked {
		t.Errorf("direct TLS on %d, asked %v", p, asked)
	}
	c.Listen = []string{"127.0.0.1", "::ffff:127.0.0.9"}
	if !c.RegistrationOpen() {
		t.Error("closed although all is loopback")
	}
	c.Listen = append(c.Listen, "192.0.2.1")
	if c.RegistrationOpen() {
		t.Error("open although one address is not loopback")
	}
	if c.Registration = "open"; !c.RegistrationOpen() {
		t.Error("closed although the setting opens it")
	}
}

func TestNormalForms(t *testing.T) {
	for given, want := range map[string]string{"~/chat": "/home/x/chat", "~": "/home/x", "a/../b/": "b", "": "/home/x/.local/share/parley", "~x": "~x"} {
		c, err := Load(Sources{Args: map[string]Arg{"data": {Text: given}}, Getenv: env("HOME", "/home/x", "XDG_DATA_HOME", "relative")})
		if err != nil || c.Data != want {
			t.Errorf("data %q becomes %q, %v; want %q", given, c.Data, err, want)
		}
	}
	c, _ := Load(Sources{Getenv: env("XDG_DATA_HOME", "/xdg", "PARLEY_DOMAIN", "Chat.Example.ORG.")})
	if c.Data != "/xdg/parley" || c.Domain != "chat.example.org" {
		t.Errorf("data %q, domain %q", c.Data, c.Domain)
	}
	if c, _ = Load(Sources{}); c.Validate() == nil {
		t.Error("no directory for the data is no fault")
	}
}

func TestContacts(t *testing.T) {
	file := "data = '/d'\n[contact]\nabuse = ['mailto:abuse@example.org', 'xmpp:abuse@example.org?message', 'https://example.org/abuse?x=1#y']\n"
	c, err := Load(Sources{File: write(t, file)})
	if err == nil {
		err = c.Validate()
	}
	if err != nil || len(c.Contact.Abuse) != 3 || c.Contact.Admin != nil {
		t.Errorf("got %q, %v", c.Contact, err)
	}
}

func TestNearest(t *testing.T) {
	list := []string{"add", "list", "reset", "remove", "import"}
	for word, want := range map[string]string{"ad": "add", "lst": "list", "lits": "list", "rest": "reset", "remvoe": "remove", "REMOVE": "remove", "x": "", "export": "import", "zzzz": ""} {
		if got := Nearest(word, list); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
