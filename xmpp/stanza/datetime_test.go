package stanza_test

import (
	"testing"
	"time"

	"parley/xmpp/stanza"
)

func TestDateTime(t *testing.T) {
	moment := time.Date(1969, 7, 21, 3, 56, 15, 123_999_999, time.FixedZone("", 3600))
	if got := stanza.DateTime(moment); got != "1969-07-21T02:56:15.123Z" {
		t.Errorf("got %s", got)
	}
	if got := stanza.DateTime(moment.Truncate(time.Second)); got != "1969-07-21T02:56:15.000Z" {
		t.Errorf("got %s", got)
	}
	// XEP-0082 §4 and forms beside it
	for text, want := range map[string]string{
		"1969-07-21T02:56:15Z":            "1969-07-21T02:56:15.000Z",
		"1969-07-20T21:56:15-05:00":       "1969-07-21T02:56:15.000Z",
		"1969-07-21T02:56:15.123456789Z":  "1969-07-21T02:56:15.123Z",
		"1969-07-21T08:26:15.1+05:30":     "1969-07-21T02:56:15.100Z",
		"19690721T02:56:15":               "", // the old form of XEP-0091
		"1969-07-21T02:56:15":             "",
		"1969-07-21":                      "",
		"":                                "",
		"1969-07-21T02:56:15Z\x00":        "",
		"99999-07-21T02:56:15Z":           "",
		"1969-13-21T02:56:15Z":            "",
		"1969-07-21T02:56:15.000000001ZZ": "",
	} {
		got, err := stanza.ParseDateTime(text)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q is taken for %s", text, got)
		case want != "" && (err != nil || stanza.DateTime(got) != want):
			t.Errorf("%q: got %s, %v; want %s", text, got, err, want)
		}
	}
}
