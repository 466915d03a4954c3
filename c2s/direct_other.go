//go:build !unix

package c2s

import "net"

// direct is for systems that can write without waiting.
type direct struct{}

func newDirect(net.Conn) *direct { return nil }

func (*direct) write([]byte) (int, error) { return 0, nil }
