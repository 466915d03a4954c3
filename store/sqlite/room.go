package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"parley/store"
)

// What the disk must have, in bytes.
//
// reserve is how far the file of the write-ahead log is made longer than the log is, with zeros: what has been taken
// already (4 MiB, see store.Options.MaxPending, with what SQLite needs around it) can be committed even after somebody
// else has used up all that was free. Without it that batch would wait for room, and with it every answer that was made
// from a read. Room that is only allocated, and not written, does not do: on a file system with errors ext4 may forget
// that it has been written to, after fsync has said that all is well.
//
// Below scarce nothing more is taken, so that the batches under way, the write-back of the log and the growth of the
// database find room without touching the reserve; from half as much again on it is. That is little on purpose: the disk of a
// small machine is the server's alone, and on a large one it is the operator's tools that should raise the alarm earlier.
const (
	reserve = 16 << 20
	scarce  = 32 << 20
)

// reserveAfter is how long a database must have been open: commands that soon close it do without.
const reserveAfter = time.Second

// checkpointFrames is from how many pages in the write-ahead log on it is written back into the database. That waits three
// times for the disk, and writes a page once however often it is in the log: with a quarter as many the log was written back
// four times as often, which nearly every hundredth message had to wait for.
const checkpointFrames = 4000

// room returns an error that wraps store.ErrFull when no more batches should be taken.
func (e *Engine) room() error {
	least := e.opts.scarce
	if e.low {
		least = least / 2 * 3
	}
	free, ok := freeBytes(e.dir)
	if e.low = ok && free < least; e.low {
		return fmt.Errorf("sqlite: %w: %d MiB are free on the disk with %s, at least %d MiB should be",
			store.ErrFull, free>>20, e.dir, least>>20)
	}
	if time.Since(e.opened) < e.opts.reserveAfter || e.opts.Unsafe { // to reserve is to wait for the disk
		return nil
	}
	err := e.reserve()
	switch e.low = err != nil; {
	case err == nil:
		return nil
	case isFull(err):
		return fmt.Errorf("sqlite: %w: no room is left to be reserved: %v", store.ErrFull, err)
	}
	return failed(e.dir, err)
}

// reserve makes the file of the log longer, when it is not much longer than the log. SQLite takes what follows its log
// in the file for what is left of an older one.
func (e *Engine) reserve() error {
	wal, err := os.OpenFile(e.path+"-wal", os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no log yet
	}
	if err != nil {
		return err
	}
	defer wal.Close()
	info, err := wal.Stat()
	if err != nil {
		return err
	}
	frames, err := e.frames()
	used := 32 + frames*(24+pageSize)
	if err != nil || info.Size() >= used+reserve/2 {
		return err
	}
	zeros := make([]byte, 1<<20)
	for at := info.Size(); at < used+reserve; at += int64(len(zeros)) {
		if _, err := wal.WriteAt(zeros, at); err != nil {
			return err
		}
	}
	return wal.Sync()
}

// alive returns an error, and lets nothing be written any more, when the file system has given up. ext4 does so from one
// moment to the next, and an fsync of that moment can say that all is well although what it was to keep is lost. It refuses
// to open a file from then on.
func (e *Engine) alive() error {
	wal, err := os.OpenFile(e.path+"-wal", os.O_RDWR, 0)
	if err != nil {
		e.broken = true
		return failed(e.dir, err)
	}
	return wal.Close()
}

// frames is how many pages are in the log.
func (e *Engine) frames() (n int64, err error) {
	err = e.ws.frames.rows(func(row []dv) bool { n = number(row[1]); return false })
	return n, err
}

// checkpoint writes the log back into the database when it has become long enough. SQLite would do that by itself at
// a commit, but not say when the disk fails; written back once more, the pages would then count as safe.
func (e *Engine) checkpoint(least int64) error {
	if frames, err := e.frames(); err != nil || frames < least {
		return err
	}
	return e.ws.writeBack.rows(func([]dv) bool { return false })
}

// tendLog is the part of Tend that looks after the disk.
func (e *Engine) tendLog() error {
	err := e.room()
	if err == nil {
		err = e.wrap("write the log back", e.checkpoint(checkpointFrames))
	}
	if err != nil && !errors.Is(err, store.ErrFull) {
		e.broken = true
	}
	return err
}
