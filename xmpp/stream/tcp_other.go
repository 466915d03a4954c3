//go:build !unix

package stream

import "net"

// tcp is for systems that can read without a buffer and write without waiting.
type tcp struct{}

func (*tcp) over(net.Conn) bool { return false }

func (*tcp) next() ([]byte, error) { panic("stream: no tcp") }

func (*tcp) giveBack() {}

func (*tcp) writeNow([]byte) (int, error) { return 0, nil }
