package load

import (
	"fmt"
	"io"
	"strings"
)

// WriteText tells the result to people, with ratios to an earlier one of the same scenario unless that is nil.
func (r *Result) WriteText(w io.Writer, before *Result) error {
	if before == nil {
		before = new(Result)
	}
	t := &text{}
	t.line("%s: %d accounts, window %d, tls %s, %.1f s", r.Scenario, r.Users, r.Window, r.TLS, r.Seconds)
	t.figure(plural(r.Unit)+" a second", "%.0f", r.PerSecond, before.PerSecond)
	for i, ph := range r.Phases {
		var earlier Phase
		if i < len(before.Phases) {
			earlier = before.Phases[i]
		}
		t.figure(ph.Name+" a second", "%.0f", ph.PerSecond, earlier.PerSecond)
		t.latency(ph.Latency, earlier.Latency)
	}
	t.latency(r.Latency, before.Latency)
	if s := r.Server; s != nil {
		var earlier Server
		if before.Server != nil {
			earlier = *before.Server
		}
		t.figure("server, µs per "+r.Unit, "%.2f", s.CPU, earlier.CPU)
		t.figure("server, processors", "%.2f", s.Cores, earlier.Cores)
		t.figure("server, MiB resident", "%.1f", s.RSS, earlier.RSS)
		t.figure("server, KiB a session", "%.1f", s.PerSession, earlier.PerSession)
	}
	t.figure("generator, processors", "%.2f", r.Generator.Cores, before.Generator.Cores)
	t.line("lost %d, doubled %d, out of order %d, errors %d", r.Lost, r.Doubled, r.Reordered, r.Errors)
	if r.FirstError != "" {
		t.line("the first error: %q", r.FirstError)
	}
	if r.Generator.Bottleneck {
		t.line("The generator had no time left: the server may be capable of more.")
	}
	_, err := io.WriteString(w, t.String())
	return err
}

// plural of a unit of work.
func plural(unit string) string {
	if stem, ok := strings.CutSuffix(unit, "y"); ok {
		return stem + "ies"
	}
	return unit + "s"
}

type text struct{ strings.Builder }

func (t *text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

// figure writes one figure, and how many times the earlier one it is.
func (t *text) figure(name, format string, v, earlier float64) {
	if v <= 0 { // not measured; memory that has not grown
		return
	}
	value := fmt.Sprintf(format, v)
	if earlier > 0 {
		value = fmt.Sprintf("%-12s x %.2f", value, v/earlier)
	}
	t.line("  %-26s%s", name, value)
}

func (t *text) latency(l, earlier *Latency) {
	if l == nil {
		return
	}
	if earlier == nil {
		earlier = new(Latency)
	}
	t.figure("median, ms", "%.2f", l.P50, earlier.P50)
	t.figure("90 of 100, ms", "%.2f", l.P90, earlier.P90)
	t.figure("99 of 100, ms", "%.2f", l.P99, earlier.P99)
	t.figure("999 of 1,000, ms", "%.2f", l.P999, earlier.P999)
	t.figure("longest, ms", "%.2f", l.Max, earlier.Max)
}
