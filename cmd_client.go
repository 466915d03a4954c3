package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"parley/tui"
)

// clientFlags are what `parley client` and `parley send` share.
type clientFlags struct {
	user, server, passwordFile, trust string
}

func (f *clientFlags) addTo(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.user, "user", "", "sign in as `NAME`")
	cmd.Flags().StringVar(&f.passwordFile, "password-file", "", "read the password from the first line of `FILE` (or set PARLEY_PASSWORD)")
	cmd.Flags().StringVar(&f.server, "server", "", "connect to `HOST[:PORT]`")
	cmd.Flags().StringVar(&f.trust, "trust", "", "take the server only if it shows this `KEY` (SHA256:…)")
}

// clientCommand is `parley client`.
func (p *program) clientCommand() *cobra.Command {
	var flags clientFlags
	var face clientFace
	var register bool
	var linger, retry time.Duration
	cmd := &cobra.Command{
		Use:   "client [HOST [PORT] | NAME@DOMAIN[:PORT]]",
		Short: "the client: for a person at a terminal, and for scripts",
		Long: `parley client signs in to a server and lets you write to the others there. At a terminal it asks for what it needs;
type help for the commands. Without a terminal it reads commands from its input, one in each line, and prints one line
for each thing that happens; the first two lines are the name and the password unless both are given otherwise. Without
a word it takes the account that was used last. When the connection is lost it comes back by itself.`,
		Example: `  parley client 127.0.0.1 5222
  parley client alice@chat.example.org
  printf 'alice\nsecret\nmessage bob backup done\n' | parley client 127.0.0.1 5222`,
		Args:                  clientWords,
		DisableFlagsInUseLine: true,
	}
	flags.addTo(cmd)
	face.addTo(cmd)
	cmd.Flags().BoolVar(&register, "register", false, "make the account first, where the server lets people do that")
	cmd.Flags().DurationVar(&linger, "linger", 0, "without a terminal: listen on for `TIME` (30s, 5m) after the end of the input")
	cmd.Flags().DurationVar(&retry, "retry", time.Minute, "without a terminal: for how much `TIME` to try to connect again; 0 = not at all")
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		o := tui.Options{Register: register, Linger: linger, Retry: retry, Again: strings.Join(append([]string{"parley", "client"}, given...), " ")}
		if err := face.fill(p, &o); err != nil {
			return err
		}
		if err := addressOf(&o, given); err != nil {
			return err
		}
		if err := flags.fill(p, &o); err != nil {
			return err
		}
		if len(given) == 0 {
			if err := p.asLast(&o); err != nil {
				return err
			}
		}
		return p.client(cmd.Context(), o, tui.Run)
	}
	return cmd
}

// clientFace is how `parley client` shows itself.
type clientFace struct{ line, json bool }

func (f *clientFace) addTo(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.json, "json", false, "without a prompt: print one JSON object for each thing that happens (docs/client.md)")
	cmd.Flags().BoolVar(&f.line, "line", false, "at a terminal: line mode, even if it says that it is dumb")
}

func (f *clientFace) fill(p *program, o *tui.Options) error {
	terminals := onTerminal(p.in) && onTerminal(p.out)
	switch {
	case f.line && f.json:
		return misuse("leave one of them out", "--line and --json exclude each other")
	case f.line && !terminals:
		return misuse("leave out --line: without a terminal every line of the input is a command", "--line needs a terminal for input and output")
	}
	o.JSON = f.json
	o.Interactive = terminals && !f.json && (f.line || p.getenv("TERM") != "dumb")
	return nil
}

const clientFix = "parley client 127.0.0.1 5222\nparley client alice@chat.example.org"

// asLast fills in the account that signed in last, as far as nothing else was given.
func (p *program) asLast(o *tui.Options) error {
	if o.HostPort != "" || o.Domain != "" {
		return nil
	}
	acc, ok, err := o.Last.Load()
	if err != nil {
		return &failure{code: exitFailed, what: "cannot tell which account was used last", why: err.Error(), fix: clientFix}
	}
	if !ok {
		return misuse(clientFix, "parley client needs to know the server")
	}
	o.Domain, o.HostPort = acc.Domain, acc.HostPort
	if o.User == "" {
		o.User = acc.User
		o.AsBefore = "As last time: " + acc.Address
		if acc.HostPort != "" {
			o.AsBefore += " at " + acc.HostPort
		}
	}
	return nil
}

// clientWords checks how many words there are and that the second one is a port.
func clientWords(cmd *cobra.Command, given []string) error {
	switch {
	case len(given) > 2:
		return misuse(clientFix, "parley client takes at most 2 words, and %q is one word too many", given[2])
	case len(given) == 2 && strings.Contains(given[0], "@"):
		return misuse(clientFix, "parley client NAME@DOMAIN takes no second word, and %q is one", given[1])
	case len(given) == 2:
		_, err := portNumber(given[1])
		return err
	}
	return nil
}

func portNumber(s string) (string, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return "", misuse("for example:  parley client 127.0.0.1 5222", "PORT must be a number from 1 to 65535, not %s", s)
	}
	return strconv.FormatUint(n, 10), nil
}

// addressOf reads the words of `parley client`.
func addressOf(o *tui.Options, given []string) error {
	if len(given) == 0 {
		return nil
	}
	if name, domain, ok := strings.Cut(given[0], "@"); ok {
		host, port, err := net.SplitHostPort(domain)
		if err != nil {
			host, port = domain, ""
		}
		if name == "" || host == "" || strings.Contains(host, "/") {
			return misuse("parley client alice@chat.example.org", "%q is no address", given[0])
		}
		o.User = name
		if net.ParseIP(strings.Trim(host, "[]")) == nil {
			o.Domain = host
		} else if port == "" { // an address is no domain: the server says its own
			port = "5222"
		}
		if port != "" {
			o.HostPort, err = hostPort(host, port)
			return err
		}
		return nil
	}
	port := "5222"
	if len(given) == 2 {
		port = given[1]
	}
	var err error
	o.HostPort, err = hostPort(given[0], port)
	return err
}

// hostPort puts a host and a port together; IPv6 addresses may stand in brackets or not.
func hostPort(host, port string) (string, error) {
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if host == "" || strings.ContainsAny(host, " /") {
		return "", misuse("parley client 127.0.0.1 5222", "HOST must be a name or an address, not %q", host)
	}
	port, err := portNumber(port)
	return net.JoinHostPort(host, port), err
}

// fill puts the flags and the environment into the options.
func (f *clientFlags) fill(p *program, o *tui.Options) error {
	o.In, o.Out, o.Err = p.in, p.out, p.err
	o.NoColor = p.getenv("NO_COLOR") != ""
	o.Trust = f.trust
	switch {
	case f.user == "":
	case o.User != "":
		return misuse("leave one of them out", "the name is given twice: %s as a word and %s as --user", o.User, f.user)
	default:
		name, domain, ok := strings.Cut(f.user, "@")
		if o.User = name; ok {
			o.Domain = domain
		}
	}
	if f.server != "" {
		host, port := f.server, "5222"
		if h, given, err := net.SplitHostPort(f.server); err == nil {
			host, port = h, given
		}
		if o.HostPort != "" {
			return misuse("leave one of them out", "the server is given twice: %s as words and %s as --server", o.HostPort, f.server)
		}
		var err error
		if o.HostPort, err = hostPort(host, port); err != nil {
			return err
		}
	}
	known, err := p.known()
	if err != nil {
		return err
	}
	o.Known = known
	if o.Last, err = tui.DefaultLast(p.getenv); err != nil {
		return err
	}
	if o.Outboxes, err = tui.DefaultOutboxes(p.getenv); err != nil {
		return err
	}
	return f.password(p, o)
}

// password takes the password from the file, or else from the environment.
func (f *clientFlags) password(p *program, o *tui.Options) error {
	if f.passwordFile == "" {
		o.Password = p.getenv("PARLEY_PASSWORD")
		o.HasPassword = o.Password != ""
		return nil
	}
	file, err := os.Open(f.passwordFile)
	if err == nil {
		defer file.Close()
		o.Password, err = readLine(file)
	}
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return &failure{code: exitUsage, what: "cannot read " + f.passwordFile, why: path.Err.Error(), fix: "--password-file FILE"}
	case err != nil:
		return err
	case o.Password == "":
		return misuse("put the password into its first line", "%s holds no password", f.passwordFile)
	}
	o.HasPassword = true
	return nil
}

// client runs one of the clients; Ctrl-C, SIGTERM and the end of the terminal let it say goodbye.
func (p *program) client(ctx context.Context, o tui.Options, run func(context.Context, tui.Options) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	// The second signal ends the program at once.
	defer context.AfterFunc(ctx, stop)()
	err := run(ctx, o)
	var f *tui.Failure
	if errors.As(err, &f) {
		return &failure{code: f.Code, what: f.What, why: f.Why, fix: f.Fix, alarm: f.Alarm}
	}
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	return nil
}
