package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Kind is what the value of a setting looks like.
type Kind uint8

// The kinds of values.
const (
	Number  Kind = iota // a whole number from Min to Max
	Seconds             // a whole number of seconds from Min to Max
	Text                // any text that Check takes
	Choice              // one of Choices
	Switch              // true or false
	List                // several texts; with commas between them where there is only one text to give
)

// tenYears is the longest duration taken, in seconds; it keeps sums of times far from overflow.
const tenYears = 10 * 365 * 24 * 60 * 60

// Setting is one row of the table: everything there is to know about one key.
type Setting struct {
	Key      string   // in the TOML file, with a dot after the section
	Kind     Kind     // form of the value
	Default  string   // as it would be typed; empty: none
	Unset    string   // what holds when it is not given, in words, if Default is empty
	Doc      string   // one line
	Example  string   // a good value, as it would be typed; empty: Default is one
	Min, Max int      // of Number and Seconds
	Choices  []string // of Choice
	Reload   bool     // a running server takes a new value over (SIGHUP); else it counts from the next start

	field func(*Config) any         // pointer into the struct: *int, *string, *bool or *[]string
	check func(value string) string // of Text and each of List: "" or what is wrong ("must be …")
	clean func(value string) string // normal form of a Text, may be nil
}

// Env is the name of the setting in the environment.
func (s Setting) Env() string {
	return "PARLEY_" + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "_"))
}

// Flag is the name of the setting on the command line, without the dashes.
func (s Setting) Flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key)
}

// Settings is the table of all settings, in the order of the documentation.
func Settings() []Setting {
	return append(general(), sections()...)
}

func general() []Setting {
	return []Setting{
		{Key: "port", Kind: Number, Default: "5222", Min: 1, Max: 65535,
			Doc:   "TCP port for apps (STARTTLS); also the first word after `parley server`.",
			field: func(c *Config) any { return &c.Port }},
		{Key: "block_duration", Kind: Seconds, Default: "60", Max: tenYears, Reload: true,
			Doc:   "How long three wrong passwords lock a sign-in (0: not at all); also the second word after `parley server`.",
			field: func(c *Config) any { return &c.BlockDuration }},
		{Key: "timeout", Kind: Seconds, Default: "0", Max: tenYears, Reload: true,
			Doc:   "Who does nothing for so long is signed out (0: nobody is); also the third word after `parley server`.",
			field: func(c *Config) any { return &c.Timeout }},
		{Key: "resume_time", Kind: Seconds, Default: "600", Max: 86400, Reload: true,
			Doc:   "How long a session waits for an app whose connection was lost, or that the server has left for a restart (0: not at all).",
			field: func(c *Config) any { return &c.ResumeTime }},
		{Key: "domain", Kind: Text, Default: "localhost", Example: "chat.example.org",
			Doc:   "Name of the server, the part after @ in its users' addresses. Recorded in the data directory at the first start.",
			field: func(c *Config) any { return &c.Domain }, check: checkDomain, clean: cleanDomain},
		{Key: "data", Kind: Text, Unset: "`$XDG_DATA_HOME/parley` or `~/.local/share/parley`", Example: "/var/lib/parley",
			Doc:   "Directory for accounts, messages and the server's key; made when it does not exist.",
			field: func(c *Config) any { return &c.Data }},
		{Key: "listen", Kind: List, Unset: "this computer only while the domain is `localhost`, else everywhere", Example: "0.0.0.0",
			Doc:   "IP addresses to listen on, without port.",
			field: func(c *Config) any { return &c.Listen }, check: checkAddress},
		{Key: "tls_port", Kind: Number, Unset: "the port after `port`", Example: "5223", Min: 1, Max: 65535,
			Doc:   "TCP port for apps that start with TLS. If it is taken and was not asked for, the server goes on without it.",
			field: func(c *Config) any { return &c.TLSPort }},
		{Key: "insecure_listen", Kind: Text, Unset: "none", Example: "127.0.0.1:5322",
			Doc:   "One more listener, without TLS, for tests and measurements. Loopback addresses only.",
			field: func(c *Config) any { return &c.InsecureListen }, check: checkInsecure},
		{Key: "registration", Kind: Choice, Default: "auto", Choices: []string{"auto", "open", "closed"}, Reload: true,
			Doc:   "Who may make an account from a client: `open` everybody, `closed` nobody, `auto` everybody while only this computer can connect.",
			field: func(c *Config) any { return &c.Registration }},
		{Key: "contacts", Kind: Choice, Default: "everyone", Choices: []string{"everyone", "roster"},
			Doc:   "Whose presence people see: `everyone` that of all accounts, who are each other's contacts; `roster` that of the contacts whom they have agreed it with (`whoelse` and `whoelsesince` list all accounts either way). Recorded in the data directory at the first start; it changes only when it is given.",
			field: func(c *Config) any { return &c.Contacts }},
		{Key: "archive", Kind: Choice, Default: "on", Choices: []string{"on", "off"},
			Doc:   "`on` keeps every message in both accounts' archives; `off` keeps only what nobody was there to take.",
			field: func(c *Config) any { return &c.Archive }},
		{Key: "archive_days", Kind: Number, Default: "0", Max: 36500,
			Doc:   "Messages older than so many days are removed, once they were delivered (0: never).",
			field: func(c *Config) any { return &c.ArchiveDays }},
		{Key: "blocked_sender", Kind: Choice, Default: "explicit", Choices: []string{"explicit", "discreet", "silent"}, Reload: true,
			Doc:   "What somebody who is blocked hears: `explicit` that the recipient has blocked them, `discreet` only that it cannot be delivered, `silent` nothing.",
			field: func(c *Config) any { return &c.BlockedSender }},
	}
}

func sections() []Setting {
	return []Setting{
		{Key: "auth.iterations", Kind: Number, Default: "100000", Min: 4096, Max: 5000000,
			Doc:   "Rounds of hashing for a password that is set from now on (SCRAM). More is slower to guess and slower to sign in with.",
			field: func(c *Config) any { return &c.Auth.Iterations }},
		{Key: "auth.legacy", Kind: Switch, Default: "false",
			Doc:   "Old apps may sign in with SCRAM-SHA-1 and PLAIN too, inside TLS. Of each password that is set, a second and weaker verifier is kept then; `false` erases those.",
			field: func(c *Config) any { return &c.Auth.Legacy }},
		{Key: "lockout.scope", Kind: Choice, Default: "source", Choices: []string{"source", "account"},
			Doc:   "Whom three wrong passwords lock out: `source` the account from that network, `account` the account from everywhere.",
			field: func(c *Config) any { return &c.Lockout.Scope }},
		{Key: "broadcast.enabled", Kind: Switch, Default: "true",
			Doc:   "Offer `broadcast`.",
			field: func(c *Config) any { return &c.Broadcast.Enabled }},
		{Key: "broadcast.burst", Kind: Number, Default: "10", Min: 1, Max: 100000, Reload: true,
			Doc:   "Broadcasts that an account may send at once.",
			field: func(c *Config) any { return &c.Broadcast.Burst }},
		{Key: "broadcast.every", Kind: Seconds, Default: "5", Max: tenYears, Reload: true,
			Doc:   "After those, one more is allowed each time so long has passed (0: no limit).",
			field: func(c *Config) any { return &c.Broadcast.Every }},
		{Key: "whoelse.enabled", Kind: Switch, Default: "true",
			Doc:   "Offer `whoelse`.",
			field: func(c *Config) any { return &c.Whoelse.Enabled }},
		{Key: "whoelsesince.enabled", Kind: Switch, Default: "true",
			Doc:   "Offer `whoelsesince`.",
			field: func(c *Config) any { return &c.Whoelsesince.Enabled }},
		{Key: "tls.cert", Kind: Text, Unset: "a self-signed key made at the first start", Example: "/etc/parley/cert.pem", Reload: true,
			Doc:   "File with the certificate and its chain (PEM).",
			field: func(c *Config) any { return &c.TLS.Cert }},
		{Key: "tls.key", Kind: Text, Unset: "as above", Example: "/etc/parley/key.pem", Reload: true,
			Doc:   "File with the private key of that certificate (PEM).",
			field: func(c *Config) any { return &c.TLS.Key }},
		{Key: "limits.rates", Kind: Switch, Default: "true", Reload: true,
			Doc:   "Limit messages, connections and registrations per second. `false` is for measurements.",
			field: func(c *Config) any { return &c.Limits.Rates }},
		{Key: "limits.stanza_bytes", Kind: Number, Default: "262144", Min: 10000, Max: 16 << 20, Reload: true,
			Doc:   "Largest stanza taken from a client that is signed in, in bytes.",
			field: func(c *Config) any { return &c.Limits.StanzaBytes }},
		{Key: "limits.sessions", Kind: Number, Default: "20", Min: 1, Max: 1000, Reload: true,
			Doc:   "Clients that may be signed in to one account at the same time.",
			field: func(c *Config) any { return &c.Limits.Sessions }},
		{Key: "limits.outbox_bytes", Kind: Number, Default: "262144", Min: 16384, Max: 64 << 20, Reload: true,
			Doc:   "Bytes that may wait for one client in memory; a client further behind is fed from the archive.",
			field: func(c *Config) any { return &c.Limits.OutboxBytes }},
		contact("abuse", "Where people complain of others: `mailto:`, `xmpp:` or `https:` addresses that clients show.",
			func(c *Config) any { return &c.Contact.Abuse }),
		contact("admin", "Where those who run the server can be reached; likewise.", func(c *Config) any { return &c.Contact.Admin }),
		contact("support", "Where people get help; likewise.", func(c *Config) any { return &c.Contact.Support }),
		contact("security", "Where weaknesses of the server are reported; likewise.", func(c *Config) any { return &c.Contact.Security }),
		contact("feedback", "Where people say what they think of the server; likewise.", func(c *Config) any { return &c.Contact.Feedback }),
		{Key: "log.level", Kind: Choice, Default: "info", Choices: []string{"debug", "info", "warn", "error"}, Reload: true,
			Doc:   "The least that is written to the log. At a terminal it is `warn` unless it is given.",
			field: func(c *Config) any { return &c.Log.Level }},
		{Key: "log.format", Kind: Choice, Default: "text", Choices: []string{"text", "json"},
			Doc:   "How a line of the log is written: `text` as key=value, `json` as one JSON object.",
			field: func(c *Config) any { return &c.Log.Format }},
	}
}

// contact is the row of one of the server's contact addresses (XEP-0157).
func contact(kind, doc string, field func(*Config) any) Setting {
	return Setting{Key: "contact." + kind, Kind: List, Unset: "none", Example: "mailto:" + kind + "@example.org", Doc: doc, field: field, check: checkURI}
}

// set parses text into the field of the setting. It returns "" or what is wrong, as in "must be …, not …".
func (s Setting) set(c *Config, text string) string {
	text = strings.TrimSpace(text)
	switch p := s.field(c).(type) {
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return s.must(text)
		}
		*p = n
	case *bool:
		switch strings.ToLower(text) {
		case "true", "on", "yes", "1":
			*p = true
		case "false", "off", "no", "0":
			*p = false
		default:
			return s.must(text)
		}
	case *string:
		*p = text
	case *[]string:
		*p = nil
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				*p = append(*p, part)
			}
		}
	}
	return ""
}

// reset gives the setting its default in c.
func (s Setting) reset(c *Config) {
	reflect.ValueOf(s.field(c)).Elem().SetZero()
	if s.Default != "" {
		s.set(c, s.Default)
	}
}

// Value returns the setting's value in c: an int, a bool, a string or a []string.
func (s Setting) Value(c Config) any { return reflect.ValueOf(s.field(&c)).Elem().Interface() }

// tidy brings the value into its normal form.
func (s Setting) tidy(c *Config) {
	if p, ok := s.field(c).(*string); ok && s.clean != nil {
		*p = s.clean(*p)
	}
}

// problem returns "" or what is wrong with the value in c, as in "must be …, not …". A value that is not given
// is never wrong by itself.
func (s Setting) problem(c *Config) string {
	switch p := s.field(c).(type) {
	case *int:
		unset := s.Default == "" && *p == 0 && !c.Asked(s.Key)
		if !unset && (*p < s.Min || *p > s.Max) {
			return s.must(strconv.Itoa(*p))
		}
	case *string:
		if s.Kind == Choice {
			for _, choice := range s.Choices {
				if *p == choice {
					return ""
				}
			}
			return s.must(*p)
		}
		if s.check != nil && (*p != "" || s.Default != "") {
			return s.check(*p)
		}
	case *[]string:
		for _, v := range *p {
			if problem := s.check(v); problem != "" {
				return problem
			}
		}
	}
	return ""
}

// must says what the value has to be and what it is.
func (s Setting) must(given string) string {
	if _, err := strconv.Atoi(given); err != nil {
		given = strconv.Quote(given)
	}
	return "must be " + s.form() + ", not " + given
}

// form says in words what a value has to be.
func (s Setting) form() string {
	switch s.Kind {
	case Number:
		return fmt.Sprintf("a number from %d to %d", s.Min, s.Max)
	case Seconds:
		return fmt.Sprintf("a whole number of seconds from %d to %d", s.Min, s.Max)
	case Switch:
		return "true or false"
	case Choice:
		last := len(s.Choices) - 1
		return strings.Join(s.Choices[:last], ", ") + " or " + s.Choices[last]
	case List:
		return "a list of texts"
	default:
		return "a text in quotes"
	}
}

func cleanDomain(s string) string {
	return strings.TrimSuffix(strings.ToLower(s), ".")
}

func checkDomain(s string) string {
	if _, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return fmt.Sprintf("must be a name, not the address %s", s)
	}
	profile := idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true))
	if _, err := profile.ToASCII(s); err != nil {
		return fmt.Sprintf("must be a domain name, not %q", s)
	}
	return ""
}

func checkAddress(s string) string {
	if _, err := netip.ParseAddr(s); err == nil {
		return ""
	}
	if _, err := netip.ParseAddrPort(s); err == nil {
		return fmt.Sprintf("takes addresses without a port, not %q", s)
	}
	return fmt.Sprintf("must be an IP address of this computer, not %q", s)
}

// maxURI is how long a contact address may be, in bytes.
const maxURI = 1000

func checkURI(s string) string {
	u, err := url.Parse(s)
	unfit := func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) }
	switch {
	case err != nil, len(s) > maxURI, !utf8.ValidString(s), strings.ContainsFunc(s, unfit):
	case u.Scheme == "https" && u.Host != "",
		(u.Scheme == "mailto" || u.Scheme == "xmpp") && strings.Trim(u.Opaque, "/?") != "":
		return ""
	}
	return fmt.Sprintf("must be an address such as mailto:help@example.org, xmpp:help@example.org or https://example.org/help, not %q", s)
}

func checkInsecure(s string) string {
	if loopbackPort(s) {
		return ""
	}
	return fmt.Sprintf("must be ADDR:PORT with a loopback address, because nothing on it is encrypted, not %q", s)
}
