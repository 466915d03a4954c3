package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"parley/imtest"
	"parley/imtest/proc"
	"parley/xmpp/stanza"
)

// filler takes all the room that there is on a file system, to the last byte, as fast as it can.
func fill(t *testing.T, dir string) (free func()) {
	t.Helper()
	name := filepath.Join(dir, "filler")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// anna writes to bert with a client of her own, one message after the other.
type anna struct {
	*imtest.Client
	n int
}

// say sends a message and a ping, and returns how the message was refused, nil when it was accepted. What else comes is
// read and forgotten.
func (a *anna) say(t *testing.T) *stanza.Error {
	t.Helper()
	a.n++
	id := fmt.Sprintf("m%d", a.n)
	a.Send("<message to='bert@localhost' type='chat' id='" + id + "'><body>anna bert " + id + "</body></message>")
	for _, el := range a.Drain() {
		if el.Name.Local == "message" && el.Attr("type") == "error" && el.Attr("id") == id {
			st, err := stanza.Parse(el)
			if err != nil {
				t.Fatal(err)
			}
			return stanza.ErrorOf(st)
		}
	}
	return nil
}

// until sends messages until one is accepted, or refused.
func (a *anna) until(t *testing.T, refused bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		e := a.say(t)
		if (e != nil) == refused {
			if refused && (e.Condition != stanza.ResourceConstraint || e.Class != stanza.ClassWait) {
				t.Errorf("refused with %s %v", e.Class, e)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after 30 s, a message is still not %s", map[bool]string{true: "refused", false: "accepted"}[refused])
		}
	}
}

// heard reads until a stanza comes that says what: presence or chat state.
func heard(t *testing.T, c *imtest.Client, what string) {
	t.Helper()
	for {
		if strings.Contains(c.Read().String(), what) {
			return
		}
	}
}

// TestDiskFull takes all the room of the disk under load: what must be stored is refused, to be tried later; signing in,
// presence, chat states, pings, rosters and the archive go on; with room again all goes on by itself. What was accepted is
// there once, what was refused is not.
func TestDiskFull(t *testing.T) {
	for _, kind := range []string{"tmpfs", "ext4"} {
		t.Run(kind, func(t *testing.T) {
			var disk, dir string
			if kind == "ext4" {
				d := newDrive(t)
				disk, dir = d.dir, d.data()
			} else {
				disk = filepath.Join(t.TempDir(), "small")
				mount(t, disk, "-t", "tmpfs", "-o", "size=192m", "none")
				dir = filepath.Join(disk, "parley")
				proc.Prepare(t, dir)
			}
			full(t, disk, dir)
		})
	}
}

func full(t *testing.T, disk, dir string) {
	h := proc.NewHistory()
	c := proc.Start(t, dir, proc.Options{})
	a := &anna{Client: imtest.ConnectTo(t, c.Addr, "anna/desk")}
	zoe := imtest.ConnectTo(t, c.Addr, "zoe/desk")
	for _, client := range []*imtest.Client{a.Client, zoe} {
		client.Send("<presence/>")
	}
	imtest.Settle(a.Client, zoe)
	a.until(t, false)
	time.Sleep(2 * time.Second) // until room is reserved
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	quiet, loaded := 1, 1
	if long() {
		quiet, loaded = 5, 10
	}
	wait := func() {}
	for round := range quiet + loaded {
		// At first nobody else writes: then the server finds the disk full before it has looked, with a message in its hands.
		if round == quiet {
			wait = h.Load(ctx, c.Addr)
			time.Sleep(300 * time.Millisecond)
		}
		free := fill(t, disk)
		a.until(t, true)
		goesOn(t, c.Addr, zoe)
		free()
		began := time.Now()
		a.until(t, false)
		t.Logf("a message was accepted %v after there was room", time.Since(began).Round(time.Millisecond))
		if long() && time.Since(began) > 10*time.Second {
			t.Error("that is late")
		}
		told := func() int { return strings.Count(c.Log(), "there is room on the disk again") }
		for end := time.Now().Add(5 * time.Second); told() < tells(c) && time.Now().Before(end); { // what it writes may come later
			time.Sleep(time.Millisecond)
		}
		if begins, ends := tells(c), told(); begins != ends || begins == 0 || strings.Count(c.Log(), "level=WARN") > 0 {
			t.Errorf("the log told it %d times, and its end %d times; and other things, perhaps", begins, ends)
		}
	}
	stop()
	wait()
	sure, no := h.Certain(), h.Refused()
	if len(sure) < 100 || len(no) < 20 {
		t.Errorf("%d messages were accepted and %d refused: that is no load", len(sure), len(no))
	}
	t.Logf("%d messages known for certain, %d refused, the log told of it %d times", len(sure), len(no), tells(c))
	// A server that is started on a full disk serves as far as it goes, or says in one sentence why it does not.
	free := fill(t, disk)
	c.End(syscall.SIGTERM)
	again, ok := proc.Try(t, dir, proc.Options{})
	if ok {
		goesOn(t, again.Addr, nil)
	} else if !strings.Contains(again.Log(), "the disk is full") {
		t.Errorf("it does not start: %s", again.Log())
	}
	t.Logf("it starts on the full disk: %v", ok)
	again.End(syscall.SIGKILL)
	free()
	complain(t, audit(t, dir, proc.Options{}, sure, no))
}

// tells is how often a server has told its operator that the disk is full.
func tells(c *proc.Child) int { return strings.Count(c.Log(), "the disk is full: what would") }

// goesOn looks at all that needs no room on the disk.
func goesOn(t *testing.T, addr string, zoe *imtest.Client) {
	t.Helper()
	hugo := imtest.ConnectTo(t, addr, "hugo/desk") // signing in
	hugo.Send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
	heard(t, hugo, "'r'")
	hugo.Send("<presence><status>here</status></presence>")
	hugo.Fence()
	if zoe != nil {
		heard(t, zoe, "here")
		hugo.Send("<message to='zoe@localhost' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
		heard(t, zoe, "composing")
	}
	zoes := imtest.ConnectTo(t, addr, "anna/history")
	if all := proc.Archive(t, zoes); len(all) == 0 || all[0] != "anna bert m1" {
		t.Errorf("%d messages in the archive", len(all))
	}
	zoes.Leave()
	hugo.Leave()
	if zoe != nil {
		heard(t, zoe, "unavailable")
	}
}
