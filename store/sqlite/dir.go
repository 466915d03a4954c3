package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// makeDir makes dir and what is missing above it, all durably, readable by nobody else.
func makeDir(dir string) error {
	var missing []string
	for d := dir; ; d = filepath.Dir(d) {
		_, err := os.Stat(d)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			return err
		}
		missing = append(missing, d)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range missing {
		if err := syncDir(filepath.Dir(d)); err != nil {
			return err
		}
	}
	return nil
}

// lockDir takes the directory for this process alone, for as long as the file is open.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, LockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	if err := lockFile(f); err != nil {
		var pid [32]byte
		n, _ := f.Read(pid[:])
		f.Close()
		if errors.Is(err, errLocked) {
			return nil, inUse(dir, strings.TrimSpace(string(pid[:n])))
		}
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
	}
	// The number is for people; nothing depends on it.
	if f.Truncate(0) == nil {
		f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

// Lock takes dir, which is made if need be, for this process until unlock is called. The error for one that another
// process has wraps store.ErrInUse.
func Lock(dir string) (unlock func() error, err error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("sqlite: make the data directory: %w", err)
	}
	f, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	return f.Close, nil
}

var errLocked = errors.New("locked")

// Places in the header of an SQLite file (https://sqlite.org/fileformat.html §1.3), numbers big-endian.
const (
	headerMagic   = "SQLite format 3\x00"
	headerSize    = 100
	headerVersion = 60 // user_version
	headerAppID   = 68 // application_id
)

// applicationID marks a database as ours: "PRLY".
const applicationID = 0x50524c59

// checkFile looks at the database file without SQLite, which could change it, and makes it if there is none.
//
// It must not run while SQLite has the file open: closing any descriptor of it would drop the locks of the process.
func checkFile(path, dir string, knows int64, used bool) error {
	wal, err := os.Stat(path + "-wal")
	hasWAL := err == nil && wal.Size() > 0
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if hasWAL {
			return damaged(path, dir, "the file is missing, its -wal file is there")
		}
		return createFile(path, dir)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, headerSize)
	n, err := io.ReadFull(f, head)
	switch {
	case n == 0 && err == io.EOF && !hasWAL && used:
		return damaged(path, dir, "the file is empty")
	case n == 0 && err == io.EOF && !hasWAL:
		return nil // made, but never written to
	case n == 0 && err == io.EOF:
		return damaged(path, dir, "the file is empty, its -wal file is not")
	case err != nil && err != io.ErrUnexpectedEOF:
		return err
	case n < headerSize || !bytes.HasPrefix(head, []byte(headerMagic)):
		return foreign(path, dir)
	}
	if v := int64(int32(binary.BigEndian.Uint32(head[headerVersion:]))); v > knows {
		if binary.BigEndian.Uint32(head[headerAppID:]) == applicationID {
			return newer(path, v, knows)
		}
		return foreign(path, dir)
	}
	// The first page can be there without our mark only until the first migration is through (see migrate).
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if binary.BigEndian.Uint32(head[headerAppID:]) != applicationID && st.Size() > pageSize {
		return foreign(path, dir)
	}
	return nil
}

func createFile(path, dir string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(dir)
}
