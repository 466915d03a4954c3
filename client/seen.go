package client

import (
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
)

// seen remembers the messages that came last, so that none is shown twice: by the id that the own archive gave it and
// by the id that its sender did. Servers repeat messages after a crash, clients after a lost connection, and the archive
// has what came live. No lock, no clock.
type seen struct {
	known map[string]bool
	ring  []string // keys, the next one to be forgotten at
	at    int
}

// maxSeen is how many keys are remembered; a message has two at most.
const maxSeen = 8000

// again tells whether a message was seen before, and remembers it.
func (s *seen) again(keys ...string) bool {
	known := false
	for _, k := range keys {
		known = known || s.known[k]
	}
	for _, k := range keys {
		if !s.known[k] {
			s.add(k)
		}
	}
	return known
}

func (s *seen) add(key string) {
	if s.known == nil {
		s.known = map[string]bool{}
	}
	if len(s.ring) < maxSeen {
		s.ring = append(s.ring, key)
	} else {
		delete(s.known, s.ring[s.at])
		s.ring[s.at] = key
		s.at = (s.at + 1) % maxSeen
	}
	s.known[key] = true
}

// maxID is how long an id may be that is remembered, in bytes: others choose them.
const maxID = 256

// keysOf are the names of a message; archive is its id in the own archive, "" when that is not known. What has no name
// cannot be told from another one of the same text.
func keysOf(st *stanza.Stanza, from jid.JID, archive string) []string {
	var keys []string
	if archive != "" && len(archive) <= maxID {
		keys = append(keys, "s"+archive)
	}
	el := st.Child(stanza.NSID, "origin-id")
	if el == nil || el.Attr("id") == "" || len(el.Attr("id")) > maxID {
		return keys
	}
	return append(keys, "o"+from.Bare().String()+"\x00"+el.Attr("id"))
}

// archiveID is the id that the account's own archive gave to a message (XEP-0359); what others call it is nothing to us.
func (s *Session) archiveID(st *stanza.Stanza) string {
	for c := range st.Children() {
		if c.Name.Space != stanza.NSID || c.Name.Local != "stanza-id" {
			continue
		}
		if by, err := jid.Parse(c.Attr("by")); err == nil && by == s.jid.Bare() {
			return c.Attr("id")
		}
	}
	return ""
}
