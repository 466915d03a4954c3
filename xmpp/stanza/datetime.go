package stanza

import "time"

// DateTime is a moment as it stands on the wire: in UTC, to the millisecond (XEP-0082 §3.2). Nothing else writes one.
func DateTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// ParseDateTime reads a moment in any form that XEP-0082 §3.2 allows: with or without a fraction of a second, in any
// time zone.
func ParseDateTime(s string) (time.Time, error) { return time.Parse(time.RFC3339, s) }
