package tui

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes f for this process, if nobody else has it; the system lets it go when the process ends, however it ends.
func lockFile(f *os.File) bool {
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{}) == nil
}

// syncDir does nothing: Windows cannot flush a directory, and NTFS journals its names.
func syncDir(string) error { return nil }
