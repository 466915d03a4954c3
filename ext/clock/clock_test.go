package clock

import (
	"testing"
	"testing/synctest"
	"time"

	"parley/ext/exttest"
	"parley/store/memory"
	"parley/xmpp/stanza"
)

func TestAt(t *testing.T) {
	noon := time.Date(2026, 1, 31, 12, 0, 0, 5_000_000, time.UTC)
	for _, c := range []struct {
		seconds int
		want    string
	}{
		{0, `<tzo>+00:00</tzo>`}, {2 * 3600, `<tzo>+02:00</tzo>`}, {-12600, `<tzo>-03:30</tzo>`}, {45900, `<tzo>+12:45</tzo>`},
	} {
		got := at(noon.In(time.FixedZone("", c.seconds))).String()
		if want := `<time xmlns='urn:xmpp:time'>` + c.want + `<utc>2026-01-31T12:00:00.005Z</utc></time>`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// TestNow: the time is that of the question.
func TestNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := exttest.New(t, memory.New(), "alice")
		if err := h.Use(New()); err != nil {
			t.Fatal(err)
		}
		alice := h.Bind("alice", "tui")
		time.Sleep(time.Hour)
		a := alice.Ask("get", "here", `<time xmlns='urn:xmpp:time'/>`)
		if a.Type != stanza.Result || a.First().Child(NS, "utc").Text() != stanza.DateTime(time.Now()) {
			t.Errorf("got %s at %s", a, time.Now())
		}
	})
}
