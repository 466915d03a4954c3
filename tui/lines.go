package tui

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/muesli/cancelreader"
)

// maxLine is the longest line that pipe mode takes, in bytes.
const maxLine = 1 << 20

var errTooLong = errors.New("tui: line too long")

// lines reads the input line by line beside everything else. Its goroutine ends with the input or with close.
type lines struct {
	got  chan readLine
	stop chan struct{}
	done chan struct{}
	r    io.Reader

	n int // of the line that was read last, from 1; of the goroutine that calls next
}

type readLine struct {
	text string
	err  error
}

func newLines(r io.Reader) *lines {
	l := &lines{got: make(chan readLine), stop: make(chan struct{}), done: make(chan struct{}), r: r}
	// Reading a terminal or a pipe is cancelled by close; a plain file never keeps a reader waiting.
	if c, err := cancelreader.NewReader(r); err == nil {
		l.r = c
	}
	go l.read()
	return l
}

func (l *lines) read() {
	defer close(l.done)
	in := bufio.NewReaderSize(l.r, 64<<10)
	for {
		text, err := oneLine(in)
		if text == "" && err != nil && !errors.Is(err, errTooLong) {
			err = io.EOF
		} else if text != "" && !errors.Is(err, errTooLong) {
			err = nil
		}
		select {
		case l.got <- readLine{text, err}:
		case <-l.stop:
			return
		}
		if errors.Is(err, io.EOF) {
			return
		}
	}
}

// oneLine reads a line without its end; of one that is too long only the error remains.
func oneLine(in *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		part, err := in.ReadSlice('\n')
		if b.Len() <= maxLine {
			b.Write(part)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case b.Len() > maxLine+1:
			return "", errTooLong
		}
		return strings.TrimRight(b.String(), "\r\n"), err
	}
}

// next waits for a line; io.EOF when the input has ended.
func (l *lines) next(ctx context.Context) (string, error) { return l.nextOr(ctx, nil) }

var errOver = errors.New("tui: no longer waiting")

// nextOr is next that stops waiting when over is closed.
func (l *lines) nextOr(ctx context.Context, over <-chan struct{}) (string, error) {
	select {
	case r, ok := <-l.got:
		if !ok {
			return "", io.EOF
		}
		l.n++
		return r.text, r.err
	case <-l.done:
		return "", io.EOF
	case <-over:
		return "", errOver
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// close stops reading, and waits for it where reading can be stopped.
func (l *lines) close() {
	close(l.stop)
	c, ok := l.r.(cancelreader.CancelReader)
	if ok && c.Cancel() {
		<-l.done
		_ = c.Close()
	}
}
