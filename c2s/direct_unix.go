//go:build unix

package c2s

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// direct writes to a TCP connection what that takes at once. It belongs to the writer of the moment.
type direct struct {
	raw syscall.RawConn
	try func(fd uintptr) // made once

	p   []byte
	n   int
	err error
}

// newDirect is nil for a connection of another kind.
func newDirect(nc net.Conn) *direct {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tc.SyscallConn()
	if err != nil {
		return nil
	}
	d := &direct{raw: raw}
	d.try = d.once
	return d
}

func (d *direct) once(fd uintptr) {
	for {
		if d.n, d.err = syscall.Write(int(fd), d.p); !errors.Is(d.err, syscall.EINTR) {
			return
		}
	}
}

// write returns how much was written: all, or less when no more can be written now.
func (d *direct) write(p []byte) (int, error) {
	d.p = p
	err := d.raw.Control(d.try) // not Write, which a deadline of long ago would stop
	d.p = nil
	switch {
	case err != nil:
		return 0, err
	case errors.Is(d.err, syscall.EAGAIN):
		return 0, nil
	case d.err != nil:
		return 0, os.NewSyscallError("write", d.err)
	}
	return d.n, nil
}
