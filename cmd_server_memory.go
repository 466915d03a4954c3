package main

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// thriftEvery is how often it is looked whether memory can be given back.
const thriftEvery = 5 * time.Second

// Bounds of thrift, in bytes that were allocated.
const (
	worthwhile = 16 << 20 // since memory was last given back
	quiet      = 1 << 20  // between two looks, at least
)

// thrift gives memory back to the system once a rush is over. Go keeps as much as it needed last, twice of what is in use
// and more: after 10,000 sign-ins that is 50 MB which nobody needs while their sessions wait.
type thrift struct {
	returned uint64 // bytes that had been allocated when memory was last given back
	before   uint64 // and at the last look
}

// look gives memory back if it is time.
func (t *thrift) look() {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	if t.due(sample[0].Value.Uint64(), sample[1].Value.Uint64()) {
		debug.FreeOSMemory()
	}
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
