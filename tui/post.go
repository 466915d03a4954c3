package tui

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"slices"
	"time"
)

// letter is a message on its way.
type letter struct {
	n    int    // which one it is
	id   string // of its stanza
	line int    // of the input, in pipe mode
	to   string // as it is shown
	text string
}

// post is what was sent and is not yet known to be safe at the server, in the order of sending. Its owner guards it.
type post struct {
	sent []letter
	n    int // letters so far
}

// add notes a letter before it is sent, and returns its number.
func (p *post) add(l letter) int {
	p.n++
	l.n = p.n
	p.sent = append(p.sent, l)
	return p.n
}

// take removes a letter that came back, or was not sent after all.
func (p *post) take(id string) (letter, bool) {
	i := slices.IndexFunc(p.sent, func(l letter) bool { return l.id == id })
	if i < 0 {
		return letter{}, false
	}
	l := p.sent[i]
	p.sent = slices.Delete(p.sent, i, i+1)
	return l, true
}

// confirmed removes and returns what is safe once the server has answered for everything up to the nth letter.
func (p *post) confirmed(n int) []letter {
	i := 0
	for i < len(p.sent) && p.sent[i].n <= n {
		i++
	}
	safe := slices.Clone(p.sent[:i])
	p.sent = slices.Delete(p.sent, 0, i)
	return safe
}

// all removes everything and returns it.
func (p *post) all() []letter {
	all := p.sent
	p.sent = nil
	return all
}

// fencePatience is how long the server may take to answer for what was sent. It is long, because a server may read
// slowly from who sends very much.
const fencePatience = 5 * time.Minute

// fence makes a session's server answer for the messages that were sent, one question at a time for as many as there
// are, and tells its owner the number of the last letter that is safe. It ends with the session.
type fence struct {
	s    Session
	last chan int // number of the letter sent last; the newest replaces an older one
	done chan struct{}
}

func newFence(s Session, confirmed func(n int)) *fence {
	f := &fence{s: s, last: make(chan int, 1), done: make(chan struct{})}
	go func() {
		defer close(f.done)
		for {
			select {
			case n := <-f.last:
				if f.ask() {
					confirmed(n)
				}
			case <-s.Done():
				return
			}
		}
	}()
	return f
}

// ask asks. A server that does not answer at all is as good as gone.
func (f *fence) ask() bool {
	ctx, cancel := context.WithTimeout(context.Background(), fencePatience)
	defer cancel()
	err := f.s.Ping(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		f.s.Cut()
	}
	return err == nil
}

// sent is told of every letter that went out. One goroutine calls it.
func (f *fence) sent(n int) {
	select {
	case <-f.last:
	default:
	}
	f.last <- n
}

// wait waits for the end, which follows that of the session.
func (f *fence) wait() { <-f.done }

// backoff is how long to wait before the next attempt to connect: 1, 2, 4 … 30 seconds, or up to a quarter less, so
// that not all clients of a server come back at once.
type backoff struct{ tries int }

func (b *backoff) next() time.Duration {
	d := min(time.Second<<min(b.tries, 5), 30*time.Second)
	b.tries++
	var r [2]byte
	_, _ = rand.Read(r[:])
	return d - d/4*time.Duration(binary.BigEndian.Uint16(r[:]))/(1<<16)
}

// steady is how long a connection has to hold before the waiting begins at one second again.
const steady = 30 * time.Second

// lost is told how long the connection held that broke off.
func (b *backoff) lost(held time.Duration) {
	if held >= steady {
		b.tries = 0
	}
}
