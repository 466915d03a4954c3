package client

import (
	"sync"

	"parley/xmpp/stanza"
)

// memory is what outlives a connection: the session that takes the place of another (Config.Before) goes on with it.
type memory struct {
	mu sync.Mutex
	// guarded by mu
	sm      sm
	people  contacts
	seen    seen
	place   string // id in the archive of the message that was shown last, "" when none is known
	behind  bool   // what came after place was not fetched yet, or not all of it
	waiters []waiter

	// for the session that begins next
	again  []sent // messages that the server may not have
	untold []sent // what it accepted and nobody has heard of
}

// waiter waits until everything that was pushed up to a number is acknowledged, or the session has ended.
type waiter struct {
	upTo uint32
	done chan struct{}
}

func newMemory() *memory { return &memory{people: newContacts()} }

// note renders stanzas and keeps them until they are acknowledged. ask tells that the server is to be asked.
func (m *memory) note(sts []*stanza.Stanza) (p []byte, ask bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, st := range sts {
		begin := len(p)
		p = st.Append(p)
		data := append([]byte(nil), p[begin:]...)
		text := st.Kind == stanza.Message && st.Has(stanza.NSClient, "body")
		if err := m.sm.push(sent{kind: st.Kind, id: st.ID, text: text, data: data}); err != nil {
			return nil, false, err
		}
	}
	return p, m.sm.ask(), nil
}

// later leaves a message to the session that begins next.
func (m *memory) later(st *stanza.Stanza) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.again = append(m.again, sent{kind: st.Kind, id: st.ID, data: st.Append(nil)})
}

// ack takes the server's count. It returns what that covers, whoever waited for it, and whether to ask on: a server that
// said nothing new will say more by itself.
func (m *memory) ack(h uint32) (covered []sent, waited []waiter, ask bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if covered, err = m.sm.ack(h); err != nil {
		return nil, nil, false, err
	}
	kept := m.waiters[:0]
	for _, w := range m.waiters {
		if int32(h-w.upTo) >= 0 {
			waited = append(waited, w)
		} else {
			kept = append(kept, w)
		}
	}
	m.waiters = kept
	return covered, waited, len(covered) > 0 && m.sm.ask(), nil
}

// wait is for everything that was pushed so far; nil: there is nothing to wait for.
func (m *memory) wait() chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.sm.out) == 0 {
		return nil
	}
	w := waiter{upTo: m.sm.base + uint32(len(m.sm.out)), done: make(chan struct{})}
	m.waiters = append(m.waiters, w)
	return w.done
}

// dismiss lets everybody go who waits.
func (m *memory) dismiss() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range m.waiters {
		close(w.done)
	}
	m.waiters = nil
}
