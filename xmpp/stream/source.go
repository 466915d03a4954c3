package stream

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

// source yields what the peer sent. The bytes are lent until the next call of next.
type source interface {
	next() ([]byte, error)
}

// readSize is the size of a read buffer.
const readSize = 4 << 10

// newSource takes the cheapest way to read nc: a plain TCP connection owns no buffer while it waits.
func newSource(nc net.Conn) source {
	if tc, ok := nc.(*net.TCPConn); ok {
		if raw, err := tc.SyscallConn(); err == nil {
			return &tcpSource{raw: raw}
		}
	}
	return &plainSource{r: nc}
}

// plainSource reads through a buffer of its own (TLS, memory).
type plainSource struct {
	r   io.Reader
	buf []byte
}

func (s *plainSource) next() ([]byte, error) {
	if s.buf == nil {
		s.buf = make([]byte, readSize)
	}
	n, err := s.r.Read(s.buf)
	if n > 0 {
		return s.buf[:n], nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, err
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
