package tui

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

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
