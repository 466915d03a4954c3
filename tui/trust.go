package tui

import (
	"encoding/base64"
	"fmt"
	"net"
	"strings"

	"parley/client"
)

// unknownKey is what the rule below says about a key that a person has to decide on.
type unknownKey struct{ key client.Key }

func (e *unknownKey) Error() string { return "tui: the key " + e.key.Fingerprint + " is new" }

// checkKey is the rule for servers' keys: what --trust names, what an authority vouches for, what is known already.
// A new key is a question on a terminal; without one it is taken on this computer's own addresses and nowhere else.
// A key that has changed is refused, always.
func (a *app) checkKey(k client.Key) error {
	pin, found, err := a.Known.Find(k.HostPort, k.Fingerprint)
	if err != nil {
		return &Failure{Code: exitFailed, What: "cannot tell which servers are trusted", Why: OneLine(err.Error()), Fix: "make " + OneLine(a.Known.Path) + " readable"}
	}
	vouched := k.Verified && a.Trust == ""
	switch {
	case k.Fingerprint == a.accepted:
		return nil
	case found && pin.Key == k.Fingerprint && (a.Trust == "" || a.Trust == k.Fingerprint), vouched:
		return nil
	case found && pin.Key != k.Fingerprint:
		return changedKey(k, pin)
	case a.Trust != "" && a.Trust != k.Fingerprint:
		return &Failure{Code: exitUntrusted, What: OneLine(k.HostPort) + " shows another key than the one given with --trust. Nothing was sent.\n\n  given  " + a.Trust + "\n  shown  " + k.Fingerprint + "\n",
			Why: "it is another server, or somebody is between you and it"}
	case a.Trust != "":
		a.remember(k)
		return nil
	case a.Interactive:
		return &unknownKey{key: k}
	case loopback(k.HostPort):
		fmt.Fprintf(a.Err, "%s is new to this computer; its key is trusted from now on: %s\n", OneLine(k.HostPort), k.Fingerprint)
		a.remember(k)
		return nil
	}
	return &Failure{Code: exitUntrusted, What: OneLine(k.HostPort) + " is new to this computer, and no authority vouches for its key. Nothing was sent.",
		Why: "there is no terminal to ask on whether it is trusted",
		Fix: "compare with the line \"TLS\" that the server printed when it started, then add:  --trust " + k.Fingerprint}
}

func changedKey(k client.Key, pin Pin) *Failure {
	since := ""
	if !pin.Since.IsZero() {
		since = "  (since " + pin.Since.Local().Format("2 Jan 2006") + ")"
	}
	where := OneLine(k.HostPort)
	return &Failure{Code: exitUntrusted, Alarm: true, kind: "key-changed",
		What: "STOP. " + where + " shows another key than before. You are not connected.\n\n  until now  " + pin.Key + since + "\n  now        " + k.Fingerprint + "\n",
		Why:  "the server was set up anew, or somebody is between you and it",
		Fix:  "ask its owner; if the key is theirs:  parley trust forget " + where}
}

// remember keeps a key. When that fails the session goes on, and the question comes again next time.
func (a *app) remember(k client.Key) {
	if err := a.Known.Add(Pin{HostPort: k.HostPort, Key: k.Fingerprint, Since: a.now()}); err != nil {
		fmt.Fprintf(a.Err, "the key of %s could not be remembered: %s\n", OneLine(k.HostPort), OneLine(err.Error()))
	}
}

// askTrust puts the question about a new key.
func (a *app) askTrust(p prompter, k client.Key) error {
	where := OneLine(k.HostPort)
	answer, err := p.line(where + " is new to this computer, and no authority vouches for its key.\n\n  " + k.Fingerprint + "\n\n" +
		"Compare with the line \"TLS\" that the server printed when it started\n" +
		"(or ask its owner to run: parley config show --fingerprint). Nothing was sent yet.\n" +
		"Trust this key from now on? [y/N] ")
	if err != nil {
		return err
	}
	if yes := strings.ToLower(strings.TrimSpace(answer)); yes != "y" && yes != "yes" {
		return &Failure{Code: exitUntrusted, What: "the key of " + where + " was not trusted, so nothing was sent"}
	}
	a.remember(k)
	a.accepted = k.Fingerprint
	return nil
}

// loopback tells whether an address is this computer's own, where nobody can be in between.
func loopback(hostPort string) bool {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil {
		return false
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// goodFingerprint tells whether s has the form that --trust needs.
func goodFingerprint(s string) bool {
	text, ok := strings.CutPrefix(s, "SHA256:")
	sum, err := base64.RawStdEncoding.DecodeString(text)
	return ok && err == nil && len(sum) == 32
}
