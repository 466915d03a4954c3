//go:build !linux

package load

import (
	"errors"
	"time"
)

var errLinux = errors.New("the generator waits for its connections with epoll, which only Linux has")

// poller is there on Linux only; the server that is measured can run on any system.
type poller struct{}

func newPoller() (*poller, error) { return nil, errLinux }

func duplicate(int) (int, error) { return 0, errLinux }

func (*poller) add(*wire, int) error                       { return errLinux }
func (*poller) want(*wire, int, bool) error                { return errLinux }
func (*poller) wait(now, until time.Duration) (int, error) { return 0, errLinux }
func (*poller) event(int) (n int, room bool)               { return -1, false }
func (*poller) close()                                     {}
