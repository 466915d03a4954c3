package sqlite

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"parley/store"
	"parley/store/storetest"
)

func setup(o Options) storetest.Setup {
	return storetest.Setup{
		Open: func(t testing.TB, dir string) store.Engine {
			e, err := Open(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			return e
		},
		Full: func(t testing.TB, e store.Engine, full bool) { e.(*Engine).limit(t, full) },
	}
}

// limit lets the database grow by a few pages only, or by any number.
func (e *Engine) limit(t testing.TB, on bool) {
	t.Helper()
	e.wmu.Lock()
	defer e.wmu.Unlock()
	pragma := "PRAGMA max_page_count = 4294967294"
	if on {
		n, err := e.w.number("PRAGMA page_count")
		if err != nil {
			t.Fatal(err)
		}
		pragma = "PRAGMA max_page_count = " + strconv.FormatInt(n+20, 10)
	}
	if err := e.w.exec(pragma); err != nil {
		t.Fatal(err)
	}
}

func TestStore(t *testing.T) { storetest.Run(t, setup(Options{})) }

// TestStoreFolded folds all the time.
func TestStoreFolded(t *testing.T) { storetest.Run(t, setup(Options{foldAt: 7, foldSlice: 2})) }

func BenchmarkStore(b *testing.B) { storetest.Benchmark(b, setup(Options{})) }

// TestSmallDisk fills a real file system: PARLEY_SMALL_DISK names a directory on one of some 50 MB.
func TestSmallDisk(t *testing.T) {
	disk := os.Getenv("PARLEY_SMALL_DISK")
	if disk == "" {
		t.Skip("PARLEY_SMALL_DISK names no directory")
	}
	ballast := filepath.Join(disk, "ballast")
	defer os.Remove(ballast)
	storetest.RunFull(t, storetest.Setup{
		Open: func(t testing.TB, dir string) store.Engine {
			dir = filepath.Join(disk, filepath.Base(filepath.Dir(dir)))
			e, err := Open(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			return e
		},
		Full: func(t testing.TB, _ store.Engine, full bool) {
			if !full {
				os.Remove(ballast)
				return
			}
			f, err := os.Create(ballast)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			for size := 1 << 20; size > 1000; size /= 2 {
				for err = nil; err == nil; {
					_, err = f.Write(make([]byte, size))
				}
			}
		},
	})
}
