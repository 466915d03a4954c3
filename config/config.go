// Package config holds the settings of the server: one struct, and one table that says for each setting how it
// is called in the file, in the environment and on the command line, what it means and what it may be.
//
// Parsing, defaults, validation, the flags of the command and docs/configuration.md all come from that table.
package config

import (
	"net"
	"net/netip"
	"reflect"
	"strconv"
)

// Config is the complete set of settings of a server. The fields mirror the keys of the TOML file; Settings has
// the meaning and the range of each one. A Config is a value: after Load nobody changes it.
//
// Durations are whole seconds, sizes are bytes.
type Config struct {
	Port           int      `toml:"port"`            // TCP, STARTTLS; 0 (never from Load) = any free one, for tests
	Listen         []string `toml:"listen"`          // IP addresses without port; empty: see Addresses
	TLSPort        int      `toml:"tls_port"`        // direct TLS; 0: see DirectTLS
	InsecureListen string   `toml:"insecure_listen"` // ADDR:PORT without TLS, loopback only; empty: none
	Data           string   `toml:"data"`            // directory
	Domain         string   `toml:"domain"`          // lower case, no final dot
	BlockDuration  int      `toml:"block_duration"`  // seconds
	Timeout        int      `toml:"timeout"`         // seconds; 0: nobody is signed out for being idle
	ResumeTime     int      `toml:"resume_time"`     // seconds; 0: a session ends with its connection
	Registration   string   `toml:"registration"`    // auto, open, closed: see RegistrationOpen
	Archive        string   `toml:"archive"`         // on, off
	ArchiveDays    int      `toml:"archive_days"`    // 0: for ever
	Contacts       string   `toml:"contacts"`
	BlockedSender  string   `toml:"blocked_sender"` // explicit, discreet, silent

	Auth         Auth         `toml:"auth"`
	Lockout      Lockout      `toml:"lockout"`
	Broadcast    Broadcast    `toml:"broadcast"`
	Whoelse      Whoelse      `toml:"whoelse"`
	Whoelsesince Whoelsesince `toml:"whoelsesince"`
	TLS          TLS          `toml:"tls"`
	Limits       Limits       `toml:"limits"`
	Contact      Contact      `toml:"contact"`
	Log          Log          `toml:"log"`

	origins map[string]origin // by key, of what is not a default; read only after Load
}

// Auth says how passwords are kept.
type Auth struct {
	Iterations int  `toml:"iterations"` // of SCRAM, for passwords set from now on (RFC 7677 §4)
	Legacy     bool `toml:"legacy"`     // SCRAM-SHA-1 and PLAIN too, inside TLS
}

// Lockout says whom three wrong passwords shut out.
type Lockout struct {
	Scope string `toml:"scope"` // source: the account from that network; account: the account from everywhere
}

// Broadcast holds the settings of the broadcast command.
type Broadcast struct {
	Enabled bool `toml:"enabled"`
	Burst   int  `toml:"burst"` // broadcasts at once
	Every   int  `toml:"every"` // seconds until one more is allowed; 0: no limit
}

// Whoelse holds the settings of the whoelse command.
type Whoelse struct {
	Enabled bool `toml:"enabled"`
}

// Whoelsesince holds the settings of the whoelsesince command.
type Whoelsesince struct {
	Enabled bool `toml:"enabled"`
}

// TLS names the files of a certificate; both empty: a self-signed key made at the first start.
type TLS struct {
	Cert string `toml:"cert"`
	Key  string `toml:"key"`
}

// Limits bounds what one client may ask of the server.
type Limits struct {
	Rates       bool `toml:"rates"`        // false: no limits per second, for measurements
	StanzaBytes int  `toml:"stanza_bytes"` // largest stanza after sign-in
	Sessions    int  `toml:"sessions"`     // per account
	OutboxBytes int  `toml:"outbox_bytes"` // waiting for one session before it is fed from the archive
}

// Contact has the addresses of those who run the server, as URIs (XEP-0157).
type Contact struct {
	Abuse    []string `toml:"abuse"`
	Admin    []string `toml:"admin"`
	Support  []string `toml:"support"`
	Security []string `toml:"security"`
	Feedback []string `toml:"feedback"`
}

// Log says what is written to the log.
type Log struct {
	Level  string `toml:"level"`  // debug, info, warn, error
	Format string `toml:"format"` // text, json
}

// Default returns the built-in values: everything but Data, which depends on the environment (see Load).
func Default() Config {
	var c Config
	for _, s := range Settings() {
		if s.Default == "" {
			continue
		}
		if problem := s.set(&c, s.Default); problem != "" {
			panic("config: default of " + s.Key + " " + problem)
		}
	}
	return c
}

// Asked reports whether the setting with that key was given by a flag, the environment or the file.
func (c Config) Asked(key string) bool {
	_, ok := c.origins[key]
	return ok
}

// Origin tells where the value of the setting with that key came from.
func (c Config) Origin(key string) Origin { return c.origins[key].Origin }

// Reload returns c with those values of next that a running server can take over. Of the settings that differ, taken
// has the keys of those, and later the keys of those that need a restart.
func (c Config) Reload(next Config) (now Config, taken, later []string) {
	now = c
	for _, s := range Settings() {
		switch {
		case reflect.DeepEqual(s.Value(c), s.Value(next)):
		case !s.Reload:
			later = append(later, s.Key)
		default:
			taken = append(taken, s.Key)
			reflect.ValueOf(s.field(&now)).Elem().Set(reflect.ValueOf(s.field(&next)).Elem())
		}
	}
	return now, taken, later
}

// Addresses returns the addresses to listen on, without port, and whether they were asked for. Those that were
// not may be left out when the machine lacks them (no IPv6). The empty address means all of the machine.
func (c Config) Addresses() (addresses []string, asked bool) {
	switch {
	case len(c.Listen) > 0:
		return c.Listen, true
	case c.Domain == "localhost":
		return []string{"127.0.0.1", "::1"}, false
	default:
		return []string{""}, false
	}
}

// DirectTLS returns the port for TLS from the first byte (XEP-0368) and whether it was asked for. One that was
// not asked for (the port after Port) may be left out when it is taken.
func (c Config) DirectTLS() (port int, asked bool) {
	switch {
	case c.TLSPort != 0:
		return c.TLSPort, true
	case c.Port == 0:
		return 0, false
	default:
		return c.Port + 1, false
	}
}

// OnLoopback reports whether nobody but this computer can reach the server.
func (c Config) OnLoopback() bool {
	addresses, _ := c.Addresses()
	for _, a := range addresses {
		if ip, err := netip.ParseAddr(a); err != nil || !ip.Unmap().IsLoopback() {
			return false
		}
	}
	return c.InsecureListen == "" || loopbackPort(c.InsecureListen)
}

// RegistrationOpen reports whether anybody may make an account (XEP-0077).
func (c Config) RegistrationOpen() bool {
	return c.Registration == "open" || c.Registration == "auto" && c.OnLoopback()
}

// loopbackPort reports whether s is ADDR:PORT with a loopback address and a usable port (0 = any free one).
func loopbackPort(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
