package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"parley/store"
)

// A Snapshot is the database as of one moment, for a backup. Nobody waits for it: while it is open, writers go on, but
// what they write stays in the write-ahead log, which grows. It has a connection of its own; one goroutine at a time.
type Snapshot struct {
	e    *Engine
	c    *conn
	lock *os.File // nil: the engine has the directory
	size int64
}

// Snapshot keeps the present state of the database: all that was committed before the call. It must be closed before
// the engine is.
func (e *Engine) Snapshot() (*Snapshot, error) {
	s := &Snapshot{e: e}
	if err := s.begin(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenSnapshot is Snapshot for a database that no process has open; it takes dir for as long. Nothing is changed, the
// format neither. Errors are those of Open, and fs.ErrNotExist when there is no database.
func OpenSnapshot(dir string) (*Snapshot, error) {
	path := filepath.Join(dir, FileName)
	s := &Snapshot{e: &Engine{dir: dir, path: path}}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("sqlite: look for the database: %w", err)
	}
	var err error
	if s.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err = checkFile(path, dir, int64(Format()), true); err == nil {
		err = s.begin()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Snapshot) begin() (err error) {
	if s.c, err = dial(s.e.path, append(s.e.pragmas(1<<20), "query_only = ON", "wal_autocheckpoint = 0")...); err != nil {
		return s.e.wrap("open "+s.e.path, err)
	}
	// The moment is that of the first read in the transaction.
	if err = s.c.exec("BEGIN"); err == nil {
		s.size, err = s.c.number("SELECT count(*) FROM sqlite_schema")
	}
	if err == nil {
		s.size, err = s.c.number("PRAGMA page_count")
	}
	s.size *= pageSize
	return s.e.wrap("keep a moment of the database", err)
}

// Close lets the moment go.
func (s *Snapshot) Close() error {
	err := s.c.close()
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	if err != nil {
		return fmt.Errorf("sqlite: close: %w", err)
	}
	return nil
}

// Size is how many bytes Copy writes.
func (s *Snapshot) Size() int64 { return s.size }

// Format is the number of the database's format.
func (s *Snapshot) Format() (int, error) {
	n, err := s.c.number("PRAGMA user_version")
	return int(n), s.e.wrap("read the format", err)
}

// Get returns one of the server's own values, or store.ErrNotFound.
func (s *Snapshot) Get(key string) ([]byte, error) {
	q, err := s.c.prepare("SELECT value, sum FROM kv WHERE owner = 0 AND key = ?")
	if err != nil {
		return nil, s.e.wrap("read a value", err)
	}
	var value []byte
	var bad error
	err = q.rows(func(row []dv) bool {
		value = blob(row[0])
		bad = s.e.checkValue(0, key, value, row[1])
		return false
	}, key)
	switch err = errors.Join(err, q.close()); {
	case err != nil:
		return nil, s.e.wrap("read a value", err)
	case bad != nil:
		return nil, bad
	case value == nil:
		return nil, store.ErrNotFound
	}
	return value, nil
}

// Count is how many of the server's own values have keys that begin with prefix, which is ASCII.
func (s *Snapshot) Count(prefix string) (n int64, err error) {
	q, err := s.c.prepare("SELECT count(*) FROM kv WHERE owner = 0 AND key >= ? AND key < ?")
	if err != nil {
		return 0, s.e.wrap("count values", err)
	}
	last := len(prefix) - 1
	err = q.rows(func(row []dv) bool { n = number(row[0]); return false }, prefix, prefix[:last]+string(prefix[last]+1))
	return n, s.e.wrap("count values", errors.Join(err, q.close()))
}

// Entries is how many entries all Logs have.
func (s *Snapshot) Entries() (n int64, err error) {
	heads, err := s.c.heads()
	for _, h := range heads {
		n += int64(h.Last - h.Floor)
	}
	return n, s.e.wrap("count entries", err)
}

// Copy writes the database as a file has it, without a write-ahead log, page by page. Its errors are SQLite's, w's as
// they are, and ctx's.
func (s *Snapshot) Copy(ctx context.Context, w io.Writer) error {
	q, err := s.c.prepare("SELECT data FROM sqlite_dbpage('main') ORDER BY pgno")
	if err != nil {
		return s.e.wrap("copy the database", err)
	}
	var n int64
	var failed error
	err = q.query(ctx, func(row []dv) bool {
		page := blob(row[0])
		n += int64(len(page))
		_, failed = w.Write(page)
		return failed == nil
	})
	err = errors.Join(err, q.close())
	switch {
	case failed != nil:
		return failed
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil && n != s.size:
		return damaged(s.e.path, s.e.dir, fmt.Sprintf("%d bytes of it are there, not %d", n, s.size))
	}
	return s.e.wrap("copy the database", err)
}

// Heads returns where the Logs of all owners stand that have ever had an entry whose row is still there.
func (e *Engine) Heads() ([]store.Head, error) {
	e.wmu.Lock()
	defer e.wmu.Unlock()
	heads, err := e.w.heads()
	return heads, e.wrap("read the ends of the logs", err)
}

// heads reads the ends of all Logs: the index, which is a hundredth of the database, and the rows that have none yet.
func (c *conn) heads() (heads []store.Head, err error) {
	q, err := c.prepare(`SELECT ends.owner, max(ends.last, coalesce(trim.floor, 0)), coalesce(trim.floor, 0) FROM (
		SELECT owner, max(last) AS last FROM (
			SELECT owner, first + n - 1 AS last FROM fold UNION ALL
			SELECT owner, id FROM log WHERE seq > (SELECT seq FROM folded))
		GROUP BY owner) AS ends LEFT JOIN trim USING (owner) ORDER BY ends.owner`)
	if err != nil {
		return nil, err
	}
	err = q.rows(func(row []dv) bool {
		heads = append(heads, store.Head{Owner: store.Owner(number(row[0])), Last: store.ID(number(row[1])), Floor: store.ID(number(row[2]))})
		return true
	})
	return heads, errors.Join(err, q.close())
}
