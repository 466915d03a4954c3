//go:build !linux

package load

import (
	"math"
	"time"
)

// noLinux says why nothing can be measured.
func noLinux() error {
	return &Error{
		Why: "parley bench runs on Linux only, where it can wait for its connections with epoll",
		Fix: "measure from a computer with Linux: the server may be on any system",
	}
}

// poller is there on Linux only.
type poller struct{}

func newPoller() (*poller, error) { return nil, noLinux() }

func duplicate(int) (int, error)       { return 0, noLinux() }
func readFD(int, []byte) (int, error)  { return 0, noLinux() }
func writeFD(int, []byte) (int, error) { return 0, noLinux() }
func closeFD(int) error                { return noLinux() }
func openFiles() uint64                { return math.MaxUint64 }

func (*poller) add(*wire, int) error                       { return noLinux() }
func (*poller) want(*wire, int, bool) error                { return noLinux() }
func (*poller) wait(now, until time.Duration) (int, error) { return 0, noLinux() }
func (*poller) event(int) (n int, room bool)               { return -1, false }
func (*poller) close()                                     {}
