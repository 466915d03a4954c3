package history

import "time"

// archive is what one account's archive was seen to hold.
type archive struct {
	account string
	walks   []*walk
	// after settle
	truth []item         // as at the end, oldest first
	pos   map[string]int // by id
	of    map[Msg]int    // place of a message; the first, if it is there twice
}

// item is one entry of an archive.
type item struct {
	id  string
	msg Msg
}

// walk is one reading of an archive by pages, each after the last id of the one before.
type walk struct {
	client string
	after  string // where the first page began
	begun  bool
	asked  time.Duration
	all    bool // it came to the end
	audit  bool
	items  []item
	page   []item // those of the page that has not ended
}

func (w *world) archive(account string) *archive {
	a := w.archives[account]
	if a == nil {
		a = &archive{account: account}
		w.archives[account] = a
	}
	return a
}

// read takes an Entry or a Page.
func (w *world) read(e Event) {
	k := w.walks[e.Query]
	if k == nil {
		k = &walk{client: e.Client, audit: e.Audit}
		w.walks[e.Query] = k
		a := w.archive(account(e.Client))
		a.walks = append(a.walks, k)
	}
	if e.Kind == Page {
		if !k.begun {
			k.begun, k.after = true, e.After
		}
		k.asked, k.all = e.Asked, e.All
		k.items, k.page = append(k.items, k.page...), nil
		return
	}
	w.seen = append(w.seen, e)
	id := ""
	if len(e.IDs) > 0 {
		id = e.IDs[0]
	}
	k.page = append(k.page, item{id: id, msg: e.Msg})
	if m := w.messages[e.Msg]; m != nil {
		m.know(e.At, "in the archive that "+e.Client+" read")
		if !e.Audit {
			w.device(e.Client).has[e.Msg] = true
		}
	}
}

// settle decides what the archive holds at the end: the longest of the readings that the test made of all of it.
func (w *world) settle(a *archive) {
	for _, k := range a.walks {
		if k.audit && k.all && k.after == "" && len(k.items) >= len(a.truth) {
			a.truth = k.items
		}
	}
	a.pos, a.of = make(map[string]int, len(a.truth)), make(map[Msg]int, len(a.truth))
	for i, it := range a.truth {
		if _, twice := a.pos[it.id]; !twice {
			a.pos[it.id] = i
		}
		if _, twice := a.of[it.msg]; !twice {
			a.of[it.msg] = i
		}
	}
}

// audited is the archive of an account that was read at the end, nil when it was not.
func (w *world) audited(account string) *archive {
	if a := w.archives[account]; a != nil {
		for _, k := range a.walks {
			if k.audit && k.all {
				return a
			}
		}
	}
	return nil
}
