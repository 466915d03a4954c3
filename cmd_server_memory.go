package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// How often it is looked at memory, and at which of these looks whether some can be given back.
const (
	thriftEvery = time.Second
	returnEvery = 5
)

// Bounds of thrift, in bytes that were allocated.
const (
	worthwhile = 16 << 20 // since memory was last given back
	quiet      = 1 << 20  // between two looks that may give back, at least
)

// What may be allocated between two collections: as much as is alive, which is what Go does by itself, and at least headroom, as
// long as that is no more than four times of what is alive. A small server would otherwise collect after every few thousand messages.
const (
	headroom  = 32 << 20
	leastGOGC = 100
	mostGOGC  = 400
)

// thrift gives memory back to the system once a rush is over. Go keeps as much as it needed last, twice of what is in use
// and more: after 10,000 sign-ins that is 50 MB which nobody needs while their sessions wait.
type thrift struct {
	returned uint64 // bytes that had been allocated when memory was last given back
	before   uint64 // and at the last look that could give back
	looks    int
	fixed    bool // whoever started the server has set GOGC
	gogc     int  // as it is set now
}

// look sets the pace of the collector, and gives memory back if it is time.
func (t *thrift) look() {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	allocated, alive := sample[0].Value.Uint64(), sample[1].Value.Uint64()
	if p := pace(alive); !t.fixed && p != t.gogc {
		t.gogc = p
		debug.SetGCPercent(p)
	}
	if t.looks++; t.looks%returnEvery == 0 && t.due(allocated, alive) {
		runtime.GC() // pools of buffers are empty only after the second collection
		debug.FreeOSMemory()
	}
}

// pace is GOGC for so many bytes that are alive: in steps, since setting it stops everybody for a moment.
func pace(alive uint64) int {
	p := headroom * 100 / max(alive, 1)
	return int(min(max(p/20*20, leastGOGC), mostGOGC))
}

// due tells whether it is time, by the bytes that were allocated in all and those that were alive at the last collection:
// when much was allocated since the last time, and hardly anything since the last look. A server that works all the
// time is left to the collector.
func (t *thrift) due(allocated, alive uint64) bool {
	recently := allocated - t.before
	t.before = allocated
	if allocated-t.returned < worthwhile || recently > max(quiet, alive/8) {
		return false
	}
	t.returned = allocated
	return true
}
