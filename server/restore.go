package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"parley/auth"
	"parley/backup"
	"parley/store"
	"parley/store/sqlite"
)

// stagingName is the directory, inside the data directory, in which a restore prepares everything. What is complete is
// then moved out of it, the database last: as long as that is not in its place, nobody takes the directory for data.
const stagingName = "restoring"

// Errors of Restore and of whoever opens a data directory.
var (
	// ErrNotEmpty says that a backup cannot be restored into a directory because something is in it.
	ErrNotEmpty = errors.New("the directory is not empty")
	// ErrCutOff says that a restore into a directory was cut off, so that it holds no data yet.
	ErrCutOff = errors.New("a restore was cut off")
	// ErrOldDamage says that a backup is what was written, and that the database was damaged already then.
	ErrOldDamage = errors.New("the database in the backup is damaged")
)

// cutOff returns ErrCutOff for a data directory that a restore has not completed.
func cutOff(dir string) error {
	_, staging := os.Lstat(filepath.Join(dir, stagingName))
	_, database := os.Lstat(filepath.Join(dir, sqlite.FileName))
	if staging == nil && errors.Is(database, fs.ErrNotExist) {
		return fmt.Errorf("server: open %s: %w", dir, ErrCutOff)
	}
	return nil
}

// CheckBackup reads a backup to its end. Errors are those of backup.Read, and backup.ErrNewer for a database that this
// program is too old for.
func CheckBackup(r io.Reader) (backup.Manifest, error) {
	m, err := backup.Read(r, nil)
	if err == nil && m.Database > sqlite.Format() {
		err = fmt.Errorf("server: restore: %w: the format of its database is %d, this version knows up to %d",
			backup.ErrNewer, m.Database, sqlite.Format())
	}
	return m, err
}

// A restore is on its way.
type restore struct {
	dir, staging string
	missing      []string // directories that were not there before, the innermost first
	hadLock      bool     // the directory's lock file was there before
	unlock       func() error
	hasKey       bool

	step func(name string) // for tests: called after each step
}

// Restore makes a data directory of a backup that CheckBackup has found good; r begins where that began. The directory
// must not be there or be empty; what an earlier restore left that was cut off is cleared away. Everything is durable
// when it returns; after an error nothing is left behind.
//
// The restored server goes on as another one: what it gives out from now on (archive ids, versions of rosters, numbers
// of accounts) is nothing that the old one can have given out since the backup, and all that was given out before stays
// good. Errors: ErrNotEmpty, ErrOldDamage, those of backup.Read and of sqlite.Open (store.ErrInUse).
func Restore(ctx context.Context, r io.Reader, dir string) error {
	return (&restore{step: func(string) {}}).run(ctx, r, dir)
}

func (s *restore) run(ctx context.Context, r io.Reader, dir string) (err error) {
	if s.dir, err = filepath.Abs(dir); err != nil {
		return fmt.Errorf("server: restore: %w", err)
	}
	s.staging = filepath.Join(s.dir, stagingName)
	if err := s.claim(); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.clear())
		}
		err = errors.Join(err, s.unlock())
	}()
	if err := s.stage(); err != nil {
		return err
	}
	s.step("stage")
	if err := s.unpack(ctx, r); err != nil {
		return err
	}
	s.step("unpack")
	if err := s.renew(ctx); err != nil {
		return err
	}
	s.step("renew")
	return s.moveOut()
}

// claim takes the directory, if a backup may be restored into it.
func (s *restore) claim() error {
	for d := s.dir; ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			break
		}
		s.missing = append(s.missing, d)
	}
	names, err := s.names()
	if err != nil {
		return err
	}
	s.hadLock = slices.Contains(names, sqlite.LockName)
	if !s.hadLock && !usable(names) { // with a lock, it may be in use, which is the better thing to say
		return fmt.Errorf("server: restore into %s: %w", s.dir, ErrNotEmpty)
	}
	if s.unlock, err = sqlite.Lock(s.dir); err != nil {
		return fmt.Errorf("server: restore: %w", err)
	}
	if names, err = s.names(); err == nil && !usable(names) {
		err = fmt.Errorf("server: restore into %s: %w", s.dir, ErrNotEmpty)
	}
	if err != nil {
		return errors.Join(err, s.unlock())
	}
	return nil
}

// stage makes the staging directory; what an earlier restore left there goes.
func (s *restore) stage() error {
	err := os.RemoveAll(s.staging)
	if err == nil {
		err = os.Mkdir(s.staging, 0o700)
	}
	if err == nil {
		err = syncDir(s.dir) // before anything else: from now on nobody takes the directory for an empty one
	}
	if err != nil {
		return fmt.Errorf("server: restore: %w", err)
	}
	return nil
}

// names are those in the directory.
func (s *restore) names() (names []string, err error) {
	list, err := os.ReadDir(s.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("server: restore: %w", err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names, nil
}

// usable tells whether a backup may be restored into a directory with these names in it: none, but for the lock, what a
// file system has at its root, and what a restore left that was cut off.
func usable(names []string) bool {
	none := []string{sqlite.LockName, "lost+found"}
	if slices.Contains(names, stagingName) {
		none = append(none, stagingName, certName, keyName)
	}
	return !slices.ContainsFunc(names, func(name string) bool { return !slices.Contains(none, name) })
}

// unpack writes the parts of the backup into the staging directory.
func (s *restore) unpack(ctx context.Context, r io.Reader) error {
	var files []*os.File
	_, err := backup.Read(backup.UntilDone(ctx, r), func(name string) (io.Writer, error) { // only names of parts
		f, err := os.OpenFile(filepath.Join(s.staging, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
		s.hasKey = s.hasKey || name == backup.Key
		return f, nil
	})
	for _, f := range files {
		if err == nil {
			err = f.Sync()
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return fmt.Errorf("server: restore: %w", err)
	}
	return nil
}

// renew checks the database and makes it one that goes on as another.
func (s *restore) renew(ctx context.Context) error {
	db, err := sqlite.Open(s.staging, sqlite.Options{Used: true})
	if err != nil {
		return fmt.Errorf("server: restore: %w", s.oldDamage(err))
	}
	err = db.Check(ctx)
	var heads []store.Head
	if err == nil {
		heads, err = db.Heads()
	}
	if err == nil {
		err = store.NewEpoch(ctx, db, heads)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("server: restore: %w", s.oldDamage(err)), db.Close())
	}
	st, done := quietStore(ctx, db)
	accounts, err := auth.Open(ctx, st, auth.Options{})
	if err == nil {
		err = accounts.Restored(ctx)
	}
	if err = errors.Join(err, done()); err != nil {
		return fmt.Errorf("server: restore: %w", s.oldDamage(err))
	}
	// Closed, the database is one file, and durable. SQLite does not say so when it could not make it one.
	if log, err := os.Stat(filepath.Join(s.staging, sqlite.FileName+"-wal")); err == nil && log.Size() > 0 {
		return fmt.Errorf("server: restore: write the log back into the database: %w", store.ErrFull)
	}
	return nil
}

// oldDamage says of damage that it is not new: the sums were right.
func (s *restore) oldDamage(err error) error {
	if errors.Is(err, store.ErrCorrupt) || errors.Is(err, store.ErrForeign) {
		return fmt.Errorf("%w: %v", ErrOldDamage, err)
	}
	return err
}

// moveOut puts what is ready in its place.
func (s *restore) moveOut() error {
	names := []string{sqlite.FileName}
	if s.hasKey {
		names = []string{certName, keyName, sqlite.FileName}
	}
	if err := likeDirectory(s.dir, s.staging, names); err != nil {
		return fmt.Errorf("server: restore: %w", err)
	}
	for i, name := range names {
		var err error
		if i == len(names)-1 { // nothing else may come later to the disk than the database
			err = errors.Join(syncDir(s.staging), syncDir(s.dir))
		}
		if err == nil {
			err = os.Rename(filepath.Join(s.staging, name), filepath.Join(s.dir, name))
		}
		if err != nil {
			return fmt.Errorf("server: restore: %w", err)
		}
		s.step(name)
	}
	if err := errors.Join(syncDir(s.dir), os.RemoveAll(s.staging), syncDir(s.dir)); err != nil {
		return fmt.Errorf("server: restore: %w", err)
	}
	s.step("clean")
	return nil
}

// clear removes all that the restore has made, and the directory if it was not there.
func (s *restore) clear() error {
	err := os.RemoveAll(s.staging)
	names := []string{certName, keyName, sqlite.FileName}
	if !s.hadLock {
		names = append(names, sqlite.LockName)
	}
	for _, name := range names {
		if e := os.Remove(filepath.Join(s.dir, name)); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	for _, d := range s.missing {
		err = errors.Join(err, os.Remove(d))
	}
	return err
}
