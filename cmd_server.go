package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"parley/config"
	"parley/server"
	"parley/store"
)

// serverCommand is `parley server`.
func (p *program) serverCommand() *cobra.Command {
	var flags settingFlags
	var explain bool
	cmd := &cobra.Command{
		Use:   "server [PORT [BLOCK_DURATION [TIMEOUT]]]",
		Short: "run the server",
		Long: `parley server runs the server until Ctrl-C or SIGTERM. A second Ctrl-C stops it at once.

PORT is for apps and clients (5222). BLOCK_DURATION is for how many seconds three wrong passwords lock
a sign-in (60). Who does nothing for TIMEOUT seconds is signed out (0: nobody is).

At SIGHUP the server reads its settings and its certificate again, takes over what can change and logs the outcome.`,
		Example: "  parley server                                  for this computer only\n" +
			"  parley server --domain chat.example.org        for everybody who can reach it",
		Args: words("[PORT]", "[BLOCK_DURATION]", "[TIMEOUT]"),
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := flags.takeWords(given); err != nil {
				return err
			}
			c, err := flags.load(p)
			if err != nil {
				return err
			}
			if explain {
				return p.explain(cmd.Context(), c)
			}
			if err := p.serve(&flags, c); err != server.ErrRestart {
				return err
			}
			return startAgain()
		},
	}
	flags.addTo(cmd, func(config.Setting) bool { return true })
	cmd.Flags().BoolVar(&explain, "explain", false, "print the extensions in the order in which they see a stanza, and serve nobody")
	return cmd
}

// takeWords takes the words after `parley server` as the settings that they stand for.
func (f *settingFlags) takeWords(given []string) error {
	for i, word := range given {
		key, arg := serverWord(i, word)
		if flag, twice := f.args[key]; twice && flag.Text != word {
			return misuse("leave one of them out", "%s is given twice: %s as a word and %s as %s", arg.Name, word, flag.Text, flag.Name)
		}
		f.args[key] = arg
	}
	return nil
}

// serverWord is the i-th word after `parley server` as the setting that it stands for.
func serverWord(i int, word string) (key string, arg config.Arg) {
	key = []string{"port", "block_duration", "timeout"}[i]
	return key, config.Arg{Text: word, Name: strings.ToUpper(key), Example: "parley server 5222 60 300"}
}

// serve runs the server until a signal ends it.
func (p *program) serve(flags *settingFlags, c config.Config) error {
	log, level := p.newLog(c)
	if err := checkCertificate(c.TLS); err != nil {
		return err
	}
	p.boundProcess()
	ctx, watched := p.untilSignal(context.Background())
	defer watched()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	terminal := onTerminal(p.in)
	srv, err := server.New(ctx, c, version, log)
	if err != nil {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return nil // asked to stop before it began, and nothing is left open
		}
		return startFailure(err, c)
	}
	p.announce(srv.Facts(), c, log)
	boss := p.newSupervisor(log)
	defer boss.close()
	r := &runner{p: p, flags: flags, srv: srv, log: log, level: level, boss: boss, status: serving(srv.Facts()),
		hangups: hangups, terminal: terminal}
	err = r.run(ctx)
	if err == server.ErrRestart {
		return err
	}
	if errors.Is(err, store.ErrDisk) {
		return diskFailure(err, c.Data)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		return &failure{code: exitFailed, what: "the server had to stop", why: err.Error(),
			fix: "what was accepted is kept; see the log above, then start it again"}
	}
	return nil
}

// startAgain puts the program, as it lies on the disk now, in the place of this process, with the same words and
// environment. It returns only when that cannot be done.
func startAgain() error {
	path, err := os.Executable()
	if err == nil {
		err = syscall.Exec(path, os.Args, os.Environ())
	}
	return &failure{code: exitFailed, what: "the server has stopped and could not be started again", why: err.Error(),
		fix: "start it: everything is kept"}
}

// oneSignal is how close two signals are that somebody meant as one: some programs that watch over others send theirs
// to the process and to its group.
const oneSignal = 50 * time.Millisecond

// untilSignal returns a context that the first SIGINT or SIGTERM ends; the second one ends the program at once.
// The function that it returns stops the watch.
func (p *program) untilSignal(parent context.Context) (ctx context.Context, done func()) {
	ctx, cancel := context.WithCancel(parent)
	signals, finish := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	signal.Ignore(syscall.SIGPIPE) // whoever read the log may go; the server stays
	var watcher sync.WaitGroup
	watcher.Go(func() {
		select {
		case <-signals:
		case <-finish:
			return
		}
		cancel()
		if onTerminal(p.out) {
			fmt.Fprintln(p.out, "\nStopping; everybody is told. Ctrl-C again stops at once.")
		}
		for first := time.Now(); ; {
			select {
			case <-signals:
				if time.Since(first) > oneSignal {
					os.Exit(exitInterrupted)
				}
			case <-finish:
				return
			}
		}
	})
	return ctx, func() {
		signal.Stop(signals)
		close(finish)
		watcher.Wait()
		cancel()
	}
}
