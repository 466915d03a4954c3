package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"

	"golang.org/x/term"

	"parley/auth"
)

// newPassword gets the password for an account: made, from the first line of the input, or by asking. Made tells
// that the person has not seen it yet.
func (p *program) newPassword(fromInput, fresh bool, otherwise string) (password string, made bool, err error) {
	switch {
	case fresh && fromInput:
		return "", false, misuse("--make-password\n--password-stdin", "--make-password and --password-stdin exclude each other")
	case fresh:
		return auth.GeneratePassword(), true, nil
	case fromInput:
		password, err = readLine(p.in)
		if err == nil && password == "" {
			err = misuse(otherwise, "the password on the input is empty")
		}
		return password, false, err
	case !onTerminal(p.in):
		return "", false, misuse(otherwise, "a password is needed and there is no terminal to ask on")
	}
	password, err = p.askPassword(fmt.Sprintf("Password (at least %d characters; just Enter makes a good one):", auth.MinPassword))
	if err != nil || password != "" {
		return password, false, err
	}
	return auth.GeneratePassword(), true, nil
}

// askPassword asks on the terminal without showing what is typed.
func (p *program) askPassword(question string) (string, error) {
	fd := int(p.in.(*os.File).Fd())
	fmt.Fprint(p.err, question+" ")
	done := restoreOnInterrupt(fd)
	typed, err := term.ReadPassword(fd)
	done()
	fmt.Fprintln(p.err)
	if errors.Is(err, io.EOF) {
		return "", &failure{code: exitInterrupted, what: "no password, nothing was changed"}
	}
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(typed), nil
}

// restoreOnInterrupt makes Ctrl-C end the program with the terminal showing again what is typed. The function that
// it returns ends that.
func restoreOnInterrupt(fd int) (done func()) {
	state, err := term.GetState(fd)
	if err != nil {
		return func() {}
	}
	signals, finish := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, os.Interrupt)
	var watcher sync.WaitGroup
	watcher.Go(func() {
		select {
		case <-signals:
			_ = term.Restore(fd, state)
			fmt.Fprintln(os.Stderr)
			os.Exit(exitInterrupted)
		case <-finish:
		}
	})
	return func() {
		signal.Stop(signals)
		close(finish)
		watcher.Wait()
	}
}

// readLine reads one line without its end.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, auth.MaxPassword+1)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the input: %w", err)
	}
	if len(line) > auth.MaxPassword {
		return "", misuse("", "the password is longer than %d bytes", auth.MaxPassword)
	}
	return strings.TrimRight(line, "\r\n"), nil
}
