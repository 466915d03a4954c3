package server

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"parley/ext/admin"
	"parley/xmpp/stanza"
)

// TestPeer: whoever gets through to the socket as another user is told nothing, however open its mode is.
func TestPeer(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user for a moment")
	}
	dir, _ := control(t)
	path := filepath.Join(dir, controlName)
	for name, mode := range map[string]os.FileMode{dir: 0o755, path: 0o666} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	conns, failed := make(chan net.Conn, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine, and with it its user
		if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); e != 0 {
			failed <- e
			return
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
		}
		if err != nil {
			failed <- err
			return
		}
		f := os.NewFile(uintptr(fd), "control")
		conn, err := net.FileConn(f)
		_ = f.Close()
		if err != nil {
			failed <- err
			return
		}
		conns <- conn
	}()
	select {
	case err := <-failed:
		t.Skipf("cannot be another user here: %v", err)
	case conn := <-conns:
		defer conn.Close()
		io.WriteString(conn, `{"node":"`+admin.NodeUsers+`"}`)
		var r admin.Answer
		if err := json.NewDecoder(conn).Decode(&r); err != nil || r.Condition != stanza.Forbidden || r.Domain != "" {
			t.Errorf("%+v, %v", r, err)
		}
	}
	if r, err := CallControl(t.Context(), dir, admin.Request{Node: admin.NodeUsers}); err != nil || r.Condition != "" {
		t.Errorf("the owner: %+v, %v", r, err)
	}
}
