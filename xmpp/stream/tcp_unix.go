//go:build unix

package stream

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// tcp is a TCP connection below net: a source that borrows a buffer only once there is something to read, and a place to
// write what the connection takes at once.
type tcp struct {
	raw syscall.RawConn // fixed; nil where the connection is of another kind

	// owned by the reader
	try  func(fd uintptr) bool // read, made once
	held *[]byte
	n    int   // what read has read
	err  error // or why not

	// owned by the writer of the moment
	put    func(fd uintptr) // write, made once
	rest   []byte           // what write has not written
	refuse error            // why not
}

// over prepares it for a connection, and reports false if that is of another kind.
func (s *tcp) over(nc net.Conn) bool {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return false
	}
	s.raw, s.try, s.put = raw, s.read, s.write
	return true
}

func (s *tcp) giveBack() {
	if s.held != nil {
		buffers.Put(s.held)
		s.held = nil
	}
}

func (s *tcp) next() ([]byte, error) {
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
func (s *tcp) read(fd uintptr) bool {
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

// writeNow returns how much was written: all, or less when no more can be written now.
func (s *tcp) writeNow(p []byte) (int, error) {
	s.rest = p
	err := s.raw.Control(s.put) // not Write, which a deadline of long ago would stop
	n := len(p) - len(s.rest)
	s.rest = nil
	switch {
	case err != nil:
		return 0, err
	case s.refuse != nil && !errors.Is(s.refuse, syscall.EAGAIN):
		return 0, os.NewSyscallError("write", s.refuse)
	}
	return n, nil
}

// write is called with the connection's file.
func (s *tcp) write(fd uintptr) {
	for {
		n, err := syscall.Write(int(fd), s.rest)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if s.refuse = err; err == nil {
			s.rest = s.rest[n:]
		}
		return
	}
}
