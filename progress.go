package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progressAfter is how long work may take before anybody is told how far it is.
const progressAfter = time.Second

// progress tells how far long work is: a terminal has a bar that is drawn again and again, and a file, or whatever
// else keeps the lines, one at each quarter.
type progress struct {
	w        io.Writer
	terminal bool
	what     string // "backup"
	then     string // what follows when all bytes are there, if that takes time as well

	total, done int64 // bytes; a total of 0 is not known
	began, said time.Time
	quarter     int64 // the last one that was told, or passed in silence
}

// newProgress begins to count.
func (p *program) newProgress(what string) *progress {
	return &progress{w: p.err, terminal: onTerminal(p.err), what: what, began: time.Now()}
}

// Write counts what was written somewhere.
func (g *progress) Write(b []byte) (int, error) {
	g.done += int64(len(b))
	if g.total > 0 {
		g.tell(time.Now())
	}
	return len(b), nil
}

func (g *progress) tell(now time.Time) {
	if g.done >= g.total && g.then != "" {
		defer g.tellThen(now)
	}
	percent := min(100*g.done/g.total, 100)
	quarter := percent / 25
	soon := now.Sub(g.began) < progressAfter
	switch {
	case g.terminal && !soon && now.Sub(g.said) >= 100*time.Millisecond:
		g.said = now
		fmt.Fprintf(g.w, "\r%s [%-20s] %3d %%\x1b[K", g.what, strings.Repeat("=", int(percent/5)), percent)
	case !g.terminal && quarter > g.quarter && !soon:
		fmt.Fprintf(g.w, "%s: %d %%\n", g.what, 25*quarter)
	}
	g.quarter = quarter
}

// tellThen tells what follows.
func (g *progress) tellThen(now time.Time) {
	switch {
	case now.Sub(g.began) < progressAfter:
	case g.terminal:
		g.said = now
		fmt.Fprintf(g.w, "\r%s: %s\x1b[K", g.what, g.then)
	default:
		fmt.Fprintf(g.w, "%s: %s\n", g.what, g.then)
	}
	g.then = ""
}

// end takes the line from the terminal.
func (g *progress) end() {
	if !g.said.IsZero() {
		fmt.Fprint(g.w, "\r\x1b[K")
	}
}
