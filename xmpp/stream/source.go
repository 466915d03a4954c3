package stream

import (
	"errors"
	"io"
	"net"
	"sync"
)

// source yields what the peer sent. The bytes are lent until the next call of next. An error that is a passed deadline
// ends nothing: next can be called again.
type source interface {
	next() ([]byte, error)
	giveBack() // what is lent, after the last next
}

// readSize is the size of a read buffer.
const readSize = 4 << 10

// buffers lends buffers: a connection that waits has none.
var buffers = sync.Pool{New: func() any { b := make([]byte, readSize); return &b }}

// plainSource reads through a buffer of its own (memory).
type plainSource struct {
	r   io.Reader
	buf []byte
}

func (s *plainSource) next() ([]byte, error) {
	if s.buf == nil {
		s.buf = make([]byte, readSize)
	}
	for {
		switch n, err := s.r.Read(s.buf); {
		case n > 0:
			return s.buf[:n], nil
		case err != nil: // neither: somebody wrote nothing
			return nil, err
		}
	}
}

func (s *plainSource) giveBack() {}

// tlsSource reads what comes through TLS. It waits for the connection below, never inside TLS, so that a connection that
// waits owns no buffer but those of crypto/tls, and its goroutine no more stack than one in clear.
type tlsSource struct {
	tls   io.Reader
	under *under
	held  *[]byte
	dry   bool // nothing is left inside TLS, as far as it came
}

// next looks into TLS before it waits: several records may have come at once, and one may be larger than a buffer.
func (s *tlsSource) next() ([]byte, error) {
	for {
		if !s.dry {
			n, err := s.read()
			if n > 0 {
				return (*s.held)[:n], nil
			}
			if s.dry = errors.Is(err, errDry); !s.dry {
				return nil, err
			}
		}
		if err := s.under.fill(); err != nil {
			return nil, err
		}
		s.dry = false
	}
}

// read takes what is inside TLS or below, without waiting: errDry. Whatever it returns with bytes comes again.
func (s *tlsSource) read() (int, error) {
	if s.held == nil {
		s.held = buffers.Get().(*[]byte)
	}
	n, err := s.tls.Read(*s.held)
	if n == 0 {
		buffers.Put(s.held)
		s.held = nil
	}
	return n, err
}

func (s *tlsSource) giveBack() {
	if s.held != nil {
		buffers.Put(s.held)
		s.held = nil
	}
	s.under.src.giveBack()
}

// under is the connection below TLS. During the handshake it is read as any other; afterwards it gives what fill has
// brought and then says that it is dry.
type under struct {
	net.Conn // written to, and closed
	src      source
	rest     []byte // lent by src
	settled  bool   // the handshake is over
}

func (u *under) Read(p []byte) (int, error) {
	if len(u.rest) == 0 {
		if u.settled {
			return 0, errDry
		}
		if err := u.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, u.rest)
	u.rest = u.rest[n:]
	return n, nil
}

// fill waits for more. What was there before has been taken.
func (u *under) fill() (err error) {
	u.rest, err = u.src.next()
	return err
}

// dry is the error of a connection on which nothing more has come for now. To crypto/tls it is a deadline that has passed:
// what it has read by then it keeps, and goes on with.
type dry struct{}

var errDry net.Error = dry{}

func (dry) Error() string   { return "stream: nothing more to read for now" }
func (dry) Timeout() bool   { return true }
func (dry) Temporary() bool { return true }
