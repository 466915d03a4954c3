package load

import (
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller tells which connections can be read or written, by epoll(7).
type poller struct {
	fd     int
	timer  int           // timerfd(2): epoll itself counts in milliseconds only
	due    time.Duration // what the timer is set to, on the loop's clock; 0: it has gone off
	events []unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	p := &poller{fd: fd, events: make([]unix.EpollEvent, 256)}
	p.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err == nil {
		err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, p.timer, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1})
	}
	if err != nil {
		p.close()
		return nil, fmt.Errorf("load: make a timer: %w", err)
	}
	return p, nil
}

// What a wire does once it is released.
func duplicate(fd int) (int, error)         { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }
func readFD(fd int, p []byte) (int, error)  { return unix.Read(fd, p) }
func writeFD(fd int, p []byte) (int, error) { return unix.Write(fd, p) }
func closeFD(fd int) error                  { return unix.Close(fd) }

// openFiles is how many files the process may have open.
func openFiles() uint64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return math.MaxUint64 // whoever cannot say it does not refuse
	}
	return l.Cur
}

// add watches a connection for what comes; n names it in what wait returns.
func (p *poller) add(w *wire, n int) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(n)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, w.fd, &e))
}

// want says whether the connection is watched for room to write, too.
func (p *poller) want(w *wire, n int, room bool) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(n)}
	if room {
		e.Events |= unix.EPOLLOUT
	}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, w.fd, &e))
}

// wait returns how many events there are, once there is one, or at the time until; now is the time, on the same clock.
func (p *poller) wait(now, until time.Duration) (int, error) {
	timeout := 0
	if until > now {
		timeout = -1
		if p.due != until {
			spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(until - now))}
			if err := unix.TimerfdSettime(p.timer, 0, &spec, nil); err != nil {
				return 0, os.NewSyscallError("timerfd_settime", err)
			}
			p.due = until
		}
	}
	n, err := unix.EpollWait(p.fd, p.events, timeout)
	if err != nil && !errors.Is(err, syscall.EINTR) {
		return 0, os.NewSyscallError("epoll_wait", err)
	}
	return max(n, 0), nil
}

// event is which connection event i is about, and whether that has room to write; n is -1 for the timer.
func (p *poller) event(i int) (n int, room bool) {
	e := p.events[i]
	if e.Fd < 0 {
		p.due = 0
	}
	return int(e.Fd), e.Events&unix.EPOLLOUT != 0
}

func (p *poller) close() {
	_ = unix.Close(p.fd)
	if p.timer > 0 {
		_ = unix.Close(p.timer)
	}
}
