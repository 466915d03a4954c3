package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"parley/config"
	"parley/server"
)

// announce says that the server is ready: everything worth knowing at the first start, four lines at later ones
// when somebody reads them, and a line of the log when nobody does.
func (p *program) announce(f server.Facts, c config.Config, log *slog.Logger) {
	terminal := onTerminal(p.out)
	switch {
	case f.DataNew:
		fmt.Fprint(p.out, harmless(firstStart(f, c)))
	case terminal:
		fmt.Fprint(p.out, harmless(laterStart(f)))
	}
	if !terminal {
		log.Info("ready", "version", version, "domain", f.Domain, "data", f.Data, "listen", f.Listen, "tls", f.TLSListen,
			"insecure", f.Insecure, "key", f.Fingerprint, "accounts", f.Accounts, "registration", f.Registration,
			"took", f.Took.Round(time.Millisecond))
		if f.Lacking > 0 {
			log.Info(lackingNote(f.Lacking), "accounts", f.Lacking)
		}
	}
}

// firstStart is what is printed when the data directory was made just now.
func firstStart(f server.Facts, c config.Config) string {
	var b strings.Builder
	fmt.Fprintf(&b, "parley %s, first start", version)
	if c.OnLoopback() {
		b.WriteString(": nothing was set up yet, so this is for this computer only")
	}
	b.WriteString(".\n\n")
	fmt.Fprintf(&b, "  data      %-39s (new)\n", short(f.Data))
	if f.Domain == "localhost" {
		fmt.Fprintf(&b, "  domain    %-39s for others: --domain chat.example.org\n", f.Domain)
	} else {
		fmt.Fprintf(&b, "  domain    %s\n", f.Domain)
	}
	if f.KeyNew {
		b.WriteString("  TLS       self-signed key made now\n            ")
	} else {
		b.WriteString("  TLS       ")
	}
	fmt.Fprintf(&b, "%s\n  apps      %s\n", f.Fingerprint, apps(f))
	if len(f.Insecure) > 0 {
		fmt.Fprintf(&b, "  insecure  %s, not encrypted, for tests\n", strings.Join(f.Insecure, ", "))
	}
	if f.Accounts == 0 {
		b.WriteString("\nMake the first account in another terminal:\n\n  parley user add YOURNAME --admin" + dataFlag(c) + "\n")
		if f.Registration {
			fmt.Fprintf(&b, "\nor let people make their own:  parley client %s\n", dial(f))
		} else {
			fmt.Fprintf(&b, "\nthen talk:  parley client %s\n", dial(f))
		}
	}
	return b.String() + "\n" + readyLine(f)
}

// laterStart is what somebody at a terminal reads when there was a first start before.
func laterStart(f server.Facts) string {
	note := ""
	if f.Lacking > 0 {
		note = lackingNote(f.Lacking) + ".\n"
	}
	return fmt.Sprintf("parley %s, %s, %s\n  apps      %s\n  TLS       %s\n%s%s",
		version, f.Domain, count(f.Accounts, "account"), apps(f), f.Fingerprint, note, readyLine(f))
}

func readyLine(f server.Facts) string {
	return fmt.Sprintf("Ready in %d ms. Stop with Ctrl-C.\n", f.Took.Milliseconds())
}

// apps lists where apps connect: "127.0.0.1:5222 and :5223 (TLS)".
func apps(f server.Facts) string {
	text := strings.Join(f.Listen, ", ")
	switch {
	case f.TLSPortTaken:
		text += " (the port for direct TLS is taken; apps do without)"
	case len(f.TLSListen) > 0:
		_, port, _ := net.SplitHostPort(f.TLSListen[0])
		text += " and :" + port + " (TLS)"
	}
	return text
}

// dial returns the words after `parley client` on this computer.
func dial(f server.Facts) string {
	host, port, err := net.SplitHostPort(append(f.Listen, "127.0.0.1:5222")[0])
	if ip := net.ParseIP(host); err != nil || ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return host + " " + port
}

// dataFlag returns the flag that the other commands need to find the same data.
func dataFlag(c config.Config) string {
	if !c.Asked("data") {
		return ""
	}
	return " --data " + quoted(c.Data)
}

// short writes a path with ~ for the home directory.
func short(path string) string {
	if home, err := os.UserHomeDir(); err == nil {
		if rest, ok := strings.CutPrefix(path, home+string(filepath.Separator)); ok {
			return "~" + string(filepath.Separator) + rest
		}
	}
	return path
}
