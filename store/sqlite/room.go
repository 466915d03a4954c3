package sqlite

import (
	"errors"
	"fmt"
	"os"

	"parley/store"
)

// What the disk must have, in bytes.
//
// reserve is kept allocated behind the end of the write-ahead log: what has been taken already (4 MiB, see
// store.Options.MaxPending, with what SQLite needs around it) can be committed even after somebody else has used up all
// that was free. Without it that batch would wait for room, and with it every answer that was made from a read.
//
// Below scarce nothing more is taken, so that the batches under way, the write-back of the log and the growth of the
// database find room without touching the reserve; from ample on it is again. Both are small on purpose: the disk of a
// small machine is the server's alone, and on a large one it is the operator's tools that should raise the alarm earlier.
const (
	reserve = 16 << 20
	scarce  = 32 << 20
	ample   = 48 << 20
)

// checkpointFrames is from how many pages in the write-ahead log on it is written back into the database.
const checkpointFrames = 1000

// room returns an error that wraps store.ErrFull when no more batches should be taken.
func (e *Engine) room() error {
	least := e.opts.scarce
	if e.low {
		least = least / 2 * 3
	}
	free, ok := freeBytes(e.dir)
	err := e.reserve()
	e.low = ok && free < least || err != nil
	switch {
	case !e.low:
		return nil
	case err != nil:
		return fmt.Errorf("sqlite: %w (%w)", store.ErrFull, err)
	}
	return fmt.Errorf("sqlite: %w: %d MiB are free on the disk with %s, at least %d MiB should be",
		store.ErrFull, free>>20, e.dir, least>>20)
}

// reserve allocates what the log may need beyond its end. File systems that cannot do that do without.
func (e *Engine) reserve() error {
	wal, err := os.OpenFile(e.path+"-wal", os.O_RDWR, 0)
	if err != nil { // no log yet
		return nil
	}
	defer wal.Close()
	if err := allocate(wal, reserve); err != nil && isFull(err) {
		return fmt.Errorf("reserve room for the log: %w", err)
	}
	return nil
}

// checkpoint writes the log back into the database when it has become long enough. SQLite would do that by itself at
// a commit, but not say when the disk fails; written back once more, the pages would then count as safe.
func (e *Engine) checkpoint(least int64) error {
	var frames int64
	if err := e.ws.frames.rows(func(row []dv) bool { frames = number(row[1]); return false }); err != nil {
		return err
	}
	if frames < least {
		return nil
	}
	return e.ws.writeBack.rows(func([]dv) bool { return false })
}

// tendLog is the part of Tend that looks after the disk.
func (e *Engine) tendLog() error {
	if err := e.room(); err != nil {
		return err
	}
	err := e.wrap("write the log back", e.checkpoint(checkpointFrames))
	if err != nil && !errors.Is(err, store.ErrFull) {
		e.broken = true
	}
	return err
}
