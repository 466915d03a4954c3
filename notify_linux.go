package main

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic is the time of the system's clock that nobody can set, which systemd compares with its own.
func monotonic() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return time.Duration(t.Nano())
}
