package words

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// MaxSince is the longest time that whoelsesince takes: ten years.
const MaxSince = 3650 * day

// What Since says of a text.
var (
	ErrNoTime   = errors.New("words: not a time")
	ErrTooLong  = errors.New("words: the time is too long")
	ErrTooShort = errors.New("words: the time is too short")
)

// Unit is what a length of time may be counted in.
type Unit struct {
	Letter, Word string
	Length       time.Duration
}

// Units are the units, the longest first.
func Units() []Unit {
	return []Unit{{"d", "day", day}, {"h", "hour", time.Hour}, {"m", "minute", time.Minute}, {"s", "second", time.Second}}
}

// Since reads a length of time: a number of seconds, or a number with s, m, h or d. Errors: ErrNoTime, ErrTooLong,
// ErrTooShort.
func Since(text string) (time.Duration, error) {
	digits, length := strings.ToLower(strings.TrimSpace(text)), time.Second
	for _, u := range Units() {
		if n, ok := strings.CutSuffix(digits, u.Letter); ok {
			digits, length = n, u.Length
			break
		}
	}
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, ErrNoTime
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || n > int64(MaxSince/length): // all digits, so it can only be too large
		return 0, ErrTooLong
	case n == 0:
		return 0, ErrTooShort
	}
	return time.Duration(n) * length, nil
}
