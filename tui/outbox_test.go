package tui

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"parley/xmpp/jid"
)

var alice, bobby = jid.MustParse("alice@localhost/x"), jid.MustParse("bob@localhost")

func written(id, text string) letter {
	return letter{id: id, to: bobby, text: text, at: time.Date(2026, 11, 22, 9, 41, 0, 0, time.UTC)}
}

func mustOpen(t *testing.T, o *Outboxes, hostPort string) *outbox {
	t.Helper()
	file, err := o.open(alice, hostPort)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newOutbox(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *outbox) ids() string {
	var ids []string
	for _, l := range b.list {
		ids = append(ids, l.id)
	}
	return strings.Join(ids, " ")
}

func add(t *testing.T, b *outbox, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := b.add(written(id, "text of "+id+"\n\u2028"), true); err != nil {
			t.Fatal(err)
		}
	}
}

// What was not accepted is there again after any end of the client, in order, and nobody else's.
func TestOutbox(t *testing.T) {
	o := &Outboxes{Dir: filepath.Join(t.TempDir(), "state", "outbox")}
	b := mustOpen(t, o, "x:1")
	add(t, b, "a", "b", "c", "d")
	b.take("b")
	b.take("x")
	info, err := os.Stat(b.file.path)
	dir, err2 := os.Stat(o.Dir)
	if err != nil || err2 != nil || info.Mode().Perm() != 0o600 || dir.Mode().Perm() != 0o700 {
		t.Errorf("%v %v, %v %v", info, err, dir, err2)
	}
	// Killed: the file is as it is, the lock is gone. The last line was not written whole.
	b.file.close()
	f, err := os.OpenFile(b.file.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "no object\n{\"id\":\"x\",\"to\":\"no @ jid\"}\n", `{"id":"e","to":"bob@loc`)
	f.Close()
	b = mustOpen(t, o, "x:1")
	if got := b.ids(); got != "a c d" || b.list[1] != written("c", "text of c\n\u2028") {
		t.Errorf("after a kill: %q, %+v", got, b.list)
	}
	add(t, b, "e")
	b.close()
	if other := mustOpen(t, o, "y:1"); len(other.list) > 0 {
		t.Errorf("another server is sent %q", other.ids())
	}
	b = mustOpen(t, o, "x:1")
	for _, id := range strings.Fields(b.ids()) {
		b.take(id)
	}
	if text, err := os.ReadFile(b.file.path); err != nil || len(text) > 0 {
		t.Errorf("of an empty outbox remains %q, %v", text, err)
	}
	add(t, b, "f")
	b.close()
	if b = mustOpen(t, o, "x:1"); b.ids() != "f" {
		t.Errorf("then %q", b.ids())
	}
	b.close()
}

// Clients that run at the same time do not get into each other's way; what one leaves behind, the next one takes over.
func TestOutboxesAtOnce(t *testing.T) {
	o := &Outboxes{Dir: filepath.Join(t.TempDir(), "outbox")}
	one, two := mustOpen(t, o, ""), mustOpen(t, o, "")
	add(t, one, "a")
	add(t, two, "b")
	two.close()
	add(t, one, "c")
	three := mustOpen(t, o, "")
	if three.ids() != "b" {
		t.Errorf("takes over %q", three.ids())
	}
	three.close()
	one.close()
	four := mustOpen(t, o, "")
	if four.ids() != "a c b" {
		t.Errorf("takes over %q", four.ids())
	}
	five := mustOpen(t, o, "")
	if five.ids() != "" {
		t.Errorf("sent twice: %q", five.ids())
	}
	for i := 2; i < maxClients; i++ {
		mustOpen(t, o, "")
	}
	if _, err := o.open(alice, ""); err == nil {
		t.Error("there is no end to it")
	}
}

func TestOutboxBounds(t *testing.T) {
	o := &Outboxes{Dir: filepath.Join(t.TempDir(), "outbox")}
	b := mustOpen(t, o, "")
	for i := range maxLetters {
		if err := b.add(written(fmt.Sprint(i), "x"), false); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.add(written("x", "x"), false); !errors.Is(err, errFull) {
		t.Errorf("one more: %v", err)
	}
	b.close()
	b = mustOpen(t, o, "")
	if len(b.list) != maxLetters {
		t.Errorf("%d letters", len(b.list))
	}
	// The file is made anew now and then, and has what it must have.
	big := strings.Repeat("x", 64<<10)
	for _, id := range strings.Fields(b.ids())[1:] {
		b.take(id)
	}
	for i := range 2 * maxFile / len(big) {
		id := fmt.Sprint("big", i)
		if err := b.add(written(id, big), false); err != nil {
			t.Fatal(err)
		}
		b.take(id)
		if info, err := os.Stat(b.file.path); err != nil || info.Size() > maxFile+2*int64(len(big)) {
			t.Fatalf("%v, %v", info, err)
		}
	}
	b.close()
	if b = mustOpen(t, o, ""); b.ids() != "0" {
		t.Errorf("remains %q", b.ids())
	}
	for _, text := range []string{big + "x", big[:len(big)/2] + strings.Repeat("&", len(big)/2-1) + "<<"} {
		if err := b.add(written("long", text), false); (len(text) > maxText) != errors.Is(err, errText) {
			t.Errorf("a text of %d bytes: %v", len(text), err)
		}
		b.take("long")
	}
	if err := b.add(written("long", strings.Repeat("&", maxText)), false); !errors.Is(err, errText) {
		t.Errorf("a text that no server takes: %v", err)
	}
	b.file.f.Close()
	if err := b.add(written("y", "x"), true); err == nil || b.ids() != "0" {
		t.Errorf("said yes to what was not kept: %v, %q", err, b.ids())
	}
}

func TestPlace(t *testing.T) {
	o := &Outboxes{Dir: filepath.Join(t.TempDir(), "outbox")}
	o.savePlace(alice, "x:1", "lost") // there is no folder yet, and nobody complains
	mustOpen(t, o, "x:1").close()
	for _, id := range []string{"p1", "", "p1", "p2"} {
		o.savePlace(alice, "x:1", id)
	}
	if got := o.place(alice, "x:1"); got != "p2" || o.place(alice, "y:1") != "" {
		t.Errorf("place %q", got)
	}
	list, err := filepath.Glob(filepath.Join(o.Dir, ".place*"))
	if err != nil || len(list) > 0 {
		t.Errorf("left behind: %q", list)
	}
}

// FuzzOutbox: whatever is in the file, the client starts.
func FuzzOutbox(f *testing.F) {
	f.Add([]byte(`{"id":"a","to":"bob@localhost","text":"x"}` + "\n" + `{"done":"a"}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "box")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := readLetters(path)
		if err != nil || len(list) > maxLetters {
			t.Errorf("%d letters, %v", len(list), err)
		}
	})
}
