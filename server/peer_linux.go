package server

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// peerMay tells whether the process at the other end of the control socket runs as the same user as this one, or as
// root. The mode of the socket says the same, as long as nobody changes it.
func peerMay(conn net.Conn) bool {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return false
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) { peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	return err == nil && failed == nil && (peer.Uid == 0 || int(peer.Uid) == os.Geteuid())
}
