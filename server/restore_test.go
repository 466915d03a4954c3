package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"parley/backup"
	"parley/config"
	"parley/store"
	"parley/store/sqlite"
)

// dataOf makes a data directory with accounts and a key.
func dataOf(t *testing.T, names ...string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "data")
	c := config.Default()
	c.Data, c.Auth.Iterations = dir, 4096
	db, err := openData(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := makeKey(filepath.Join(dir, certName), filepath.Join(dir, keyName), c.Domain); err != nil {
		t.Fatal(err)
	}
	own, done, err := OpenAdmin(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	addAccounts(t, own.Do, names...)
	if err := done(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// backupOf is the backup of a directory that nobody uses.
func backupOf(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := OwnBackup(t.Context(), dir, "0-test", &b, func(int64) {}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// accountsIn lists the accounts of a directory, and checks its database.
func accountsIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	c := config.Default()
	c.Data = dir
	db, err := openData(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Check(t.Context()), db.Close()); err != nil {
		t.Fatal(err)
	}
	own, done, err := OpenAdmin(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range listAccounts(t, own.Do) {
		names = append(names, a.Name)
	}
	if err := done(); err != nil {
		t.Fatal(err)
	}
	return names
}

// TestRestoreCut looks at the directory as it is after each step of a restore, which is how a kill or a power cut would
// leave it: it is no data directory, says so, and the same restore completes it; or it is complete.
func TestRestoreCut(t *testing.T) {
	file := backupOf(t, dataOf(t, "alice", "bob"))
	root := t.TempDir()
	dir := filepath.Join(root, "data")
	var steps []string
	r := &restore{step: func(name string) {
		steps = append(steps, name)
		if err := os.CopyFS(filepath.Join(root, fmt.Sprintf("%d-%s", len(steps), name)), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
	}}
	if err := r.run(t.Context(), bytes.NewReader(file), dir); err != nil {
		t.Fatal(err)
	}
	if want := []string{"stage", "unpack", "renew", certName, keyName, sqlite.FileName, "clean"}; !slices.Equal(steps, want) {
		t.Fatalf("the steps are %v, not %v", steps, want)
	}
	for i, step := range steps {
		cut := filepath.Join(root, fmt.Sprintf("%d-%s", i+1, step))
		complete := i >= slices.Index(steps, sqlite.FileName)
		if _, err := openData(cut, nil); !complete && !errors.Is(err, ErrCutOff) {
			t.Errorf("after %s it opens: %v", step, err)
		} else if complete && err != nil {
			t.Errorf("after %s: %v", step, err)
		}
		if !complete {
			if err := OwnBackup(t.Context(), cut, "", io.Discard, func(int64) {}); !errors.Is(err, ErrCutOff) {
				t.Errorf("after %s there is a backup of it: %v", step, err)
			}
			if err := Restore(t.Context(), bytes.NewReader(file), cut); err != nil {
				t.Errorf("after %s it cannot be restored: %v", step, err)
				continue
			}
		}
	}
	for i, step := range steps { // after the ones that were left open are in use no longer
		cut := filepath.Join(root, fmt.Sprintf("%d-%s", i+1, step))
		if i >= slices.Index(steps, sqlite.FileName) {
			continue
		}
		if got := accountsIn(t, cut); !slices.Equal(got, []string{"alice", "bob"}) {
			t.Errorf("after %s and again: %v", step, got)
		}
		checkRestored(t, cut)
	}
	checkRestored(t, dir)
}

// checkRestored checks what is in a directory after a restore, and who may read it.
func checkRestored(t *testing.T, dir string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
		if info, err := e.Info(); e.Name() != sqlite.LockName && (err != nil || info.Mode() != 0o600) { // the copy of that has another
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
	if want := []string{"lock", "parley.db", "tls.crt", "tls.key"}; !slices.Equal(names, want) {
		t.Errorf("in %s are %v, not %v", dir, names, want)
	}
}

// TestRestoreRefused: nothing of a restore that is refused or fails is left behind.
func TestRestoreRefused(t *testing.T) {
	data := dataOf(t, "alice")
	file := backupOf(t, data)
	damaged := bytes.Clone(file)
	damaged[len(damaged)/2] ^= 1
	rotten := rottenBackup(t)
	root := t.TempDir()
	for _, test := range []struct {
		name  string
		file  []byte
		files []string // that are in the directory before; nil: there is none
		is    error
	}{
		{"cut short", file[:len(file)/2], nil, backup.ErrDamaged},
		{"damaged", damaged, nil, backup.ErrDamaged},
		{"damaged, into an empty one", damaged, []string{}, backup.ErrDamaged},
		{"damaged, with a lock", damaged, []string{"lock"}, backup.ErrDamaged},
		{"no backup", []byte("hello"), nil, backup.ErrForeign},
		{"a bad database", rotten, nil, ErrOldDamage},
		{"not empty", file, []string{"notes.txt"}, ErrNotEmpty},
		{"a key", file, []string{"tls.key"}, ErrNotEmpty},
		{"another server's", file, []string{"lock", "parley.db"}, ErrNotEmpty},
	} {
		t.Run(test.name, func(t *testing.T) {
			top := filepath.Join(root, test.name)
			dir := filepath.Join(top, "data")
			if test.files != nil {
				if err := os.MkdirAll(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range test.files {
				if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := Restore(t.Context(), bytes.NewReader(test.file), dir); !errors.Is(err, test.is) {
				t.Errorf("%v, want %v", err, test.is)
			}
			if _, err := os.Stat(top); test.files == nil {
				if !errors.Is(err, os.ErrNotExist) {
					t.Errorf("left behind: %v", err)
				}
				return
			}
			left, err := os.ReadDir(dir)
			if err != nil || len(left) != len(test.files) {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
	lock, err := sqlite.Lock(data)
	if err != nil {
		t.Fatal(err)
	}
	defer lock()
	if err := Restore(t.Context(), bytes.NewReader(file), data); !errors.Is(err, store.ErrInUse) {
		t.Errorf("in use: %v", err)
	}
}

// rottenBackup is a backup with the right sums of a database with a damaged page.
func rottenBackup(t *testing.T) []byte {
	t.Helper()
	dir := dataOf(t, "alice")
	path := filepath.Join(dir, sqlite.FileName)
	db, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 2 * 4096; i < 3*4096; i++ {
		db[i] ^= 0x55
	}
	var b bytes.Buffer
	m := backup.Manifest{Format: backup.Format, Database: sqlite.Format()}
	if err := backup.Write(&b, m, []backup.Part{backup.Bytes(backup.Database, db)}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCheckBackupNewer(t *testing.T) {
	var b bytes.Buffer
	m := backup.Manifest{Format: backup.Format, Version: "9.9", Database: sqlite.Format() + 1}
	if err := backup.Write(&b, m, []backup.Part{backup.Bytes(backup.Database, []byte("x"))}); err != nil {
		t.Fatal(err)
	}
	if got, err := CheckBackup(&b); !errors.Is(err, backup.ErrNewer) || got.Version != "9.9" {
		t.Errorf("%+v, %v", got, err)
	}
}
