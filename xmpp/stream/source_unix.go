//go:build unix

package stream

import (
	"errors"
	"io"
	"net"
	"syscall"
)

func newTCPSource(tc *net.TCPConn) source {
	raw, err := tc.SyscallConn()
	if err != nil {
		return nil
	}
	s := &tcpSource{raw: raw}
	s.try = s.read
	return s
}

// tcpSource borrows a buffer only once there is something to read.
type tcpSource struct {
	raw  syscall.RawConn
	try  func(fd uintptr) bool // read, made once
	held *[]byte

	n   int   // what read has read
	err error // or why not
}

func (s *tcpSource) giveBack() {
	if s.held != nil {
		buffers.Put(s.held)
		s.held = nil
	}
}

func (s *tcpSource) next() ([]byte, error) {
	s.giveBack()
	err := s.raw.Read(s.try)
	switch {
	case err != nil:
		return nil, err
	case s.err != nil:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: s.err}
	case s.n == 0:
		return nil, io.EOF
	}
	return (*s.held)[:s.n], nil
}

// read is called with the connection's file whenever there may be something to read; false: there was not.
func (s *tcpSource) read(fd uintptr) bool {
	b := buffers.Get().(*[]byte)
	for {
		s.n, s.err = syscall.Read(int(fd), *b)
		if !errors.Is(s.err, syscall.EINTR) {
			break
		}
	}
	if s.n <= 0 {
		buffers.Put(b)
		return !errors.Is(s.err, syscall.EAGAIN)
	}
	s.held = b
	return true
}
