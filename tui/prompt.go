package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/muesli/cancelreader"
	"golang.org/x/term"
)

// prompter asks the person at the terminal. Its errors are *Failure.
type prompter interface {
	line(question string) (string, error)
	secret(question string) (string, error) // what is typed is not shown
}

// terminal is the prompter of a real terminal. It is raw only while a question is open, so that Ctrl-C is a key then
// and the terminal is never left without echo; what is typed ahead stays in the terminal for whoever reads next.
type terminal struct {
	ctx  context.Context
	in   *os.File
	out  io.Writer
	keys cancelreader.CancelReader
	term *term.Terminal
	stop func() bool
}

// openTerminal is for a sequence of questions. It must be closed before anybody else reads.
func openTerminal(ctx context.Context, in *os.File, out io.Writer) (*terminal, error) {
	keys, err := cancelreader.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("tui: read the terminal: %w", err)
	}
	t := &terminal{ctx: ctx, in: in, out: out, keys: keys}
	t.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{singly{keys}, out}, "")
	t.stop = context.AfterFunc(ctx, func() { keys.Cancel() })
	return t, nil
}

func (t *terminal) close() {
	t.stop()
	_ = t.keys.Close()
}

func (t *terminal) line(question string) (string, error) {
	return t.ask(question, func(last string) (string, error) {
		t.term.SetPrompt(last)
		return t.term.ReadLine()
	})
}

func (t *terminal) secret(question string) (string, error) {
	return t.ask(question, t.term.ReadPassword)
}

// ask shows all lines of a question but the last one as they are; the last one is the prompt.
func (t *terminal) ask(question string, read func(last string) (string, error)) (string, error) {
	state, err := term.MakeRaw(int(t.in.Fd()))
	if err != nil {
		return "", &Failure{Code: exitFailed, What: "cannot ask on this terminal", Why: OneLine(err.Error())}
	}
	defer func() { _ = term.Restore(int(t.in.Fd()), state) }()
	if w, h, err := term.GetSize(int(t.in.Fd())); err == nil && w > 0 {
		_ = t.term.SetSize(w, h)
	}
	above, last := cutLast(question)
	if above != "" {
		_, _ = t.term.Write([]byte(above)) // makes CR LF of its line breaks
	}
	answer, err := read(last)
	switch {
	case t.ctx.Err() != nil, errors.Is(err, io.EOF), errors.Is(err, cancelreader.ErrCanceled):
		_, _ = io.WriteString(t.out, "\r\n")
		return "", errInterrupted
	case err != nil && !errors.Is(err, term.ErrPasteIndicator):
		return "", &Failure{Code: exitFailed, What: "cannot read from this terminal", Why: OneLine(err.Error())}
	}
	return answer, nil
}

// cutLast splits a text before its last line.
func cutLast(s string) (above, last string) {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '\n' {
			return s[:i+1], s[i+1:]
		}
	}
	return "", s
}

// singly reads byte by byte, so that nothing is taken from the terminal beyond the end of an answer.
type singly struct{ r io.Reader }

func (s singly) Read(p []byte) (int, error) { return s.r.Read(p[:min(len(p), 1)]) }
