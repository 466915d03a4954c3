package im

import (
	"runtime"
	"sync"

	"parley/xmpp/jid"
)

// rendering is a stanza, or what its recipients share of it.
type rendering interface {
	AppendTo(dst []byte, to jid.JID) []byte
}

// wakes are sessions that got something and have yet to be written to: each once for all that one reader has handled, or
// for what goes to many.
type wakes []*Session

func (w *wakes) add(s *Session) {
	if n := len(*w); n == 0 || (*w)[n-1] != s {
		*w = append(*w, s)
	}
}

// wakePage is how many sessions are written to one after the other.
const wakePage = 32

// write writes to them what can be written at once, or has that done if they are many. No lock is held.
func (w wakes) write() {
	if len(w) > wakePage {
		w[0].srv.spread.write(w)
		return
	}
	for _, s := range w {
		s.stir(Carrier.Write)
	}
}

// spread writes to sessions what can be written at once, for whoever has something for many of them: in a few goroutines,
// which are there while there is something to do. A session waits in it once, so that what comes meanwhile leaves in the
// same write.
type spread struct {
	mu      sync.Mutex
	queue   wakes // guarded by mu
	running int   // guarded by mu: so many goroutines are at it
	stopped bool  // guarded by mu: there are no connections any more
	writers sync.WaitGroup
}

func (p *spread) write(w wakes) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	for _, s := range w {
		if !s.spread {
			s.spread = true
			p.queue = append(p.queue, s)
		}
	}
	for p.running < runtime.GOMAXPROCS(0) && p.running*wakePage < len(p.queue) {
		p.running++
		p.writers.Go(p.run)
	}
}

// stop waits for the goroutines; what comes later is not written.
func (p *spread) stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.writers.Wait()
}

func (p *spread) run() {
	var page [wakePage]*Session
	for {
		w := p.take(page[:0])
		if len(w) == 0 {
			return
		}
		w.write()
	}
}

// take takes the next page; an empty one ends who takes it.
func (p *spread) take(page wakes) wakes {
	p.mu.Lock()
	defer p.mu.Unlock()
	page = append(page, p.queue[:min(wakePage, len(p.queue))]...)
	for _, s := range page {
		s.spread = false
	}
	if p.queue = p.queue[len(page):]; len(p.queue) == 0 {
		p.queue = nil
	}
	if len(page) == 0 {
		p.running--
	}
	return page
}
