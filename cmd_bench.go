package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"parley/config"
	"parley/load"
)

// benchFlags are what `parley bench` is told besides the settings of load.Config.
type benchFlags struct {
	users    int
	prefix   string
	accounts string // file
	all      bool   // of the accounts in it sign in
	to       string
	json     bool
	compare  string // file
}

// benchCommand is `parley bench`.
func (p *program) benchCommand() *cobra.Command {
	var flags benchFlags
	var cfg load.Config
	cmd := &cobra.Command{
		Use:   "bench SCENARIO HOST:PORT",
		Short: "measure how much a server bears, Parley or another",
		Long: `parley bench signs many accounts in to a server of yours, has them do one kind of work, and tells how much of it was done,
how long it took, and whether a message was lost, doubled or out of order. It works with every server that speaks XMPP, and
runs on Linux. The server's key is not checked. Whoever measures should switch the server's limits off first (for Parley:
limits.rates = false, and for fanout broadcast.every = 0); docs/performance.md says how the figures there came about.

  login     sign in and out again, --window at once
  idle      sign in and do nothing: memory
  chat      pairs, with --window messages on their way in each; whoever gets one answers it
  rate      --rate messages a second, evenly; a message counts from when it was due
  fanout    one writes to all others, by Parley's broadcast or in a room: --via
  offline   --messages for each of those who are away, then these come back
  presence  everybody becomes available, and everybody hears of it
  churn     sign in and out, or lose the connection, while the others are there
  history   read the archive, page by page`,
		Example: `  parley server --insecure-listen 127.0.0.1:5322 --limits-rates=false &
  parley bench chat 127.0.0.1:5322 --tls none --register --pid $!
  parley bench rate chat.example.org:5222 --accounts testers.txt --users 50 --rate 20`,
		Args: words("SCENARIO", "HOST:PORT"),
		ValidArgsFunction: func(_ *cobra.Command, given []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(given) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return load.Scenarios(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&flags.users, "users", 1000, "`N` accounts sign in (with --accounts: all of them)")
	f.DurationVar(&cfg.Duration, "duration", 10*time.Second, "it counts for this `TIME`")
	f.DurationVar(&cfg.Warmup, "warmup", 2*time.Second, "it runs for this `TIME` before")
	f.IntVar(&cfg.Window, "window", 1, "`N` messages, sign-ins or broadcasts are on their way at once")
	f.Float64Var(&cfg.Rate, "rate", 1000, "`N` messages a second, for rate")
	f.IntVar(&cfg.Messages, "messages", 100, "`N` messages for each account, for offline and history")
	f.IntVar(&cfg.Body, "body", 64, "`N` bytes in a message")
	f.StringVar(&flags.to, "to", "full", "`WHOM` messages are for: full or bare addresses")
	f.StringVar(&cfg.Via, "via", load.Broadcast, "`HOW` one writes to all: broadcast or room, for fanout")
	f.StringVar(&cfg.TLS, "tls", load.StartTLS, "`HOW` connections are protected: starttls, direct or none")
	f.StringVar(&cfg.Mechanism, "mechanism", load.ScramSHA256, "`NAME` is SCRAM-SHA-256, SCRAM-SHA-1 or PLAIN")
	f.BoolVar(&cfg.Managed, "managed", false, "with stream management (XEP-0198)")
	f.StringVar(&cfg.Domain, "domain", "", "the `NAME` of the server (default: as it says)")
	f.BoolVar(&cfg.Register, "register", false, "make the accounts first, unless they are there")
	f.StringVar(&flags.prefix, "prefix", "bench", "accounts are called `NAME`0, NAME1, …")
	f.StringVar(&flags.accounts, "accounts", "", "the accounts in `FILE`, name:password in each line")
	f.IntVar(&cfg.Sources, "sources", 0, "connect from `N` addresses, 127.0.0.1 and so on: one has 28,000 ports at most")
	f.IntVar(&cfg.PID, "pid", 0, "the server's process has the number `PID`: its time and memory are told")
	f.BoolVar(&flags.json, "json", false, "print the result as JSON")
	f.StringVar(&flags.compare, "compare", "", "tell ratios to the earlier result in `FILE` (--json)")
	for name, choices := range map[string][]string{
		"to": {"full", "bare"}, "via": {load.Broadcast, load.Room}, "tls": {load.StartTLS, load.Direct, load.NoTLS},
		"mechanism": {load.ScramSHA256, load.ScramSHA1, load.Plain},
	} {
		must(cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)))
	}
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		cfg.Scenario, cfg.HostPort = given[0], given[1]
		flags.all = flags.accounts != "" && !cmd.Flags().Changed("users")
		return p.bench(cmd.Context(), cfg, flags)
	}
	return cmd
}

// generous is GOGC for the generator.
const generous = 800

// bench measures and tells.
func (p *program) bench(ctx context.Context, cfg load.Config, flags benchFlags) error {
	if err := flags.fill(&cfg); err != nil {
		return err
	}
	var before *load.Result
	if flags.compare != "" {
		var err error
		if before, err = earlier(flags.compare, cfg.Scenario); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer debug.SetGCPercent(debug.SetGCPercent(generous)) // it has memory to spare, and shares the time
	g := p.newProgress("")
	cfg.Progress = g.at
	r, err := load.Run(ctx, cfg)
	g.end()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return unmeasured(err)
	case flags.json:
		err = r.WriteJSON(p.out)
	default:
		err = r.WriteText(p.out, before)
	}
	switch {
	case err != nil || r.Sound():
		return err
	case r.Lost+r.Doubled+r.Reordered > 0:
		return &failure{code: exitFailed, what: "the server did not deliver everything once and in order"}
	}
	return &failure{code: exitFailed, what: "the server answered with errors"}
}

// unmeasured says why there is no result.
func unmeasured(err error) error {
	f := &failure{code: exitFailed, what: "nothing was measured", why: strings.TrimPrefix(err.Error(), "load: ")}
	var known *load.Error
	var op *net.OpError
	switch {
	case errors.As(err, &known):
		f.fix = known.Fix
	case errors.As(err, &op) && op.Op == "dial":
		f.code, f.fix = exitUnreachable, "a server that listens there"
	}
	return f
}

// earlier reads the result to compare with.
func earlier(name, scenario string) (*load.Result, error) {
	f, err := os.Open(name)
	var r *load.Result
	if err == nil {
		defer f.Close()
		r, err = load.ReadJSON(f)
	}
	fix := "make one:  parley bench " + scenario + " … --json > " + quoted(name)
	switch {
	case err != nil:
		return nil, &failure{code: exitUsage, what: "the result to compare with cannot be read", why: err.Error(), fix: fix}
	case r.Scenario != scenario:
		return nil, misuse(fix, "the result in %s is not of %s but of %q", name, scenario, r.Scenario)
	}
	return r, nil
}

// fill completes the settings of a measurement.
func (b *benchFlags) fill(cfg *load.Config) error {
	if !slices.Contains(load.Scenarios(), cfg.Scenario) {
		fix := "one of " + strings.Join(load.Scenarios(), ", ")
		if near := config.Nearest(cfg.Scenario, load.Scenarios()); near != "" {
			fix = "did you mean:  parley bench " + near + " " + cfg.HostPort
		}
		return misuse(fix, "there is no scenario %q", cfg.Scenario)
	}
	if b.to != "full" && b.to != "bare" {
		return misuse("--to full\n--to bare", "--to cannot be %q", b.to)
	}
	cfg.Full = b.to == "full"
	if _, _, err := net.SplitHostPort(cfg.HostPort); err != nil {
		return misuse("parley bench "+cfg.Scenario+" HOST:PORT", "%q is not HOST:PORT", cfg.HostPort)
	}
	if b.json && b.compare != "" {
		return misuse("--compare without --json", "a result that is JSON has no ratios")
	}
	if b.users < 1 {
		return misuse("--users 2", "--users cannot be %d", b.users)
	}
	cfg.Accounts = load.Made(b.prefix, b.users)
	if b.accounts != "" {
		if err := b.read(cfg); err != nil {
			return err
		}
	}
	if err := cfg.Check(); err != nil {
		return misuse("parley help bench", "%v", err)
	}
	return nil
}

// read reads the file of accounts.
func (b *benchFlags) read(cfg *load.Config) error {
	f, err := os.Open(b.accounts)
	if err == nil {
		defer f.Close()
		cfg.Accounts, err = load.ReadAccounts(f)
	}
	var missing *fs.PathError
	switch {
	case errors.As(err, &missing):
		return misuse("--accounts FILE", "the accounts in %s cannot be read: %v", b.accounts, missing.Err)
	case err != nil:
		return misuse("lines of the form name:password", "%s: %v", b.accounts, err)
	}
	if !b.all {
		if n := len(cfg.Accounts); n < b.users {
			return misuse(fmt.Sprintf("--users %d", n), "%s has %s, and %d are asked for", b.accounts, count(n, "account"), b.users)
		}
		cfg.Accounts = cfg.Accounts[:b.users]
	}
	return nil
}

// at tells how far a measurement is.
func (g *progress) at(what string, done, total float64) {
	if what != g.what {
		g.what, g.began, g.quarter = what, time.Now(), 0
	}
	g.done, g.total = int64(done), max(1, int64(total))
	g.tell(time.Now())
}
