package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"parley/ext/admin"
	"parley/xmpp/stanza"
)

// The control socket lets the other commands administer a running server: a Unix socket in the data directory that
// only its owner can open. A connection carries one admin.Request and one admin.Answer, both JSON; after the answer to
// nodeBackup follows the backup.

const (
	controlName     = "parley.sock"
	controlRequest  = 2 * admin.MaxImport // bytes of a request
	controlAtOnce   = 8                   // requests being worked on
	controlPatience = 10 * time.Second
	socketPathBytes = 100 // longer names do not fit sun_path on every system
)

// ErrNoServer says that no server listens on the control socket of a data directory.
var ErrNoServer = errors.New("no server is running on the data directory")

// errSocketName says that the control socket of a directory cannot be named on this system.
var errSocketName = errors.New("the name is too long for a socket")

// ListenControl opens the control socket of a data directory. The caller must hold the directory's lock, so what is
// left of an earlier socket is nobody's and is removed. Closing the listener removes the socket. A name that is too long
// for a socket on this system gives neither a listener nor an error: the commands then need the server to be stopped.
func ListenControl(dir string) (net.Listener, error) {
	path := filepath.Join(dir, controlName)
	if info, err := os.Lstat(path); err == nil {
		if info.Mode().Type() != fs.ModeSocket {
			return nil, fmt.Errorf("server: open the control socket: %s is something else", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("server: remove the old control socket: %w", err)
		}
	}
	name, done, err := socketName(dir)
	if errors.Is(err, errSocketName) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	done()
	if err != nil {
		return nil, fmt.Errorf("server: open the control socket: %w", err)
	}
	ln.SetUnlinkOnClose(false) // by the name of the moment; see controlListener.Close
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("server: close the control socket to others: %w", err), ln.Close())
	}
	return &controlListener{Listener: ln, path: path}, nil
}

// controlListener removes its socket when it is closed.
type controlListener struct {
	net.Listener
	path string
	once sync.Once
}

// Close stops listening and removes the socket.
func (l *controlListener) Close() error {
	err := l.Listener.Close()
	l.once.Do(func() { err = errors.Join(err, os.Remove(l.path)) })
	return err
}

// socketName returns a name for the control socket that fits sun_path. One that is too long is named by way of the
// opened directory, where the system can (Linux); done ends that.
func socketName(dir string) (name string, done func(), err error) {
	path := filepath.Join(dir, controlName)
	if len(path) <= socketPathBytes {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, errSocketName
	}
	d, err := os.Open(dir)
	if err != nil {
		return "", nil, fmt.Errorf("server: open the control socket: %w", err)
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), controlName), func() { _ = d.Close() }, nil
}

// ServeControl answers requests on ln until ctx ends, and returns when all of them are answered. It closes ln. b may be
// nil: then there are no backups.
func ServeControl(ctx context.Context, ln net.Listener, a *admin.Admin, b *Backups) error {
	var work sync.WaitGroup
	defer work.Wait()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer func() {
		if stop() {
			_ = ln.Close()
		}
	}()
	room := make(chan struct{}, controlAtOnce)
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("server: accept on the control socket: %w", err)
			}
			select { // no file descriptors, most probably: it passes
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			_ = conn.Close()
			return nil
		}
		work.Go(func() {
			defer func() { <-room }()
			serveRequest(ctx, conn, a, b)
		})
	}
}

// serveRequest answers the one request of a connection.
func serveRequest(ctx context.Context, conn net.Conn, a *admin.Admin, b *Backups) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Now()) })
	defer stop()
	_ = conn.SetReadDeadline(time.Now().Add(controlPatience))
	var req admin.Request
	answer := admin.Answer{Condition: stanza.BadRequest, Text: "this is not a request"}
	if !peerMay(conn) {
		answer = admin.Answer{Condition: stanza.Forbidden, Text: "only the user that runs the server may administer it"}
	} else if err := json.NewDecoder(io.LimitReader(conn, controlRequest)).Decode(&req); err == nil {
		if req.Node == nodeBackup && b != nil {
			b.serve(ctx, conn)
			return
		}
		answer = guarded(ctx, a, req)
	}
	_ = conn.SetWriteDeadline(time.Now().Add(controlPatience))
	_ = json.NewEncoder(conn).Encode(answer)
}

// guarded does what a request asks for; a panic in it becomes the answer to this one request.
func guarded(ctx context.Context, a *admin.Admin, req admin.Request) (answer admin.Answer) {
	defer func() {
		if p := recover(); p != nil {
			a.Log().Error("panic in an act of administration", slog.String("node", req.Node), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			answer = admin.Answer{Condition: stanza.InternalServerError, Text: "something went wrong in the server; its log has the reason"}
		}
	}()
	return a.Do(ctx, req)
}

// dialControl connects to the control socket of a data directory. ErrNoServer means that no server runs there.
func dialControl(ctx context.Context, dir string) (net.Conn, error) {
	name, done, err := socketName(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errSocketName) {
		return nil, ErrNoServer
	}
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", name)
	done()
	switch {
	case errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return nil, ErrNoServer
	case err != nil:
		return nil, fmt.Errorf("server: reach the control socket: %w", err)
	}
	return conn, nil
}

// CallControl asks the server that runs on a data directory. ErrNoServer means that there is none.
func CallControl(ctx context.Context, dir string, req admin.Request) (admin.Answer, error) {
	conn, err := dialControl(ctx, dir)
	if err != nil {
		return admin.Answer{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	if err := json.NewEncoder(conn).Encode(req); err != nil {
		return admin.Answer{}, fmt.Errorf("server: ask on the control socket: %w", err)
	}
	var answer admin.Answer
	if err := json.NewDecoder(conn).Decode(&answer); err != nil {
		return admin.Answer{}, fmt.Errorf("server: read from the control socket: %w", err)
	}
	return answer, nil
}
