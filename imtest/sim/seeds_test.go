// Package sim runs a whole server with several clients inside one bubble of testing/synctest, over a network and a disk
// that fail as a seed says, and then checks what the server has promised: what was accepted is in both archives, once,
// in the order of its sender, under the id that everybody was shown, and everybody for whom it was has seen it.
//
// A seed decides what happens to the server, the disk, the network and every device, and when. The order in which
// goroutines run at the same moment is the scheduler's, so a seed that fails may have to be run a few times.
package sim

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"parley/imtest"
)

// seeds are those to run: one, when PARLEY_SEED names it.
func seeds(t *testing.T) (first, n uint64) {
	if text := os.Getenv("PARLEY_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("PARLEY_SEED=%s: %v", text, err)
		}
		return seed, 1
	}
	switch {
	case os.Getenv("PARLEY_LONG") != "":
		return 0, 5000
	case os.Getenv("CI") == "true":
		return 0, 500
	case testing.Short():
		return 0, 10
	}
	return 0, 50
}

// TestSeeds: whatever fails, the promises hold.
func TestSeeds(t *testing.T) {
	b := prepare(t)
	first, n := seeds(t)
	for seed := first; seed < first+n; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			if n > 1 {
				t.Parallel()
			}
			w := simulate(t, seed, b, plan{})
			if len(w.wrong) > 0 {
				t.Errorf("seed %d: %s\nrun it alone: PARLEY_SEED=%d go test ./imtest/sim -run TestSeeds", seed, w.report(), seed)
			}
		})
	}
}

// realTime is how long one seed may take outside the bubble. Whoever waits for a lock there stops its clock, which
// nobody else would notice.
const realTime = time.Minute

// simulate lives through one seed.
func simulate(t *testing.T, seed uint64, b base, p plan) *world {
	watch := time.AfterFunc(realTime, func() {
		stacks := make([]byte, 1<<20)
		panic(fmt.Sprintf("seed %d hangs: some lock is held while time passes\n%s", seed, stacks[:runtime.Stack(stacks, true)]))
	})
	defer watch.Stop()
	d, err := newDisk(b.batches)
	if err != nil {
		t.Fatal(err)
	}
	p.log = slog.New(slog.DiscardHandler)
	if os.Getenv("PARLEY_SEED") != "" {
		p.trace = true
		if testing.Verbose() {
			p.log = imtest.Logger(t)
		}
	}
	w := &world{plan: p, disk: d, keys: b.keys}
	defer func() {
		if e := recover(); e != nil { // synctest: goroutines are left, or all are waiting
			t.Fatalf("seed %d: %v\n%s", seed, e, w.report())
		}
	}()
	synctest.Test(t, func(*testing.T) { w.live(seed) })
	return w
}

// TestSeedsSeeLoss proves that TestSeeds can fail: of a server that shows what is not yet on its disk, some crash tells.
func TestSeedsSeeLoss(t *testing.T) {
	b := prepare(t)
	for seed := range uint64(20) {
		if w := simulate(t, seed, b, plan{unheld: true}); len(w.wrong) > 0 {
			t.Logf("seed %d: %d violations, for example: %s", seed, len(w.wrong), w.wrong[0])
			return
		}
	}
	t.Fatal("20 seeds, and nothing was lost")
}
