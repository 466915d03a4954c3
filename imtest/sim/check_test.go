package sim

import (
	"context"

	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// place is where a message is in an archive.
type place struct {
	account string
	sent    bool // as its author's
}

// check compares what everybody saw with what is in the archives.
func (w *world) check() {
	kept := map[*message]map[place][]string{} // stanza-ids
	for _, name := range people {
		w.readArchive(name, kept)
	}
	for _, d := range w.devices {
		for _, m := range d.sent {
			w.checkMessage(m, kept[m])
		}
		for _, c := range d.copies {
			ids := kept[c.m][place{d.account, c.m.to != d.account}]
			if len(ids) != 1 || ids[0] != c.id {
				w.refute("%s was given %s (%s) with the id %s, and the archive of %s has it with %v", d.name(), c.m.id, c.how, c.id, d.account, ids)
			}
		}
	}
}

// readArchive reads all that an account has, from the store itself.
func (w *world) readArchive(name string, kept map[*message]map[place][]string) {
	ctx, srv := context.Background(), w.server().srv
	a, _ := srv.Accounts().Lookup(name)
	log := srv.Clients().Hall.Store().Log
	last := map[string]int{}
	var id store.ID
	for e, err := range log.Range(ctx, a.Owner, store.Query{}) {
		if err != nil {
			w.refute("the archive of %s cannot be read: %v", name, err)
			return
		}
		if id++; e.ID != id {
			w.refute("the archive of %s has %d after %d", name, e.ID, id-1)
			id = e.ID
		}
		m := w.messages[bodyOf(e)]
		if m == nil || e.Sent != (m.from.account == name) || !e.Sent && m.to != name {
			w.refute("the archive of %s has %q", name, e.Body)
			continue
		}
		if kept[m] == nil {
			kept[m] = map[place][]string{}
		}
		p := place{name, e.Sent}
		kept[m][p] = append(kept[m][p], log.WireID(a.Owner, e.ID))
		way := m.from.name() + " " + m.to
		if m.n < last[way] && !w.disk.wasFull(m.born, e.Time) {
			// Else it was refused, the error was lost with the connection, and it was sent again behind another one.
			w.refute("the archive of %s has %s after number %d", name, m.id, last[way])
		}
		last[way] = m.n
	}
}

func bodyOf(e store.Entry) string {
	el, err := xml.Parse(string(e.Body), stanza.NSClient, xml.Limits{})
	if err != nil {
		return ""
	}
	st, err := stanza.Parse(el)
	if err != nil {
		return ""
	}
	return st.Body()
}

// checkMessage checks what was promised of one message.
func (w *world) checkMessage(m *message, kept map[place][]string) {
	author, reader := len(kept[place{m.from.account, true}]), len(kept[place{m.to, false}])
	switch {
	case author != reader:
		w.refute("%s is %d times in its author's archive and %d times in its reader's", m.id, author, reader)
	case author > 1:
		w.refute("%s is %d times in the archives", m.id, author)
	case m.state == handled && author == 0 && w.disk.wasFull(m.born, m.known):
		// It was refused, and the error was lost with the connection, or with the server: see handled.
	case (m.state == accepted || m.state == handled) && author == 0:
		w.refute("%s was accepted (%s), and is in no archive", m.id, m.how)
	case m.state == refused && author != 0:
		w.refute("%s was refused (%s), and is in the archives", m.id, m.how)
	}
	for _, d := range w.devices {
		how, saw := d.seen[m.id]
		switch {
		case saw && author == 0:
			w.refute("%s was seen by %s (%s), and is in no archive", m.id, d.name(), how)
		case !saw && author != 0 && d.account == m.to && (d.archive || d.managing):
			w.refute("%s has never seen %s", d.name(), m.id)
		}
	}
}
