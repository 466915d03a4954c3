package load

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// newHistogram counts microseconds, up to five minutes, to three digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 300_000_000, 3) }

func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), h.LowestTrackableValue()), h.HighestTrackableValue()))
}

// meter reads what the processes take while something is measured.
type meter struct {
	pid         int // the server's; 0: unknown
	began       time.Time
	server, own time.Duration // processor time so far, when it began
	empty       int64         // the server's resident bytes before anybody signed in
}

func (m *meter) begin() {
	m.began = time.Now()
	m.server, m.own = cpu(m.pid), cpu(os.Getpid())
}

// end fills in what it took to do count units; busy is how long the loop has not waited.
func (m *meter) end(r *Result, count int64, busy time.Duration, sessions int) {
	took := time.Since(m.began)
	r.Seconds, r.Count, r.PerSecond = took.Seconds(), count, float64(count)/took.Seconds()
	r.Generator.Cores = float64(cpu(os.Getpid())-m.own) / float64(took)
	// The loop is one goroutine; sign-ins have all processors.
	r.Generator.Bottleneck = float64(busy) > bottleneck*float64(took) || r.Generator.Cores > bottleneck*float64(runtime.GOMAXPROCS(0))
	if m.pid == 0 {
		return
	}
	used := cpu(m.pid) - m.server
	r.Server = &Server{Cores: float64(used) / float64(took), RSS: mib(resident(m.pid))}
	if count > 0 {
		r.Server.CPU = float64(used) / float64(time.Microsecond) / float64(count)
	}
	if sessions > 0 {
		r.Server.PerSession = float64(resident(m.pid)-m.empty) / 1024 / float64(sessions)
	}
}

// bottleneck is how much of its time the generator may be busy before the figures are as much its own as the server's.
const bottleneck = 0.95

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// tick is the unit of processor times in /proc, whatever the kernel counts in (proc(5), USER_HZ).
const tick = 10 * time.Millisecond

// cpu is the processor time that a process has taken, 0 when there is none.
func cpu(pid int) time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ") // the name before may have anything in it
	f := strings.Fields(rest)
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(f[11], 10, 64)
	system, _ := strconv.ParseInt(f[12], 10, 64)
	return time.Duration(user+system) * tick
}

// resident is how much memory a process has, in bytes.
func resident(pid int) int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize())
}
