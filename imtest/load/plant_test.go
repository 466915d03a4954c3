package load_test

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"parley/im"
	"parley/store"
	"parley/xmpp/stanza"
	"parley/xmpp/xml"
)

// The tools to plant faults with: an engine that errs, and steps that do.

// faulty is an engine that errs on purpose. A crash is: nothing is written any more, and nobody hears of it.
type faulty struct {
	store.Engine
	page func(q store.Query, page []store.Entry) []store.Entry // nil: as it is

	slow time.Duration // each Commit takes so long

	mu      sync.Mutex
	crashed bool          // guarded by mu
	gone    chan struct{} // guarded by mu: closed when the commits of a crashed server may return
}

func (f *faulty) Commit(ops []store.Op) error {
	time.Sleep(f.slow)
	f.mu.Lock()
	crashed, gone := f.crashed, f.gone
	f.mu.Unlock()
	if crashed {
		<-gone
		return nil
	}
	return f.Engine.Commit(ops)
}

// crash lets the engine write nothing from now on; gone is called when the server's clients have lost it.
func (f *faulty) crash() (gone func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.crashed, f.gone = true, make(chan struct{})
	return func() { close(f.gone) }
}

func (f *faulty) Range(ctx context.Context, o store.Owner, q store.Query) ([]store.Entry, bool, error) {
	page, more, err := f.Engine.Range(ctx, o, q)
	if f.page != nil && err == nil {
		page = f.page(q, page)
	}
	return page, more, err
}

// every tells, of the things it is asked about, each n-th.
func every(n int64) func() bool {
	var count atomic.Int64
	return func() bool { return count.Add(1)%n == 0 }
}

// onMessages is a step that does something to every tenth message.
func onMessages(do func(*im.Delivery) error) im.Step {
	tenth := every(10)
	return func(_ context.Context, d *im.Delivery) error {
		if d.Stanza.Kind != stanza.Message || d.Stanza.Type != stanza.Chat || !tenth() {
			return nil
		}
		return do(d)
	}
}

// swap is a step that lets one message out of ten wait for the next one on the same way.
func swap() im.Step {
	var mu sync.Mutex
	held, tenth := map[string]*stanza.Stanza{}, every(10)
	again := map[string]bool{}
	return func(_ context.Context, d *im.Delivery) error {
		st := d.Stanza
		if st.Kind != stanza.Message || st.Type != stanza.Chat {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		way := st.From.String()
		switch {
		case again[st.ID]:
			return nil
		case held[way] != nil:
			d.Emit(held[way])
			again[held[way].ID] = true
			delete(held, way)
		case tenth():
			held[way] = st
			return im.ErrDrop
		}
		return nil
	}
}

// withBody is a stanza with other words in it.
func withBody(st *stanza.Stanza, change func(string) string) *stanza.Stanza {
	body := st.Body()
	return st.Without(func(el *xml.Element) bool { return el.Name.Local == "body" }).With(stanza.Body(change(body)))
}

// hide leaves entries out of a page; the last one stays, by which the next page begins.
func hide(page []store.Entry, what func(store.Entry) bool) []store.Entry {
	last := len(page) - 1
	return slices.Collect(func(yield func(store.Entry) bool) {
		for i, e := range page {
			if i < last && what(e) {
				continue
			}
			if !yield(e) {
				return
			}
		}
	})
}

// altered is an entry with one letter changed.
func altered(e store.Entry) store.Entry {
	e.Body = bytes.Replace(e.Body, []byte("good morning"), []byte("good mourning"), 1)
	return e
}
