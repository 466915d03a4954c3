package load

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func example() *Result {
	return &Result{
		Scenario: "churn", Target: "127.0.0.1:5222", Users: 10, Window: 2, TLS: NoTLS, Seconds: 2, Unit: "delivery", Count: 200, PerSecond: 100,
		Latency: &Latency{P50: 1, P90: 2, P99: 3, P999: 4, Max: 5},
		Phases:  []Phase{{Name: "messages", Count: 20, PerSecond: 10, Latency: &Latency{P50: 0.5}}},
		Lost:    1, Doubled: 2, Reordered: 3, Errors: 4, FirstError: "a got <b>\n",
		Server:    &Server{CPU: 50, Cores: 0.5, RSS: 20, PerSession: 8},
		Generator: Generator{Cores: 0.25, Bottleneck: true},
	}
}

func TestJSON(t *testing.T) {
	for _, r := range []*Result{example(), {Scenario: "idle"}} {
		var b bytes.Buffer
		if err := r.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		if strings.Count(b.String(), "\n") != 1 {
			t.Errorf("not one line: %s", b.String())
		}
		got, err := ReadJSON(&b)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v, %v; want %+v", got, err, r)
		}
	}
	if _, err := ReadJSON(strings.NewReader("bench: 5")); err == nil || !strings.HasPrefix(err.Error(), "read a result: ") {
		t.Errorf("%v", err)
	}
}

func TestText(t *testing.T) {
	r, before := example(), example()
	before.PerSecond, before.Latency.P50, before.Server.CPU, before.Phases = 50, 4, 0, nil
	const want = `churn: 10 accounts, window 2, tls none, 2.0 s
  deliveries a second       100          x 2.00
  messages a second         10
  median, ms                0.50
  median, ms                1.00         x 0.25
  90 of 100, ms             2.00         x 1.00
  99 of 100, ms             3.00         x 1.00
  999 of 1,000, ms          4.00         x 1.00
  longest, ms               5.00         x 1.00
  server, µs per delivery   50.00
  server, processors        0.50         x 1.00
  server, MiB resident      20.0         x 1.00
  server, KiB a session     8.0          x 1.00
  generator, processors     0.25         x 1.00
lost 1, doubled 2, out of order 3, errors 4
the first error: "a got <b>\n"
The generator had no time left: the server may be capable of more.
`
	var b strings.Builder
	if err := r.WriteText(&b, before); err != nil || b.String() != want {
		t.Errorf("%v\n%s", err, b.String())
	}
	b.Reset()
	small := &Result{Scenario: "idle", Users: 2, Window: 1, TLS: Direct, Unit: "session", Server: &Server{PerSession: -3}}
	if err := small.WriteText(&b, nil); err != nil || b.String() != "idle: 2 accounts, window 1, tls direct, 0.0 s\nlost 0, doubled 0, out of order 0, errors 0\n" {
		t.Errorf("%v\n%s", err, b.String())
	}
	if !small.Sound() || r.Sound() || (&Result{Lost: 1}).Sound() || (&Result{Doubled: 1}).Sound() || (&Result{Reordered: 1}).Sound() || (&Result{Errors: 1}).Sound() {
		t.Error("what is sound?")
	}
}
