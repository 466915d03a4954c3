//go:build unix

package stream

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

func newTCPSource(tc *net.TCPConn) source {
	raw, err := tc.SyscallConn()
	if err != nil {
		return nil
	}
	return &tcpSource{raw: raw}
}

// buffers lends read buffers: a connection that waits has none.
var buffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

// tcpSource borrows a buffer only once there is something to read.
type tcpSource struct {
	raw  syscall.RawConn
	held *[]byte
}

func (s *tcpSource) next() ([]byte, error) {
	if s.held != nil {
		buffers.Put(s.held)
		s.held = nil
	}
	var n int
	var readErr error
	err := s.raw.Read(func(fd uintptr) bool {
		b := buffers.Get().(*[]byte)
		for {
			n, readErr = syscall.Read(int(fd), *b)
			if !errors.Is(readErr, syscall.EINTR) {
				break
			}
		}
		if n <= 0 {
			buffers.Put(b)
			return !errors.Is(readErr, syscall.EAGAIN)
		}
		s.held = b
		return true
	})
	switch {
	case err != nil:
		return nil, err
	case readErr != nil:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: readErr}
	case n == 0:
		return nil, io.EOF
	}
	return (*s.held)[:n], nil
}
