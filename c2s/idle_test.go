package c2s_test

import (
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"parley/c2s"
	"parley/xmpp/stream"
)

// serving is how many goroutines are inside serve.
func serving() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "c2s.(*conn).serve(")
}

// TestIdle: a connection on which nothing comes is left by the goroutine whose stack has grown, is served as before when
// something comes, in the middle of a stanza too, and ends when it has to.
func TestIdle(t *testing.T) {
	const long, short = 3 * c2s.IdleTime, c2s.IdleTime / 2
	for _, mode := range []c2s.Mode{c2s.Insecure, c2s.Direct} {
		synctest.Test(t, func(t *testing.T) {
			r := newRoom(t, roomOptions{Config: c2s.Config{TLS: serverTLS(t)}}, "alice")
			sign := func() (*peer, <-chan struct{}) {
				p, done := r.connect(mode)
				if mode == c2s.Direct {
					p.secure()
				}
				p.toSASL()
				p.signIn("alice")
				p.bind("a")
				p.fence()
				return p, done
			}
			p, done := sign()
			for i, c := range []struct {
				text string
				wait time.Duration
				deep int // goroutines inside serve afterwards
			}{
				{"", short, 1},
				{" ", short, 1},
				{"", long, 0},
				{"", long, 0},
				{" ", long, 0},
				{"<iq type='get' to='loc", short, 1},
				{"", long, 0},
				{"alhost' id='cut'><ping xmlns='urn:xmpp:ping'/></iq>", long, 0},
			} {
				p.send(c.text)
				time.Sleep(c.wait)
				if n := serving(); n != c.deep {
					t.Errorf("after step %d: %d goroutines serve, want %d", i, n, c.deep)
				}
			}
			p.get("id='cut'")
			p.fence()
			time.Sleep(long)
			other, gone := sign() // with the same resource
			p.refused(stream.Conflict)
			<-done
			time.Sleep(long)
			other.close()
			<-gone
		})
	}
}
