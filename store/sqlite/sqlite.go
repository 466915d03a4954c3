// Package sqlite keeps a store in one SQLite file.
//
// Entries go into one table in commit order, so that a batch is a few pages at the end of the file however many owners
// it touches. The index by owner is folded in later, in slices between the commits; until then it is in memory, and a
// restart reads the end of the log again. Against a table keyed by owner and id that writes a tenth of the bytes.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"parley/store"
)

// LibraryVersion is the version of SQLite that is in the program.
const LibraryVersion = sqlite3.SQLITE_VERSION

// FileName is the name of the database in the data directory. SQLite keeps two more files beside it (-wal and -shm).
// LockName is that of the file that is locked while a process uses the directory.
const (
	FileName = "parley.db"
	LockName = "lock"
)

const pageSize = 4096

// Options are the settings of an Engine; the zero value is what a server wants.
type Options struct {
	Cache  int64        // bytes of pages kept in memory, at most; 0 is 48 MiB
	Logger *slog.Logger // nil discards
	Used   bool         // the directory has been in use for long: an empty database in it has lost what it held

	// Unsafe commits without waiting for the disk (synchronous=NORMAL), so that a power cut loses what was accepted. It
	// exists for the test that proves that the power-cut test can fail. Nothing but tests may set it.
	Unsafe bool

	foldAt    int // rows without an index before they are folded
	foldSlice int // owners folded in one transaction

	scarce       int64         // bytes that must be free, see room
	reserveAfter time.Duration // how long it must have been open before room is reserved
}

// Engine is a store.Engine over one SQLite file. One process at a time has a data directory.
type Engine struct {
	// fixed
	dir, path string
	opts      Options
	log       *slog.Logger
	opened    time.Time
	lock      *os.File
	readers   chan *reader // those that are idle; all of them after Open

	tail tail

	wmu sync.Mutex
	// guarded by wmu
	w      *conn
	ws     writerStmts
	seq    int64 // the last one given
	fresh  []tailRow
	sums   summer
	vals   []dv                 // memory for the rows of one statement
	folds  *folding             // a fold that has begun, or nil
	sweeps map[store.Owner]bool // owners with rows to be swept up
	waits  map[store.Owner]bool // the same, but not before the next fold
	low    bool                 // there is too little room on the disk
	broken bool                 // a write went wrong for good: nothing more is written
	closed bool
}

// Open opens the database in the data directory dir, which is made if need be (0700, the file 0600), and takes dir for
// this process. Errors that people can do something about say it in one sentence and wrap store.ErrInUse,
// store.ErrCorrupt, store.ErrForeign, store.ErrNewer, store.ErrFull or store.ErrDisk; the file is left as it was then.
func Open(dir string, o Options) (_ *Engine, err error) {
	if o.Cache <= 0 {
		o.Cache = 48 << 20
	}
	if o.foldAt <= 0 {
		o.foldAt = 100_000 // a fifth of it makes a quarter more work; a start after a crash reads so many rows in 0.2 to 0.4 s
	}
	if o.foldSlice <= 0 {
		o.foldSlice = 50
	}
	if o.scarce <= 0 {
		o.scarce = scarce
	}
	if o.reserveAfter <= 0 {
		o.reserveAfter = reserveAfter
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("sqlite: open: %w", err)
	}
	e := &Engine{
		dir: dir, path: filepath.Join(dir, FileName), opts: o, log: o.Logger, opened: time.Now(),
		sweeps: make(map[store.Owner]bool), waits: make(map[store.Owner]bool),
	}
	e.tail.init()
	defer func() {
		if err != nil {
			e.release()
		}
	}()
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("sqlite: make the data directory: %w", err)
	}
	if e.lock, err = lockDir(dir); err != nil {
		return nil, err
	}
	if err := checkFile(e.path, dir, int64(len(migrations())), o.Used); err != nil {
		return nil, err
	}
	if err := e.openWriter(); err != nil {
		return nil, err
	}
	if err := e.load(); err != nil {
		return nil, err
	}
	return e, e.openReaders()
}

func (e *Engine) openWriter() (err error) {
	if e.w, err = dial(e.path, e.pragmas(e.opts.Cache/2)...); err != nil {
		return e.wrap("open "+e.path, err)
	}
	v, err := e.w.value("SELECT sqlite_version()")
	if err != nil {
		return e.wrap("read the version of SQLite", err)
	}
	if s, _ := v.(string); !atLeast(s, 3, 51, 3) {
		return fmt.Errorf("sqlite: this program was built with SQLite %s, which can lose what was committed: "+
			"it needs 3.51.3 or newer", s)
	}
	// The first thing that reads the file: a damaged one is found before anything is changed.
	if _, err := e.w.value("SELECT count(*) FROM sqlite_schema"); err != nil {
		return e.wrap("read the schema", err)
	}
	for _, p := range []string{"journal_mode = WAL", "synchronous = " + e.sync(), "wal_autocheckpoint = 0",
		"journal_size_limit = 67108864", "secure_delete = ON"} {
		if err := e.w.exec("PRAGMA " + p); err != nil {
			return e.wrap("set "+p, err)
		}
	}
	if mode, err := e.w.value("PRAGMA journal_mode"); err != nil || mode != dv("wal") {
		return e.wrap("open "+e.path, errors.Join(err, fmt.Errorf("the file system cannot keep a write-ahead log (%v)", mode)))
	}
	if err := e.migrate(migrations()); err != nil {
		return err
	}
	if err := e.ws.prepare(e.w); err != nil {
		return e.wrap("prepare", err)
	}
	// After a failed fsync the log that is read here can be in the memory of the system alone, which believes it to be on
	// the disk. Nothing may rest on it before it was written once more.
	if err := e.wrap("write the log back", e.checkpoint(1)); err != nil && !errors.Is(err, store.ErrFull) {
		return err
	}
	return nil
}

// sync is SQLite's word for how safe a commit is.
func (e *Engine) sync() string {
	if e.opts.Unsafe {
		return "NORMAL"
	}
	return "FULL"
}

// pragmas are those of every connection. What a conn shall cache is stated in bytes; SQLite takes KiB, negative.
func (e *Engine) pragmas(cache int64) []string {
	return []string{
		"page_size = " + strconv.Itoa(pageSize), "busy_timeout = 100", "mmap_size = 0", "cell_size_check = ON",
		"trusted_schema = OFF", "foreign_keys = OFF", "temp_store = MEMORY",
		"cache_size = -" + strconv.FormatInt(max(cache>>10, 256), 10),
	}
}

func (e *Engine) openReaders() error {
	n := max(4, runtime.GOMAXPROCS(0))
	e.readers = make(chan *reader, n)
	for range n {
		c, err := dial(e.path, append(e.pragmas(e.opts.Cache/2/int64(n)), "query_only = ON", "wal_autocheckpoint = 0")...)
		if err != nil {
			return e.wrap("open "+e.path, err)
		}
		r := &reader{conn: c}
		e.readers <- r
		if err := r.prepare(); err != nil {
			return e.wrap("prepare", err)
		}
	}
	return nil
}

// load reads what the engine keeps in memory: the rows that have no index yet, and what is to be swept.
func (e *Engine) load() error {
	folded, err := e.w.number("SELECT seq FROM folded")
	if err != nil {
		return e.wrap("read the watermark", err)
	}
	sum, err := e.w.number("SELECT sum FROM folded")
	if err != nil {
		return e.wrap("read the watermark", err)
	}
	if folded != 0 && sum != sumWatermark(folded) || folded < 0 {
		return damaged(e.path, e.dir, "the watermark of the index fails its check")
	}
	if e.seq, err = e.w.number("SELECT max(seq) FROM log"); err != nil {
		return e.wrap("read the end of the log", err)
	}
	// Rows up to the watermark may have been swept; their places are not given again.
	e.seq = max(e.seq, folded)
	s, err := e.w.prepare("SELECT seq, owner, id, peer FROM log WHERE seq > ? ORDER BY seq")
	if err != nil {
		return e.wrap("read the end of the log", err)
	}
	defer s.close()
	var rows []tailRow
	err = s.rows(func(row []dv) bool {
		rows = append(rows, tailRow{
			owner: store.Owner(number(row[1])), id: store.ID(number(row[2])),
			ref: ref{number(row[0]), hashPeer(text(row[3]))},
		})
		return true
	}, folded)
	if err != nil {
		return e.wrap("read the end of the log", err)
	}
	if err := e.tail.add(rows); err != nil {
		return damaged(e.path, e.dir, err)
	}
	due, err := e.w.prepare("SELECT owner FROM trim INDEXED BY trim_due WHERE swept < floor")
	if err != nil {
		return e.wrap("read what is trimmed", err)
	}
	defer due.close()
	return e.wrap("read what is trimmed", due.rows(func(row []dv) bool {
		e.sweeps[store.Owner(number(row[0]))] = true
		return true
	}))
}

// Close implements store.Engine: it folds what has no index, writes the log back into the file and lets the directory
// go. After a write that went wrong for good it leaves everything as it is, for the end of the process to clear up.
func (e *Engine) Close() error {
	e.wmu.Lock()
	defer e.wmu.Unlock()
	if e.closed || e.broken {
		return nil
	}
	e.closed = true
	var err error
	for more := true; more && err == nil; {
		more, err = e.foldSlice(1)
	}
	if errors.Is(err, store.ErrFull) { // the next start reads the tail again
		err = nil
	}
	return errors.Join(err, e.release())
}

// release closes everything that is open; reads that have begun may end first.
func (e *Engine) release() error {
	var err error
	if e.closed { // all readers come back; else Open failed, and only some were made
		for range cap(e.readers) {
			err = errors.Join(err, (<-e.readers).close())
		}
		close(e.readers)
	}
	for range len(e.readers) {
		err = errors.Join(err, (<-e.readers).close())
	}
	err = errors.Join(err, e.w.close()) // the last connection also writes the log back
	if e.lock != nil {
		err = errors.Join(err, e.lock.Close())
	}
	if err != nil {
		return fmt.Errorf("sqlite: close: %w", err)
	}
	return nil
}

// Check looks through the whole database for damage, which takes about a minute for 10 GB, beside the normal work. The
// error for a damaged one wraps store.ErrCorrupt.
func (e *Engine) Check(ctx context.Context) error {
	r, err := e.acquire(ctx)
	if err != nil {
		return err
	}
	defer e.giveBack(r)
	s, err := r.conn.prepare("PRAGMA quick_check(1)")
	if err != nil {
		return e.wrap("check", err)
	}
	var v dv
	if err := errors.Join(s.query(ctx, func(row []dv) bool { v = row[0]; return false }), s.close()); err != nil {
		return e.wrap("check", err)
	}
	if v != dv("ok") {
		return damaged(e.path, e.dir, v)
	}
	return nil
}

// atLeast compares a version like 3.51.3.
func atLeast(version string, least ...int) bool {
	parts := strings.Split(version, ".")
	for i, want := range least {
		if i >= len(parts) {
			return false
		}
		has, err := strconv.Atoi(parts[i])
		if err != nil || has < want {
			return false
		}
		if has > want {
			return true
		}
	}
	return true
}
