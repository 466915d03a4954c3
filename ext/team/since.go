package team

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"parley/xmpp/stanza"
)

const day = 24 * time.Hour

// maxSince is the longest time that whoelsesince takes: ten years.
const maxSince = 3650 * day

// unit is what a number may be counted in.
type unit struct {
	letter string
	word   string
	length time.Duration
}

func units() []unit {
	return []unit{{"d", "day", day}, {"h", "hour", time.Hour}, {"m", "minute", time.Minute}, {"s", "second", time.Second}}
}

// parseSince reads a length of time: a number of seconds, or a number with s, m, h or d. The error is for the person
// who wrote it.
func parseSince(text string) (time.Duration, error) {
	digits, length := strings.ToLower(strings.TrimSpace(text)), time.Second
	for _, u := range units() {
		if n, ok := strings.CutSuffix(digits, u.letter); ok {
			digits, length = n, u.length
			break
		}
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, stanza.Bad(stanza.BadRequest, "whoelsesince needs a time: a number of seconds, or for example 15m, 2h, 3d.")
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || n > int64(maxSince/length): // all digits, so it can only be too large
		return 0, stanza.Bad(stanza.BadRequest, fmt.Sprintf("That time is too long: whoelsesince takes at most %dd.", maxSince/day))
	case n == 0:
		return 0, stanza.Bad(stanza.BadRequest, "That time is too short: whoelsesince takes at least 1 second.")
	}
	return time.Duration(n) * length, nil
}

// last says d in words, in the largest unit that fits: "the last 15 minutes".
func last(d time.Duration) string {
	for _, u := range units() {
		if d%u.length == 0 {
			if n := int(d / u.length); n != 1 {
				return "the last " + number(n, u.word)
			}
			return "the last " + u.word
		}
	}
	return "the last " + d.String()
}
