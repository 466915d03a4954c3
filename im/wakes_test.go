package im_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"parley/im"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/stream"
)

// counted is a Carrier that counts what it is told; it writes when it may do so itself.
type counted struct {
	s             *im.Session
	mu            sync.Mutex
	wakes, writes int    // guarded by mu
	text          string // guarded by mu
}

func (c *counted) End(*stream.Error) {}

func (c *counted) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakes++
}

func (c *counted) Write() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	for {
		p, _, more := c.s.NextNow(nil)
		if p == nil || more {
			return
		}
		c.text += string(p)
	}
}

// so fails the test unless the carrier was told so often, since the last time.
func (c *counted) so(t *testing.T, what string, wakes, writes int) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wakes != wakes || c.writes != writes {
		t.Errorf("%s: woken %d times and written to %d times, not %d and %d", what, c.wakes, c.writes, wakes, writes)
	}
	c.wakes, c.writes, c.text = 0, 0, ""
}

// counting makes a session available and then counts.
func counting(t *testing.T, v *im.Server, name, resource string) *counted {
	t.Helper()
	s := bind(t, v, name, resource)
	if err := v.Store().Wait(context.Background(), v.Store().Mark()); err != nil { // else what comes would wait for the disk
		t.Fatal(err)
	}
	c := &counted{s: s}
	s.Attach(context.Background(), c)
	return c
}

func receive(t *testing.T, s *im.Session, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := s.Receive(context.Background(), element(t, text)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOneWriteForABatch: who got several messages from one reader is written to once, when that has nothing more to read.
func TestOneWriteForABatch(t *testing.T) {
	v := hall(t, im.Config{}, names{"alice", "bob"})
	alice, bob := counting(t, v, "alice", "a"), counting(t, v, "bob", "b")
	receive(t, alice.s, chat, chat, chat)
	bob.so(t, "before", 0, 0)
	alice.s.Flush()
	bob.so(t, "after", 0, 1)
	alice.s.Flush()
	bob.so(t, "twice", 0, 0)
	receive(t, alice.s, chat, "<iq type='get' id='1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
	bob.so(t, "before an iq is answered", 0, 1)
}

// TestFlushBeforeWaiting: a reader that waits for its own client to read keeps nothing back from others.
func TestFlushBeforeWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := hall(t, im.Config{Settings: im.Settings{Outbox: 8000}}, names{"alice", "bob"})
		alice := bind(t, v, "alice", "a")
		bob := counting(t, v, "bob", "b")
		receive(t, alice, chat)
		for range 50 {
			v.Tell(alice, "There is much to be read, and it is not.")
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if err := alice.WaitRoom(); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		bob.so(t, "while she waits", 0, 1)
		empty(alice)
		<-done
	})
}

// crowd are the names of many accounts.
func crowd(n int) (accounts names) {
	for i := range n {
		accounts = append(accounts, "u"+string(rune('a'+i/26/26%26))+string(rune('a'+i/26%26))+string(rune('a'+i%26)))
	}
	return accounts
}

// TestFanOutWritesOnce: what goes to many is written to each of them once, and is the same for all but its address.
func TestFanOutWritesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := crowd(100)
		v := build(t, im.Config{}, accounts)
		var all []*counted
		for _, name := range accounts {
			all = append(all, counting(t, v, name, "r"))
		}
		st := stanza.New(stanza.Message, stanza.Headline, all[0].s.Account().JID(), jid.JID{}, stanza.Body("a < b"))
		if reached, blocked := v.Headline(context.Background(), all[0].s.Account(), st); reached != 99 || blocked != 0 {
			t.Fatalf("%d were reached and %d passed over", reached, blocked)
		}
		synctest.Wait()
		all[0].so(t, "the sender", 0, 0)
		for _, c := range all[1:] {
			want := "<message from='uaaa@localhost' to='" + c.s.Account().JID().String() + "' type='headline'><body>a &lt; b</body></message>"
			if c.text != want {
				t.Errorf("got %s instead of %s", c.text, want)
			}
			c.so(t, c.s.JID().String(), 0, 1)
		}
	})
}
