package memory

import (
	"testing"

	"parley/store"
	"parley/store/storetest"
)

func setup() storetest.Setup {
	engines := make(map[string]*Engine)
	return storetest.Setup{Open: func(_ testing.TB, dir string) store.Engine {
		if engines[dir] == nil {
			engines[dir] = New()
		}
		return engines[dir]
	}}
}

func TestStore(t *testing.T) { storetest.Run(t, setup()) }

func BenchmarkStore(b *testing.B) { storetest.Benchmark(b, setup()) }
