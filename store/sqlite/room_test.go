package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"parley/store"
)

// The engine says that the disk is full while there is still room for what was taken, and that it is not only when
// there is half as much again.
func TestRoom(t *testing.T) {
	free, ok := freeBytes(t.TempDir())
	if !ok {
		t.Skip("how much is free is not known here")
	}
	e := open(t, t.TempDir(), Options{})
	for _, test := range []struct {
		least int64
		full  bool
	}{{free / 2, false}, {free * 2, true}, {free / 10 * 8, true}, {free / 2, false}, {free / 10 * 8, false}} {
		e.opts.scarce = test.least
		_, err := e.Tend(false)
		if errors.Is(err, store.ErrFull) != test.full || err != nil && !test.full {
			t.Errorf("%d of %d bytes must be free: %v", test.least, free, err)
		}
		if err := e.Commit([]store.Op{{Kind: store.OpSet, Key: "k", Value: []byte("v")}}); err != nil {
			t.Errorf("what was taken before is not committed: %v", err)
		}
	}
}

// Behind the log there is room on the disk, which does not make it longer, and is there again after it has grown.
func TestReserve(t *testing.T) {
	e := open(t, t.TempDir(), Options{})
	for range 3 {
		fill := make([]store.Op, 0, 300)
		for i := range cap(fill) {
			fill = append(fill, store.Op{Kind: store.OpSet, Key: time.Now().String() + string(rune('a'+i)), Value: make([]byte, 5000)})
		}
		if err := e.Commit(fill); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(e.path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Tend(false); err != nil {
			t.Fatal(err)
		}
		after, err := os.Stat(e.path + "-wal")
		if err != nil || after.Size() != info.Size() {
			t.Fatalf("the log has %d bytes, then %d, %v", info.Size(), after.Size(), err)
		}
		n, ok := allocated(after)
		if !ok {
			t.Skip("what is allocated is not known here")
		}
		if n < after.Size()+reserve/2 {
			t.Errorf("%d bytes are allocated for a log of %d", n, after.Size())
		}
	}
}

// The log is written back when it is long, and when a database is opened whose last process died: after a failed fsync
// what is in it may be in memory alone.
func TestWriteBack(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, Options{})
	left := func(e *Engine) (frames, back int64) {
		t.Helper()
		if err := e.ws.frames.rows(func(row []dv) bool { frames, back = number(row[1]), number(row[2]); return false }); err != nil {
			t.Fatal(err)
		}
		return frames, back
	}
	c := byte(0)
	commit := func(n int) {
		t.Helper()
		c++ // what is there already is not written again
		if err := e.Commit([]store.Op{{Kind: store.OpSet, Key: "big", Value: bytes.Repeat([]byte{byte(n), byte(n >> 8), c}, n*pageSize/3)}}); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Tend(false); err != nil {
			t.Fatal(err)
		}
	}
	commit(500)
	if frames, back := left(e); frames < 500 || back == frames {
		t.Errorf("%d pages in the log, %d written back: too early", frames, back)
	}
	commit(500)
	if frames, back := left(e); frames < checkpointFrames || back != frames {
		t.Errorf("%d pages in the log, %d written back", frames, back)
	}
	commit(100)
	other := t.TempDir() // as after a kill
	for _, name := range []string{FileName, FileName + "-wal"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(other, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	e = open(t, other, Options{})
	if frames, back := left(e); frames == 0 || back != frames {
		t.Errorf("after a crash: %d pages in the log, %d written back", frames, back)
	}
}
