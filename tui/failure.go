package tui

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"parley/client"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
)

// Exit codes of the client's commands.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitSignIn      = 4
	exitUnreachable = 5
	exitUntrusted   = 6
	exitRefused     = 7
	exitEnded       = 8
	exitInterrupted = 130
)

// Failure is what ended a client: the exit code, what happened, why, and what to do about it. Only What is never empty;
// a line break in Fix begins another way out, or goes on with the same when a space follows. All of it is fit for a
// terminal.
type Failure struct {
	Code           int
	What, Why, Fix string
	Alarm          bool // What is no "error" but begins with a louder word of its own

	kind  string        // the code for programs (docs/client.md); "" = that of Code
	after time.Duration // of a lock, or of a rule
}

// Error is what happened.
func (f *Failure) Error() string { return f.What }

// code is the stable name of the failure.
func (f *Failure) code() string {
	if f.kind != "" {
		return f.kind
	}
	return map[int]string{exitFailed: "failed", exitUsage: "usage", exitSignIn: "sign-in", exitUnreachable: "unreachable", exitUntrusted: "untrusted",
		exitRefused: "refused", exitEnded: "ended", exitInterrupted: "interrupted"}[f.Code]
}

// fixes are the ways out, one each.
func (f *Failure) fixes() []string {
	if f.Fix == "" {
		return nil
	}
	return strings.Split(strings.ReplaceAll(f.Fix, "\n ", "\n"), "\n")
}

var errInterrupted = &Failure{Code: exitInterrupted, What: "interrupted"}

// explain turns an error of the client into what people are told.
func (a *app) explain(err error, user string) *Failure {
	var (
		known       *Failure
		key         *client.KeyError
		unreachable *client.UnreachableError
		locked      *client.LockedError
		register    *client.RegisterError
		auth        *client.AuthError
		end         *client.End
		address     *jid.Error
	)
	shown := OneLine(user)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.Canceled):
		return errInterrupted
	case errors.As(err, &key):
		return &Failure{Code: exitUntrusted, What: "the key " + key.Key.Fingerprint + " of " + OneLine(key.Key.HostPort) + " is not trusted"}
	case errors.As(err, &unreachable):
		return explainUnreachable(unreachable)
	case errors.Is(err, client.ErrPassword):
		return &Failure{Code: exitSignIn, kind: "wrong-password", What: "wrong name or password", Fix: "an admin can set a new one:  parley user reset " + shown}
	case errors.Is(err, client.ErrName), errors.As(err, &address):
		return &Failure{Code: exitUsage, kind: "wrong-name", What: fmt.Sprintf("%q cannot be a user name", shown), Why: "names are single words; they have no spaces and none of \" & ' / : < > @"}
	case errors.As(err, &locked):
		return a.explainLocked(locked, shown)
	case errors.As(err, &register):
		return explainRegister(register, shown)
	case errors.Is(err, client.ErrNoRegistration):
		if shown == "" {
			shown = "NAME"
		}
		return &Failure{Code: exitRefused, kind: "no-registration", What: "this server makes no accounts for people who ask", Fix: "ask its owner to run:  parley user add " + shown}
	case errors.As(err, &auth):
		return &Failure{Code: exitSignIn, What: "the server refuses to sign " + shown + " in", Why: OneLine(auth.Text)}
	case errors.As(err, &end):
		return explainEnd(end)
	case errors.Is(err, client.ErrNoTLS):
		return &Failure{Code: exitUntrusted, What: "the server offers no protected connection, so nothing was sent", Why: "it is set up wrongly, or somebody is between you and it"}
	case errors.Is(err, client.ErrServerProof):
		return &Failure{Code: exitUntrusted, What: "the server could not prove that it knows your account", Why: "it is not the server where the account was made, or somebody is between you and it"}
	case errors.Is(err, client.ErrNoMechanism):
		return &Failure{Code: exitSignIn, What: "the server offers no way to sign in that this client knows", Why: "it knows SCRAM-SHA-256"}
	case errors.Is(err, client.ErrNotXMPP):
		return &Failure{Code: exitUnreachable, What: "what answers there is no chat server", Fix: "look at the port: the server says it when it starts"}
	}
	return &Failure{Code: exitFailed, What: OneLine(strings.TrimPrefix(err.Error(), "client: "))}
}

func explainUnreachable(e *client.UnreachableError) *Failure {
	f := &Failure{Code: exitUnreachable}
	var dns *net.DNSError
	var timeout net.Error
	detail := ""
	switch {
	case errors.As(e.Err, &dns):
		f.Why, f.Fix = "no computer with that name was found", "check the name, and that you are connected to the network"
	case errors.Is(e.Err, syscall.ECONNREFUSED):
		f.Why, f.Fix = "nothing listens there: the server does not run, or on another port", "on the server:  parley server"
	case errors.As(e.Err, &timeout) && timeout.Timeout(), errors.Is(e.Err, context.DeadlineExceeded):
		detail = ": no answer in 5 s"
		f.Why, f.Fix = "the server is off, or a firewall is in between", "ask its owner whether it runs, and whether its firewall lets the port in"
	default:
		f.Why = OneLine(strings.TrimPrefix(e.Err.Error(), "client: "))
	}
	if host, address, ports := found(e); host != "" {
		f.What = OneLine("cannot reach " + host + " (" + address + ", " + ports + detail + ")")
		if detail != "" {
			f.Why += "; the name itself is fine"
		}
	} else {
		f.What = OneLine("cannot reach "+strings.Join(e.Tried, " or ")) + detail
	}
	return f
}

// found is the name that was looked up, the address that was found for it, and the ports that were tried there; nothing
// when it was no name, or not found.
func found(e *client.UnreachableError) (host, address, ports string) {
	var list []string
	for _, t := range e.Tried {
		h, port, err := net.SplitHostPort(t)
		if err != nil || net.ParseIP(h) != nil || host != "" && h != host {
			return "", "", ""
		}
		host, list = h, append(list, port)
	}
	var op *net.OpError
	if !errors.As(e.Err, &op) || op.Addr == nil {
		return "", "", ""
	}
	address, _, err := net.SplitHostPort(op.Addr.String())
	if err != nil || net.ParseIP(address) == nil {
		return "", "", ""
	}
	ports = "port "
	if len(list) > 1 {
		ports = "ports "
	}
	return host, address, ports + strings.Join(list, " and ")
}

func (a *app) explainLocked(e *client.LockedError, user string) *Failure {
	f := &Failure{Code: exitSignIn, kind: "locked", after: e.For, What: "sign-in for " + user + " is locked", Why: OneLine(e.Text)}
	if e.For > 0 {
		f.What += fmt.Sprintf(" for %s, until %s", inWords(e.For), a.now().Add(e.For).Format("15:04:05"))
		f.Why = "too many wrong passwords in a row (a rule of this server)"
		if a.wrong+1 == attempts { // this was one more
			f.Why = fmt.Sprintf("%d wrong passwords in a row from your network (a rule of this server)", attempts)
		}
	}
	f.Fix = "wait, then:  " + a.Again + "\n forgotten?   an admin can run:  parley user reset " + user
	return f
}

func explainRegister(e *client.RegisterError, user string) *Failure {
	f := &Failure{Code: exitRefused, kind: "not-registered", What: "the account " + user + " was not made", Why: OneLine(e.Err.Text)}
	switch {
	case e.Err.Condition == stanza.Conflict:
		f.kind, f.What, f.Why, f.Fix = "name-taken", "the name "+user+" is taken", "", "choose another one"
	case f.Why == "":
		f.Why = "the server refused it without saying why"
	}
	return f
}

// explainEnd says why a session ended that nobody wanted to end.
func explainEnd(e *client.End) *Failure {
	f := &Failure{Code: exitEnded, Why: OneLine(e.Text), after: e.After}
	switch e.Reason {
	case client.Inactive:
		f.kind, f.What = "idle-timeout", "you were signed out: nothing from you for "+inWords(e.After)
		f.Why = "a rule of this server"
		if e.After == 0 {
			f.What = "you were signed out: nothing from you for too long"
		}
	case client.Shutdown:
		f.kind, f.What = "shutdown", "the server stopped"
	case client.Replaced:
		f.kind, f.What = "replaced", "another session of yours took the place of this one"
	case client.Closed:
		f.kind, f.What = "closed", "the server closed the connection"
	case client.Refused:
		f.kind, f.What = "refused", "the server ended the connection"
	default:
		f.Code, f.kind, f.What = exitUnreachable, "lost", "connection lost"
	}
	return f
}

// inWords says a length of time: "60 seconds", "10 minutes".
func inWords(d time.Duration) string {
	n, unit := int(d/time.Second), "second"
	switch {
	case n >= 7200 && n%3600 == 0:
		n, unit = n/3600, "hour"
	case n >= 120 && n%60 == 0:
		n, unit = n/60, "minute"
	}
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

// shortly says a length of time as briefly as it can be said: "38 s", "5 min", "3 h".
func shortly(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Round(time.Second)/time.Second))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Round(time.Minute)/time.Minute))
	}
	return fmt.Sprintf("%d h", int(d.Round(time.Hour)/time.Hour))
}
