package stream

import (
	"io"
	"net"
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
		if s := newTCPSource(tc); s != nil {
			return s
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
