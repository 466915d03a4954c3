package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
)

// again is what a read returns when nothing is there. TLS takes it for a pause, not for the end (net.Error.Temporary).
type again struct{}

func (again) Error() string   { return "nothing to read yet" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// wire is a connection in its two lives: while it signs in, reads and writes wait, as those of any net.Conn; then the loop
// has it, and nothing waits any more.
type wire struct {
	net.Conn // until release
	fd       int
	free     bool // released
	secure   *tls.Conn
	rest     []byte // what the kernel has not taken yet
}

// release takes the connection out of the runtime's hands: the loop has an epoll of its own.
func (w *wire) release() error {
	tc, ok := w.Conn.(*net.TCPConn)
	if !ok {
		return errors.New("load: not a TCP connection")
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return fmt.Errorf("load: take a connection: %w", err)
	}
	var dupErr error
	err = raw.Control(func(fd uintptr) { w.fd, dupErr = duplicate(int(fd)) })
	if err = errors.Join(err, dupErr); err != nil {
		return fmt.Errorf("load: take a connection: %w", err)
	}
	w.free = true
	return tc.Close()
}

// Read is net.Conn's; once released it does not wait, see again.
func (w *wire) Read(p []byte) (int, error) {
	if !w.free {
		return w.Conn.Read(p)
	}
	for {
		n, err := readFD(w.fd, p)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return 0, again{}
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Write is net.Conn's; once released it keeps what the kernel does not take, see push.
func (w *wire) Write(p []byte) (int, error) {
	if !w.free {
		return w.Conn.Write(p)
	}
	n := 0
	if len(w.rest) == 0 {
		var err error
		if n, err = w.try(p); err != nil {
			return 0, err
		}
	}
	if len(w.rest)+len(p)-n > maxRest {
		return 0, errors.New("the server does not read what it is sent")
	}
	w.rest = append(w.rest, p[n:]...)
	return len(p), nil
}

// maxRest is how many bytes may wait for a connection: a server that does not keep up with a rate is not given all of it.
const maxRest = 8 << 20

// push writes what was kept. It reports whether nothing is left.
func (w *wire) push() (bool, error) {
	n, err := w.try(w.rest)
	if err != nil {
		return false, err
	}
	if n < len(w.rest) {
		w.rest = w.rest[:copy(w.rest, w.rest[n:])]
		return false, nil
	}
	w.rest = nil
	return true, nil
}

func (w *wire) try(p []byte) (int, error) {
	for {
		n, err := writeFD(w.fd, p)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return 0, nil
		case err != nil:
			return 0, os.NewSyscallError("write", err)
		default:
			return n, nil
		}
	}
}

// Close closes the connection in either life.
func (w *wire) Close() error {
	if !w.free {
		return w.Conn.Close()
	}
	fd := w.fd
	w.fd = -1 // its number may be another connection's by the next write
	return closeFD(fd)
}

// upper is what the stream runs on: TLS or the connection itself.
func (w *wire) upper() net.Conn {
	if w.secure != nil {
		return w.secure
	}
	return w
}
