package adhoc

import (
	"testing"

	"parley/im"
)

func TestInAll(t *testing.T) {
	var d dialogues
	d.init()
	var sessions []*im.Session
	for n := 0; n < inAll; n += perSession {
		s := new(im.Session)
		sessions = append(sessions, s)
		for range perSession {
			if _, ok := d.open(s, "x"); !ok {
				t.Fatalf("refused after %d", d.order.Len())
			}
		}
	}
	if _, ok := d.open(new(im.Session), "x"); ok {
		t.Error("no bound")
	}
	if _, ok := d.open(sessions[0], "x"); !ok {
		t.Error("a session cannot replace a dialogue of its own")
	}
	for _, s := range sessions {
		d.drop(s)
	}
	if d.order.Len() != 0 || len(d.owners) != 0 {
		t.Errorf("%d dialogues of %d sessions are left", d.order.Len(), len(d.owners))
	}
}
