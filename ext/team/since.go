package team

import (
	"errors"
	"fmt"
	"time"

	"parley/xmpp/stanza"
	"parley/xmpp/words"
)

// parseSince reads the time that whoelsesince is asked for. The error is for the person who wrote it.
func parseSince(text string) (time.Duration, error) {
	d, err := words.Since(text)
	switch {
	case errors.Is(err, words.ErrTooLong):
		return 0, stanza.Bad(stanza.BadRequest, fmt.Sprintf("That time is too long: whoelsesince takes at most %dd.", words.MaxSince/(24*time.Hour)))
	case errors.Is(err, words.ErrTooShort):
		return 0, stanza.Bad(stanza.BadRequest, "That time is too short: whoelsesince takes at least 1 second.")
	case err != nil:
		return 0, stanza.Bad(stanza.BadRequest, "whoelsesince needs a time: a number of seconds, or for example 15m, 2h, 3d.")
	}
	return d, nil
}

// last says d in words, in the largest unit that fits: "the last 15 minutes".
func last(d time.Duration) string {
	for _, u := range words.Units() {
		if d%u.Length == 0 {
			if n := int(d / u.Length); n != 1 {
				return "the last " + number(n, u.Word)
			}
			return "the last " + u.Word
		}
	}
	return "the last " + d.String()
}
