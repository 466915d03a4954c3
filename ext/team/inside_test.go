package team

import (
	"strings"
	"testing"
	"time"

	"parley/store"
	"parley/xmpp/words"
)

func TestParseSince(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1": time.Second, "60": time.Minute, " 900 ": 15 * time.Minute, "007": 7 * time.Second,
		"15m": 15 * time.Minute, "15M": 15 * time.Minute, "2h": 2 * time.Hour, "3d": 72 * time.Hour, "45s": 45 * time.Second,
		"3650d": words.MaxSince, "315360000": words.MaxSince,
	} {
		if got, err := parseSince(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"": "needs a time", "soon": "needs a time", "-5": "needs a time", "+5": "needs a time", "m": "needs a time", "1.5h": "needs a time",
		"1h30m": "needs a time", "15 m": "needs a time", "15mm": "needs a time", "5w": "needs a time", "٣": "needs a time", "1e3": "needs a time",
		"0": "too short", "0d": "too short", "000": "too short",
		"3651d": "too long", "315360001": "too long", "99999999999999999999999": "too long", "9223372036854775807d": "too long",
		"106752d": "too long", // more than a time.Duration holds
	} {
		if got, err := parseSince(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestLast(t *testing.T) {
	for text, want := range map[string]string{
		"60": "the last minute", "15m": "the last 15 minutes", "900": "the last 15 minutes", "90": "the last 90 seconds", "1": "the last second",
		"3600": "the last hour", "36h": "the last 36 hours", "24h": "the last day", "3d": "the last 3 days", "3601": "the last 3601 seconds",
	} {
		d, err := parseSince(text)
		if err != nil || last(d) != want {
			t.Errorf("%q: %q", text, last(d))
		}
	}
}

// TestBudgetForgets: a budget that is full again is not remembered.
func TestBudgetForgets(t *testing.T) {
	var b budget
	b.set(10, 5*time.Second)
	now := time.Unix(1e9, 0)
	for o := range store.Owner(5000) {
		b.take(o, now)
		now = now.Add(time.Second)
	}
	if len(b.full) > maxBudgets {
		t.Errorf("%d are remembered", len(b.full))
	}
	for range 10 {
		if b.take(1, now) != 0 {
			t.Error("less than ten")
		}
	}
	if b.take(1, now) != 5*time.Second {
		t.Error("more than ten")
	}
}

// TestBudgetChanges: a new budget counts for everybody from now on.
func TestBudgetChanges(t *testing.T) {
	var b budget
	b.set(1, time.Minute)
	now := time.Unix(1e9, 0)
	if b.take(1, now) != 0 || b.take(1, now) != time.Minute {
		t.Error("not one a minute")
	}
	b.set(3, time.Minute)
	for _, want := range []time.Duration{0, 0, time.Minute} {
		if got := b.take(1, now); got != want {
			t.Errorf("to wait %v, want %v", got, want)
		}
	}
	if b.set(1, 0); b.take(1, now) != 0 {
		t.Error("there is still a limit")
	}
}
