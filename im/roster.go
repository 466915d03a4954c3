package im

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"

	"parley/store"
	"parley/xmpp/jid"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// Group is the roster group that holds all accounts of the server, where it manages the roster.
const Group = "Everyone"

// Keys of the KV: an item of the roster, as JSON, and how often the roster has been changed.
const (
	prefixItem = "im/roster/"
	keyChanges = "im/rosterchanges"
)

// Limits of a roster: how many contacts a person may put on it, and how many bytes all addresses, names and groups of them
// may have.
const (
	maxItems  = 2000
	maxRoster = 256 << 10
)

// item is a contact on an account's roster (RFC 6121 §2.1.2). It never changes; another state makes another one.
type item struct {
	Owner   store.Owner `json:"owner,omitempty"`  // the account that the address meant, 0: none of this server
	Listed  bool        `json:"listed,omitempty"` // the person sees it; else the contact waits for an answer (§3.1.3)
	Name    string      `json:"name,omitempty"`
	Groups  []string    `json:"groups,omitempty"`
	Request string      `json:"request,omitempty"` // the stanza with which the contact has asked, while Asked
	subscription
}

// roster is an account's own part of its roster: all of it, or, where the server manages the roster, what the person
// calls his contacts and how he groups them. It never changes.
type roster struct {
	items   map[jid.JID]item // by bare address
	changes uint64
}

// loadRoster reads an account's roster.
func (v *Server) loadRoster(ctx context.Context, o store.Owner) (*roster, error) {
	r, stale := roster{}, false
	for p, err := range v.store.KV.All(ctx, o, prefixItem) {
		if err != nil {
			return nil, fmt.Errorf("im: read roster: %w", err)
		}
		j, err := jid.Parse(p.Key[len(prefixItem):])
		var it item
		if err == nil {
			err = json.Unmarshal(p.Value, &it)
		}
		if err != nil {
			return nil, fmt.Errorf("im: read roster item %q: %w", p.Key, errors.Join(store.ErrCorrupt, err))
		}
		if r.items == nil {
			r.items = map[jid.JID]item{}
		}
		r.items[j] = it
		if it.Owner != v.ownerOf(j) {
			stale = true // an account has gone while no server ran
		}
	}
	n, err := v.store.KV.Get(ctx, o, keyChanges)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("im: read roster: %w", err)
	}
	if len(n) == 8 {
		r.changes = binary.BigEndian.Uint64(n)
	}
	if stale { // clients that have this version have something else
		r.changes++
	}
	if r.items == nil && r.changes == 0 {
		return &v.empty.roster, nil
	}
	return &r, nil
}

// change puts an item into the account's roster, or takes it out when nothing is left of it, and tells the account's
// clients as far as they see it. The caller holds a.mu.
func (a *Account) change(j store.Journey, who jid.JID, it item) error {
	was := a.roster.Load().items[who]
	if err := a.keepItem(j, who, it); err != nil {
		return err
	}
	if !it.looksLike(was) {
		a.pushRoster(j.Mark(), a.rosterItem(who))
	}
	return nil
}

// keepItem is change without telling anybody. The caller holds a.mu.
func (a *Account) keepItem(j store.Journey, who jid.JID, it item) error {
	old := a.roster.Load()
	next := &roster{items: maps.Clone(old.items), changes: old.changes + 1}
	var value []byte // nil deletes
	if it.Owner = a.srv.ownerOf(who); it.Listed || it.subscription != (subscription{}) {
		var err error
		if value, err = json.Marshal(it); err != nil {
			return fmt.Errorf("im: save roster: %w", err)
		}
		if next.items == nil {
			next.items = map[jid.JID]item{}
		}
		next.items[who] = it
	} else {
		delete(next.items, who)
	}
	if n, bytes := next.size(); value != nil && (n > maxItems || bytes > maxRoster) {
		if was, wasBytes := old.size(); n > was || bytes > wasBytes {
			return stanza.Bad(stanza.ResourceConstraint, fmt.Sprintf("A roster holds at most %d contacts, and %d KiB of names and groups.", maxItems, maxRoster>>10))
		}
	}
	kv := a.srv.store.KV
	err := kv.Set(j, a.owner, prefixItem+who.String(), value)
	if err == nil {
		err = kv.Set(j, a.owner, keyChanges, binary.BigEndian.AppendUint64(nil, next.changes))
	}
	if err != nil {
		return fmt.Errorf("im: save roster: %w", err)
	}
	a.roster.Store(next)
	return nil
}

// size is how many contacts a person has put on the roster, and how many bytes he calls them.
func (r *roster) size() (contacts, bytes int) {
	for who, it := range r.items {
		if !it.Listed {
			continue
		}
		contacts++
		bytes += len(who.Local()) + len(who.Domain()) + len(it.Name)
		for _, g := range it.Groups {
			bytes += len(g)
		}
	}
	return contacts, bytes
}

// looksLike tells whether clients are told the same of two items: of who waits for an answer the roster says nothing
// (§2.1.2, §3.1.3).
func (it item) looksLike(was item) bool {
	it.Asked, was.Asked = false, false
	return it.Listed == was.Listed && it.Name == was.Name && slices.Equal(it.Groups, was.Groups) && it.subscription == was.subscription
}

// pushRoster sends a roster push (§2.1.6) to the sessions that have asked for the roster. The caller holds a.mu.
func (a *Account) pushRoster(mark store.Mark, items ...*xml.Element) {
	query := xml.New(stanza.NSRoster, "query", xml.A("ver", a.rosterVersion())).With(items...)
	for _, s := range a.Sessions() {
		if s.interested.Load() {
			st := stanza.New(stanza.IQ, stanza.Set, a.jid, s.jid, query)
			st.ID = a.srv.nextID()
			s.push(st, s.jid, mark)
		}
	}
}

// rosterVersion changes whenever the roster does (§2.6), and when the database was restored from a backup: what was
// changed after that was made is gone, and the same numbers come again for other changes.
func (a *Account) rosterVersion() string {
	own := strconv.FormatUint(a.roster.Load().changes, 10) + "/" + a.srv.store.Epoch()
	if a.srv.everyone == nil {
		return own
	}
	_, version := a.srv.everyone()
	return version + "/" + own
}

// managed tells whether the server keeps who as everybody's contact: itself, and with contacts = "everyone" all accounts.
func (v *Server) managed(who jid.JID) bool {
	return who == v.domain || v.everyone != nil && v.ownerOf(who) != 0
}

// rosterItem is a contact as the account's clients are told of him: with the account's own name and groups for him, and
// what the server adds. Who is in neither's roster is removed.
func (a *Account) rosterItem(who jid.JID) *xml.Element {
	it := a.item(who)
	el := xml.New(stanza.NSRoster, "item", xml.A("jid", who.String()))
	name, groups, state := it.Name, it.Groups, it.subscription.name()
	managed := a.srv.managed(who)
	if managed && it.Owner != a.srv.ownerOf(who) {
		name, groups = "", nil // what somebody else was called who had this address
	}
	switch {
	case managed:
		state, it.subscription = "both", subscription{}
		if name == "" && who == a.srv.domain {
			name = ContactName
		} else if name == "" {
			name = who.Local()
		}
	case !it.Listed, a.srv.everyone != nil && who.Domain() == a.srv.domain.Domain():
		return el.WithAttr("subscription", "remove")
	}
	if managed && a.srv.everyone != nil {
		groups = append([]string{Group}, groups...)
	}
	if name != "" {
		el = el.WithAttr("name", name)
	}
	el = el.WithAttr("subscription", state)
	if it.Asks {
		el = el.WithAttr("ask", "subscribe")
	}
	if it.Approved {
		el = el.WithAttr("approved", "true")
	}
	kids := make([]*xml.Element, len(groups))
	for i, g := range groups {
		kids[i] = xml.New(stanza.NSRoster, "group").WithText(g)
	}
	return el.With(kids...)
}

// rosterItems are all contacts: the server itself first, then everybody by address.
func (a *Account) rosterItems() []*xml.Element {
	own := a.roster.Load().items
	list := make([]jid.JID, 0, len(own))
	for who, it := range own {
		if it.Listed && !a.srv.managed(who) && (a.srv.everyone == nil || who.Domain() != a.srv.domain.Domain()) {
			list = append(list, who)
		}
	}
	if a.srv.everyone != nil {
		names, _ := a.srv.everyone()
		for _, name := range names {
			if who, err := jid.New(name, a.srv.domain.Domain(), ""); err == nil && who != a.jid {
				list = append(list, who)
			}
		}
	}
	slices.SortFunc(list, jid.JID.Compare)
	items := []*xml.Element{a.rosterItem(a.srv.domain)}
	for _, who := range list {
		items = append(items, a.rosterItem(who))
	}
	return items
}

// RosterChanged tells everybody that an account was added, or removed. What others called a removed one, where the server
// manages the roster, and what they had agreed with it, goes with it.
func (v *Server) RosterChanged(ctx context.Context, localpart string) {
	who, err := jid.New(localpart, v.domain.Domain(), "")
	if err != nil {
		return
	}
	v.table.each(func(a *Account) {
		switch it, own := a.roster.Load().items[who]; {
		case a.jid == who:
		case own && it.Owner != v.ownerOf(who):
			err = errors.Join(err, v.Within(ctx, a, func(j store.Journey) error { return a.forgetContact(j, who) }))
		case v.everyone != nil:
			a.mu.Lock()
			defer a.mu.Unlock()
			a.pushRoster(0, a.rosterItem(who))
		}
	})
	if err != nil {
		v.log.Error("a removed account is on rosters still", slog.String("jid", who.String()), slog.Any("err", err))
	}
}

// forgetContact takes what an account that has gone was to this one off the roster. In a roster of his own a person keeps
// the address.
func (a *Account) forgetContact(j store.Journey, who jid.JID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	it := a.item(who)
	if a.srv.everyone != nil {
		it = item{}
	}
	return a.change(j, who, it)
}
