package sqlite

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"parley/store"
)

// A sentence is an error for the person who runs the server: what, why and what to do, in one sentence.
type sentence struct {
	text string
	is   error // one of store's
}

func (s *sentence) Error() string { return s.text }
func (s *sentence) Unwrap() error { return s.is }

func damaged(path, dir string, why any) error {
	return &sentence{fmt.Sprintf("the database %s is damaged (%v): stop the server and restore a backup of the data directory %s",
		path, why, dir), store.ErrCorrupt}
}

func foreign(path, dir string) error {
	return &sentence{fmt.Sprintf("the file %s is not a database of Parley, or its beginning is damaged; nothing was changed: "+
		"choose another data directory, or restore a backup of %s", path, dir), store.ErrForeign}
}

func newer(path string, has, knows int64) error {
	return &sentence{fmt.Sprintf("the database %s was written by a newer version of Parley (its format is %d, this version knows "+
		"up to %d); nothing was changed: install the newer version again", path, has, knows), store.ErrNewer}
}

func inUse(dir, pid string) error {
	by := "another process"
	if pid != "" {
		by = "process " + pid
	}
	return &sentence{fmt.Sprintf("the data directory %s is in use by %s: stop it first, or choose another directory",
		dir, by), store.ErrInUse}
}

// failed words an error of a write, an fsync or a read that the disk did not carry out.
func failed(dir string, err error) error {
	if readOnly(dir) {
		return &sentence{fmt.Sprintf("the disk with %s has become read-only: %v; what was accepted is kept", dir, err), store.ErrDisk}
	}
	return &sentence{fmt.Sprintf("the disk with %s has failed: %v; what was accepted is kept", dir, err), store.ErrDisk}
}

// readOnly tells whether nothing can be written on the file system of dir. Its flags do not always say so.
func readOnly(dir string) bool {
	return errors.Is(os.Chtimes(dir, time.Time{}, time.Now()), syscall.EROFS)
}

// wrap gives an error of SQLite its meaning for the store: try again, damaged, or just broken.
func (e *Engine) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	var said *sentence
	if errors.As(err, &said) {
		return said
	}
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return fmt.Errorf("sqlite: %s: %w", doing, err)
	}
	switch code := se.Code(); {
	// Growing the index of the write-ahead log on a full disk has a code of its own.
	case code&0xff == lib.SQLITE_FULL, code == lib.SQLITE_IOERR_SHMSIZE,
		code&0xff == lib.SQLITE_BUSY, code&0xff == lib.SQLITE_PROTOCOL:
		return fmt.Errorf("sqlite: %s: %w (%v)", doing, store.ErrFull, err)
	case code&0xff == lib.SQLITE_CORRUPT, code&0xff == lib.SQLITE_NOTADB:
		return damaged(e.path, e.dir, err)
	case code&0xff == lib.SQLITE_IOERR, code&0xff == lib.SQLITE_READONLY:
		return failed(e.dir, err)
	}
	return fmt.Errorf("sqlite: %s: %w", doing, err)
}
