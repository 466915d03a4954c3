//go:build !unix

package stream

import "net"

// newTCPSource has nothing better to offer than reading through a buffer.
func newTCPSource(*net.TCPConn) source { return nil }
