package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"parley/store"
)

func open(t testing.TB, dir string, o Options) *Engine {
	t.Helper()
	e, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

// refused opens dir, expects that error in one sentence that names file, and that nothing in dir has changed.
func refused(t *testing.T, dir string, want error, file string) {
	t.Helper()
	before := contents(t, dir)
	_, err := Open(dir, Options{})
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	said := err.Error()
	if !strings.Contains(said, file) || strings.Contains(said, "\n") || strings.HasPrefix(said, "sqlite:") {
		t.Errorf("not a sentence about %s: %s", file, said)
	}
	for name, was := range before {
		if is := contents(t, dir)[name]; is != was && name != "lock" {
			t.Errorf("%s was changed", name)
		}
	}
	t.Log(said)
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

func TestOpenMakesDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "a b?c%20d#")
	e := open(t, dir, Options{})
	if err := e.Commit([]store.Op{{Kind: store.OpSet, Key: "k", Value: []byte("v")}}); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for name, want := range map[string]fs.FileMode{"": 0o700, "lock": 0o600, FileName: 0o600, FileName + "-wal": 0o600, FileName + "-shm": 0o600} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%q: %v, %v; want %v", name, st.Mode().Perm(), err, want)
		}
	}
}

func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	e := open(t, dir, Options{})
	_, err := Open(dir, Options{})
	if !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Fatalf("second open: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir, Options{})
}

func TestOpenNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "dir"), Options{}); err == nil {
		t.Fatal("opened below a file")
	}
}

func TestOpenForeign(t *testing.T) {
	write := func(t *testing.T, name string, content []byte) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	for name, content := range map[string][]byte{
		"text": []byte("dear diary"), "zeros": make([]byte, 8192), "long text": []byte(strings.Repeat("dear diary ", 1000)),
		"header only": []byte(headerMagic),
	} {
		t.Run(name, func(t *testing.T) { refused(t, write(t, FileName, content), store.ErrForeign, FileName) })
	}
	t.Run("another program's", func(t *testing.T) {
		dir := write(t, FileName, nil)
		c, err := dial(filepath.Join(dir, FileName))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.exec("CREATE TABLE t (a); INSERT INTO t VALUES (1)"), c.close()); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, store.ErrForeign, FileName)
	})
	t.Run("empty", func(t *testing.T) { open(t, write(t, FileName, nil), Options{}) })
	t.Run("emptied", func(t *testing.T) {
		dir := write(t, FileName, nil)
		if _, err := Open(dir, Options{Used: true}); !errors.Is(err, store.ErrCorrupt) {
			t.Errorf("an empty file where there was a database: %v", err)
		}
	})
	t.Run("wal without file", func(t *testing.T) {
		refused(t, write(t, FileName+"-wal", []byte("something")), store.ErrCorrupt, FileName)
	})
	t.Run("wal with empty file", func(t *testing.T) {
		dir := write(t, FileName+"-wal", []byte("something"))
		if err := os.WriteFile(filepath.Join(dir, FileName), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, store.ErrCorrupt, FileName)
	})
}

// made returns a directory with a database, closed.
func made(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	e := open(t, dir, Options{})
	fill(t, e, 300)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if all := contents(t, dir); len(all) != 2 { // the file and the lock: everything was written back
		t.Fatalf("%d files after Close", len(all))
	}
	return dir
}

// fill commits n entries for three owners and some values.
func fill(t testing.TB, e *Engine, n int) {
	t.Helper()
	var ops []store.Op
	for i := range n {
		o := store.Owner(i % 3)
		ops = append(ops, store.Op{Kind: store.OpAppend, Owner: o, Entry: store.Entry{ID: store.ID(i/3 + 1),
			Peer: fmt.Sprintf("peer%d@example.org", i%5), Body: fmt.Appendf(nil, "<body of='%d' number='%d'/>", o, i/3+1)}})
		if i%10 == 0 {
			ops = append(ops, store.Op{Kind: store.OpSet, Owner: o, Key: fmt.Sprint("key", i/10), Value: fmt.Append(nil, "value", i/10)})
		}
	}
	if err := e.Commit(ops); err != nil {
		t.Fatal(err)
	}
}

func TestOpenNewer(t *testing.T) {
	for _, how := range []string{"in the file", "in the log"} {
		t.Run(how, func(t *testing.T) {
			dir := made(t)
			c, err := dial(filepath.Join(dir, FileName))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.exec("PRAGMA user_version = 99"); err != nil {
				t.Fatal(err)
			}
			if how == "in the log" {
				other := t.TempDir()
				for name, content := range contents(t, dir) {
					if err := os.WriteFile(filepath.Join(other, name), []byte(content), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				dir = other
			}
			if err := c.close(); err != nil {
				t.Fatal(err)
			}
			if how == "in the log" { // opening reads the log back into the file, nothing else
				if _, err := Open(dir, Options{}); !errors.Is(err, store.ErrNewer) {
					t.Fatal(err)
				}
			}
			refused(t, dir, store.ErrNewer, FileName)
		})
	}
}

func TestMigrations(t *testing.T) {
	dir := made(t)
	e := open(t, dir, Options{})
	formats := Format()
	list := append(migrations(), "CREATE TABLE more (a)", "INSERT INTO more VALUES (1)")
	e.wmu.Lock()
	defer e.wmu.Unlock()
	bad := append(list[:formats+1:formats+1], "INSERT INTO more VALUES (1); INSERT INTO nowhere VALUES (1)")
	if err := e.migrate(bad); err == nil {
		t.Fatal("a migration that fails went through")
	}
	if n, _ := e.w.number("PRAGMA user_version"); n != int64(formats)+1 {
		t.Fatalf("format %d after a migration that failed, want %d", n, formats+1)
	}
	if n, _ := e.w.number("SELECT count(*) FROM more"); n != 0 {
		t.Fatal("half a migration stayed")
	}
	if err := e.migrate(list); err != nil {
		t.Fatal(err)
	}
	if n, _ := e.w.number("SELECT count(*) FROM more"); n != 1 {
		t.Fatal("a migration is missing")
	}
	if err := e.migrate(list); err != nil {
		t.Fatal(err)
	}
	if err := e.migrate(migrations()); !errors.Is(err, store.ErrNewer) {
		t.Fatalf("older program: %v", err)
	}
}

// TestFormat1: the entries of the first format are read as they are.
func TestFormat1(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := dial(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.exec(migrations()[0]), c.exec(fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = 1; "+
		"INSERT INTO log (seq, owner, id, stamp, peer, sent, body, sum) VALUES (1, 7, 1, 1000, 'bob@example.org', 1, CAST('<message/>' AS BLOB), %d)",
		applicationID, 609244700)), c.close()); err != nil {
		t.Fatal(err)
	}
	e := open(t, dir, Options{})
	page, _, err := e.Range(t.Context(), 7, store.Query{Before: 2, Limit: 10})
	want := store.Entry{ID: 1, Time: time.Unix(0, 1000).UTC(), Peer: "bob@example.org", Sent: true, Body: []byte("<message/>")}
	if err != nil || len(page) != 1 || !reflect.DeepEqual(page[0], want) {
		t.Errorf("read %+v, %v", page, err)
	}
}

func TestSettings(t *testing.T) {
	e := open(t, t.TempDir(), Options{})
	check := func(c *conn, want map[string]int64) {
		t.Helper()
		for pragma, n := range want {
			if is, err := c.number("PRAGMA " + pragma); err != nil || is != n {
				t.Errorf("%s is %d, %v; want %d", pragma, is, err, n)
			}
		}
	}
	check(e.w, map[string]int64{"synchronous": 2, "wal_autocheckpoint": 0, "mmap_size": 0, "cell_size_check": 1, "trusted_schema": 0,
		"cache_size": -(24 << 10), "page_size": pageSize, "secure_delete": 1})
	r, err := e.acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	check(r.conn, map[string]int64{"query_only": 1, "mmap_size": 0, "cell_size_check": 1, "trusted_schema": 0})
	e.giveBack(r)
	if err := e.Check(context.Background()); err != nil {
		t.Error(err)
	}
	for v, ok := range map[string]bool{"3.51.3": true, "3.51.2": false, "3.54.1": true, "4.0.0": true, "3.9.99": false, "3.51": false,
		"": false, "x": false} {
		if atLeast(v, 3, 51, 3) != ok {
			t.Errorf("version %q: %v", v, !ok)
		}
	}
}

func TestTruncated(t *testing.T) {
	dir := made(t)
	path := filepath.Join(dir, FileName)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int64{st.Size() - pageSize, st.Size() / 2, 3 * pageSize, pageSize, pageSize / 2} {
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, store.ErrCorrupt, FileName)
	}
}

// TestBitFlips flips one bit at a time and reads everything: what is read is right, or it is missing and that is said.
func TestBitFlips(t *testing.T) {
	dir := made(t)
	good := contents(t, dir)[FileName]
	runs := 60
	if os.Getenv("PARLEY_LONG") != "" {
		runs = 5000
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	count := make(map[string]int)
	for range runs {
		bad := []byte(good)
		at := rnd.IntN(len(bad))
		bad[at] ^= 1 << rnd.IntN(8)
		if err := os.WriteFile(filepath.Join(dir, FileName), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		os.Remove(filepath.Join(dir, FileName+"-wal"))
		count[readAll(t, dir, at)]++
	}
	t.Log(count)
}

func readAll(t *testing.T, dir string, at int) (result string) {
	var said strings.Builder
	e, err := Open(dir, Options{Logger: slog.New(slog.NewTextHandler(&said, nil))})
	if err != nil {
		return "refused"
	}
	defer e.Close()
	ctx := context.Background()
	for o := range store.Owner(3) {
		last, _, err := e.Head(ctx, o)
		if err != nil {
			return "read error"
		}
		if last > 100 {
			t.Errorf("byte %d: %d entries", at, last)
		}
		var entries []store.Entry
		for more, after := true, store.ID(0); more; {
			var page []store.Entry
			page, more, err = e.Range(ctx, o, store.Query{After: after, Before: last + 1, Limit: 64})
			if err != nil {
				return "read error"
			}
			entries = append(entries, page...)
			if more {
				after = page[len(page)-1].ID
			}
		}
		for _, n := range entries {
			if string(n.Body) != fmt.Sprintf("<body of='%d' number='%d'/>", o, n.ID) ||
				n.Peer != fmt.Sprintf("peer%d@example.org", ((int(n.ID)-1)*3+int(o))%5) {
				t.Errorf("byte %d: owner %d: altered entry %+v", at, o, n)
			}
		}
		if len(entries) < int(last) && !strings.Contains(said.String(), "withheld") {
			t.Errorf("byte %d: owner %d: %d entries are missing and nothing was said", at, o, int(last)-len(entries))
		}
		pairs, err := e.All(ctx, o, "", "", 1000)
		if err != nil {
			return "read error"
		}
		for _, p := range pairs {
			if string(p.Value) != "value"+strings.TrimPrefix(p.Key, "key") {
				t.Errorf("byte %d: altered value %s=%s", at, p.Key, p.Value)
			}
		}
	}
	if said.Len() > 0 {
		return "withheld"
	}
	return "unharmed"
}
