package im

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// KeyBlocked is the KV key of an account's block list: a line for each address, with the number of the account when it
// is one of this server. A name that was removed and given to somebody else is thus not blocked.
const KeyBlocked = "im/blocked"

// maxBlocked is how many addresses a block list may have.
const maxBlocked = 5000

// blockList is an immutable set of addresses (XEP-0191 §3), with the numbers of the accounts that they meant when they
// were blocked; 0: no account of this server.
type blockList map[jid.JID]store.Owner

// blocks tells whether who is on a list. It follows the order of XEP-0191 §5: full address, bare address, domain. An
// address that has been given to another account since is not meant.
func (v *Server) blocks(list *blockList, who jid.JID) bool {
	if len(*list) == 0 {
		return false
	}
	for _, j := range [...]jid.JID{who, who.Bare(), who.Server()} {
		if meant, ok := (*list)[j]; ok && v.ownerOf(j) == meant {
			return true
		}
	}
	return false
}

func (v *Server) loadBlockList(ctx context.Context, o store.Owner) (*blockList, error) {
	value, err := v.store.KV.Get(ctx, o, KeyBlocked)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("im: read block list: %w", err)
	}
	if len(value) == 0 {
		return &v.empty.blocked, nil
	}
	list := blockList{}
	for line := range strings.Lines(string(value)) {
		number, address, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		meant, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			continue
		}
		if j, err := jid.Parse(address); err == nil && v.ownerOf(j) == store.Owner(meant) {
			list[j] = store.Owner(meant)
		}
	}
	return &list, nil
}

func (b blockList) encode() []byte {
	var lines []byte
	for j, o := range b {
		lines = strconv.AppendUint(lines, uint64(o), 10)
		lines = append(lines, ' ')
		lines = append(lines, j.String()...)
		lines = append(lines, '\n')
	}
	return lines // nil, which deletes the value, when the list is empty
}

// ownerOf is the number of the account that an address means now, 0 when it is none of this server.
func (v *Server) ownerOf(j jid.JID) store.Owner {
	if j.Local() == "" || j.Domain() != v.domain.Domain() {
		return 0
	}
	o, _ := v.directory.Owner(j.Local())
	return o
}

// Blocks tells whether the account has blocked who. An account's own sessions never block each other (XEP-0191 §5).
func (a *Account) Blocks(who jid.JID) bool {
	return a.srv.blocks(a.blocked.Load(), who) && who.Bare() != a.jid
}

// Blocked is the account's block list, sorted.
func (a *Account) Blocked() []jid.JID {
	list := make([]jid.JID, 0, len(*a.blocked.Load()))
	for j := range *a.blocked.Load() {
		list = append(list, j)
	}
	slices.SortFunc(list, jid.JID.Compare)
	return list
}

// SetBlocked adds to the account's block list, or takes from it (all of it when who is empty and on is false), within
// journey j. It tells the account's devices (push), hides the account from those who are blocked now, and shows it
// again to those who no longer are (XEP-0191 §3). The caller holds no lock, and has the account's queue routed when the
// journey has ended (see Within).
func (a *Account) SetBlocked(j store.Journey, on bool, who []jid.JID) error {
	push := BlockItems("unblock", who)
	if on {
		push = BlockItems("block", who)
	}
	for _, k := range who {
		switch {
		case on && k.Bare() == a.jid:
			return stanza.Bad(stanza.NotAllowed, "You cannot block yourself.")
		case on && k.Server() == a.srv.domain && k.Local() == "":
			return stanza.Bad(stanza.NotAllowed, "You cannot block the server that you use.")
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.blocked.Load()
	next := make(blockList, len(*old)+len(who))
	maps.Copy(next, *old)
	if !on && len(who) == 0 {
		who = a.Blocked()
	}
	var changed []jid.JID
	for _, k := range who {
		if _, had := next[k]; had == on {
			continue
		}
		changed = append(changed, k)
		if on {
			next[k] = a.srv.ownerOf(k)
		} else {
			delete(next, k)
		}
	}
	if len(next) > maxBlocked {
		return stanza.Bad(stanza.ResourceConstraint, fmt.Sprintf("A block list holds at most %d addresses.", maxBlocked))
	}
	if err := a.srv.store.KV.Set(j, a.owner, KeyBlocked, next.encode()); err != nil {
		return fmt.Errorf("im: save block list: %w", err)
	}
	gone := make(map[jid.JID][]*stanza.Stanza, len(changed)) // what those who are blocked now are told
	if on {
		for _, k := range changed {
			gone[k] = a.withdrawn(k, a.Shows(k))
		}
	}
	a.blocked.Store(&next)
	a.pushTo(push, j.Mark(), func(s *Session) bool { return s.blockPush.Load() })
	for _, k := range changed {
		if on {
			a.sayTo(k, gone[k], 0)
		} else {
			if a.Shows(k) {
				a.sayTo(k, a.presences(), j.Mark())
			}
			if a.sees(k.Bare()) { // and who is he now?
				a.sayTo(k, []*stanza.Stanza{stanza.New(stanza.Presence, stanza.Probe, a.jid, jid.JID{})}, 0)
			}
		}
	}
	return nil
}

// BlockItems is an element of the block list's protocol that names addresses (XEP-0191 §3).
func BlockItems(name string, who []jid.JID) *xml.Element {
	kids := make([]*xml.Element, 0, len(who))
	for _, j := range who {
		kids = append(kids, xml.New(stanza.NSBlocking, "item", xml.A("jid", j.String())))
	}
	return xml.New(stanza.NSBlocking, name).With(kids...)
}

// withdrawn is what who has to hear so that nobody of this account is left in his view: the end of the sessions that
// are available, if he is shown them, and of those that have sent him directed presence, which is then forgotten. The
// caller holds a.mu.
func (a *Account) withdrawn(who jid.JID, shown bool) []*stanza.Stanza {
	var out []*stanza.Stanza
	for _, s := range a.Sessions() {
		seen := shown && s.presence.Load() != nil
		for to := range s.directed {
			if to == who || to.Bare() == who {
				seen = true
				delete(s.directed, to)
			}
		}
		if seen {
			out = append(out, stanza.New(stanza.Presence, stanza.Unavailable, s.jid, jid.JID{}))
		}
	}
	return out
}

// pushTo queues an iq push with this payload to the account's sessions that want it. The caller holds a.mu.
func (a *Account) pushTo(payload *xml.Element, mark store.Mark, want func(*Session) bool) {
	for _, s := range a.Sessions() {
		if want(s) {
			st := stanza.New(stanza.IQ, stanza.Set, a.jid, s.jid, payload)
			st.ID = a.srv.nextID()
			a.say(outgoing{st: st, mark: mark, to: []*Session{s}})
		}
	}
}

// sayTo queues these presences, which rest on mark, addressed to who, when that is an account here. The caller holds a.mu.
func (a *Account) sayTo(who jid.JID, presences []*stanza.Stanza, mark store.Mark) {
	if who.Domain() != a.srv.domain.Domain() {
		return
	}
	for _, p := range presences {
		a.say(outgoing{st: p.Addressed(p.From, who), mark: mark})
	}
}
