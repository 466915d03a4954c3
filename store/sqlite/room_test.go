package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"

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

// The file of the log is longer than the log, and is again after that has grown; what is in it is found after a crash.
func TestReserve(t *testing.T) {
	e := open(t, t.TempDir(), Options{reserveAfter: 1})
	for n := range 3 {
		var ops []store.Op
		for i := range 2000 {
			ops = append(ops, store.Op{Kind: store.OpSet, Key: fmt.Sprint(n, i), Value: make([]byte, 5000)})
		}
		if err := e.Commit(ops); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Tend(false); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(e.path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		frames, err := e.frames()
		if err != nil {
			t.Fatal(err)
		}
		if frames < 2000 || info.Size() < frames*pageSize+reserve/2 {
			t.Errorf("the file has %d bytes, with %d pages in it", info.Size(), frames)
		}
		other := crashed(t, e, Options{})
		if _, err := other.Get(t.Context(), 0, fmt.Sprint(n, 1999)); err != nil {
			t.Error(err)
		}
	}
}

// The log is written back when it is long, and when a database is opened whose last process died: after a failed fsync
// what is in it may be in memory alone.
func TestWriteBack(t *testing.T) {
	e := open(t, t.TempDir(), Options{})
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
	commit(checkpointFrames / 2)
	if frames, back := left(e); frames < checkpointFrames/2 || back == frames {
		t.Errorf("%d pages in the log, %d written back: too early", frames, back)
	}
	commit(checkpointFrames / 2)
	if frames, back := left(e); frames < checkpointFrames || back != frames {
		t.Errorf("%d pages in the log, %d written back", frames, back)
	}
	commit(100)
	e = crashed(t, e, Options{})
	if frames, back := left(e); frames == 0 || back != frames {
		t.Errorf("after a crash: %d pages in the log, %d written back", frames, back)
	}
}
