package c2s_test

import (
	"testing"

	"parley/imtest"
)

// TestPauseInClear: over a connection in clear, which readers of other connections write to, somebody who reads again after
// a long pause gets everything, in order and once, whatever the connection had not taken.
func TestPauseInClear(t *testing.T) {
	s := imtest.Start(t, imtest.Options{Transport: imtest.Clear, Settings: map[string]string{"archive": "off"}})
	s.Account("alice", "bob")
	bob, alice := joined(t, s, "bob"), joined(t, s, "alice")
	go alice.discard()
	const n = 20_000 // more than the buffers of both ends have, which the system sizes, and an outbox
	i := 0
	<-alice.pour(func() (text string) {
		if i < n {
			text = chat("bob", i)
		}
		i++
		return text
	})
	bob.numbered(0, n-1)
}

// TestCutElementHoldsNothingBack: what came before the beginning of an element is on its way while the rest is waited for.
func TestCutElementHoldsNothingBack(t *testing.T) {
	for _, tr := range imtest.Transports() {
		t.Run(string(tr), func(t *testing.T) {
			s := imtest.Start(t, imtest.Options{Transport: tr})
			s.Account("alice", "bob")
			bob, alice := joined(t, s, "bob"), joined(t, s, "alice")
			alice.send(chat("bob", 0) + chat("bob", 1)[:100])
			bob.numbered(0, 0)
			alice.send(chat("bob", 1)[100:])
			bob.numbered(1, 1)
		})
	}
}

// joined is a peer that has signed in and is available.
func joined(t *testing.T, s *imtest.Server, name string) *peer {
	t.Helper()
	p := dial(t, s)
	p.toSASL()
	p.signIn(name)
	p.bind("r")
	p.send("<presence/>")
	p.fence()
	return p
}
