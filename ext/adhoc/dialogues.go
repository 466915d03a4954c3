package adhoc

import (
	"container/list"
	"crypto/rand"
	"sync"
	"time"

	"parley/im"
)

// What open dialogues may be.
const (
	perSession = 16               // more push out the session's oldest
	inAll      = 16384            // more are refused
	lifetime   = 10 * time.Minute // from the first step
)

// dialogues are the commands that wait for their second step. Ids are made here and cannot be guessed; nobody but
// the session that began a dialogue can go on with it.
type dialogues struct {
	mu     sync.Mutex
	order  list.List                       // of *dialogue, oldest first; guarded by mu
	owners map[*im.Session][]*list.Element // oldest first; guarded by mu
}

type dialogue struct {
	owner    *im.Session
	id, node string
	until    time.Time
}

func (d *dialogues) init() { d.owners = map[*im.Session][]*list.Element{} }

// open begins a dialogue; false when there are too many.
func (d *dialogues) open(s *im.Session, node string) (id string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	if own := d.owners[s]; len(own) >= perSession {
		d.remove(own[0])
	}
	if d.order.Len() >= inAll {
		return "", false
	}
	id = rand.Text()
	el := d.order.PushBack(&dialogue{owner: s, id: id, node: node, until: time.Now().Add(lifetime)})
	d.owners[s] = append(d.owners[s], el)
	return id, true
}

// has tells whether s has such a dialogue.
func (d *dialogues) has(s *im.Session, id, node string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire()
	el := d.find(s, id)
	return el != nil && el.Value.(*dialogue).node == node
}

// close ends one dialogue, if there is such a one.
func (d *dialogues) close(s *im.Session, id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if el := d.find(s, id); el != nil {
		d.remove(el)
	}
}

// drop ends all dialogues of a session.
func (d *dialogues) drop(s *im.Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, el := range d.owners[s] {
		d.order.Remove(el)
	}
	delete(d.owners, s)
}

// The rest wants mu held.

func (d *dialogues) find(s *im.Session, id string) *list.Element {
	for _, el := range d.owners[s] {
		if el.Value.(*dialogue).id == id {
			return el
		}
	}
	return nil
}

// expire ends what is over. All live equally long, so these are the first in order.
func (d *dialogues) expire() {
	now := time.Now()
	for el := d.order.Front(); el != nil && now.After(el.Value.(*dialogue).until); el = d.order.Front() {
		d.remove(el)
	}
}

func (d *dialogues) remove(el *list.Element) {
	s := el.Value.(*dialogue).owner
	own := d.owners[s]
	for i := range own {
		if own[i] == el {
			own = append(own[:i:i], own[i+1:]...)
			break
		}
	}
	if len(own) == 0 {
		delete(d.owners, s)
	} else {
		d.owners[s] = own
	}
	d.order.Remove(el)
}
