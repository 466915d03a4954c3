package load

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Result is what a measurement found.
type Result struct {
	Scenario string `json:"scenario"`
	Target   string `json:"target"`
	Users    int    `json:"users"`
	Window   int    `json:"window"`
	TLS      string `json:"tls"`

	Seconds   float64  `json:"seconds"`
	Unit      string   `json:"unit"`
	Count     int64    `json:"count"`
	PerSecond float64  `json:"per_second"`
	Latency   *Latency `json:"latency_ms,omitempty"`
	Phases    []Phase  `json:"phases,omitempty"` // of work that has several

	Lost      int `json:"lost"`
	Doubled   int `json:"doubled"`
	Reordered int `json:"reordered"`
	Errors    int `json:"errors"` // stanzas of type error

	FirstError string `json:"first_error,omitempty"` // the first of them, and who got it

	Server    *Server   `json:"server,omitempty"` // nil when its process is not known
	Generator Generator `json:"generator"`
}

// Latency is how long units of work took, in milliseconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// Phase is one part of work that has several.
type Phase struct {
	Name      string   `json:"name"`
	Count     int64    `json:"count"`
	PerSecond float64  `json:"per_second"`
	Latency   *Latency `json:"latency_ms,omitempty"`
	Server    *Server  `json:"server,omitempty"`
}

// Server is what the server's process took.
type Server struct {
	CPU        float64 `json:"cpu_us"` // microseconds of processor time for each unit
	Cores      float64 `json:"cores"`  // processors that it kept busy
	RSS        float64 `json:"rss_mib"`
	PerSession float64 `json:"rss_kib_per_session"` // what it has grown by for each that signed in
}

// Generator is what the load generator took itself.
type Generator struct {
	Cores      float64 `json:"cores"`
	Bottleneck bool    `json:"bottleneck"` // it had no time left: the server may be capable of more
}

func latencyOf(h *hdrhistogram.Histogram) *Latency {
	ms := func(q float64) float64 { return float64(h.ValueAtQuantile(q)) / 1000 }
	return &Latency{P50: ms(50), P90: ms(90), P99: ms(99), P999: ms(99.9), Max: float64(h.Max()) / 1000}
}

// Sound tells whether everything arrived, once and in order.
func (r *Result) Sound() bool {
	return r.Lost == 0 && r.Doubled == 0 && r.Reordered == 0 && r.Errors == 0
}

// WriteJSON writes the result as one line.
func (r *Result) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// ReadJSON reads what WriteJSON wrote.
func ReadJSON(rd io.Reader) (*Result, error) {
	var r Result
	if err := json.NewDecoder(rd).Decode(&r); err != nil {
		return nil, fmt.Errorf("read a result: %w", err)
	}
	return &r, nil
}
