package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"parley/config"
	"parley/server"
	"parley/store"
)

// checkCertificate reads the certificate that the settings name, before anything is made on the disk.
func checkCertificate(files config.TLS) error {
	if files.Cert == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(files.Cert, files.Key); err != nil {
		f := certificateFailure(&server.CertificateError{Cert: files.Cert, Key: files.Key, Err: err})
		f.code, f.fix = exitConfig, "--tls-cert and --tls-key with files in PEM form, the chain in the first"
		return f
	}
	return nil
}

// certificateFailure words why a certificate cannot be used: the one that the server made for itself, unless the caller
// says otherwise.
func certificateFailure(e *server.CertificateError) *failure {
	f := &failure{code: exitFailed, what: "cannot use the certificate " + e.Cert + " with the key " + e.Key,
		why: strings.TrimPrefix(e.Err.Error(), "tls: "),
		fix: fmt.Sprintf("put back a copy of the two files\na new key, which every client will ask about:  rm %s %s", quoted(e.Cert), quoted(e.Key))}
	if errors.Is(e.Err, fs.ErrPermission) {
		f.why += fmt.Sprintf(" (running as user %s)", userName())
		f.fix = fmt.Sprintf("sudo chown %s %s %s", userName(), quoted(e.Cert), quoted(e.Key))
	}
	return f
}

// startFailure says in words why a server did not start.
func startFailure(err error, c config.Config) error {
	var ready *failure
	if errors.As(err, &ready) {
		return err
	}
	if f := listenFailure(err, c); f != nil {
		return f
	}
	var cert *server.CertificateError
	if errors.As(err, &cert) {
		return certificateFailure(cert)
	}
	if f := dataFailure(err, c.Data); f != nil {
		return f
	}
	return &failure{code: exitFailed, what: "the server did not start", why: err.Error()}
}

// listenFailure words what the system said about a listener; nil when it is about something else.
func listenFailure(err error, c config.Config) *failure {
	var at *net.OpError
	if !errors.As(err, &at) || at.Op != "listen" || at.Addr == nil {
		return nil
	}
	host, digits, _ := net.SplitHostPort(at.Addr.String())
	port, _ := strconv.Atoi(digits)
	f := &failure{code: exitFailed, fix: fmt.Sprintf("parley server %d", elsewhere(port))}
	if tls, _ := c.DirectTLS(); port == tls && port != c.Port {
		f.fix = fmt.Sprintf("--tls-port %d", elsewhere(port))
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		f.what, f.why = fmt.Sprintf("port %d is taken", port), "only one program can listen on a port"
		if name, pid := portOwner(port); pid != 0 {
			f.what += fmt.Sprintf(" by %s (process %d)", name, pid)
			f.fix = fmt.Sprintf("kill %d\n%s", pid, f.fix)
		}
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		f.what = fmt.Sprintf("cannot listen on port %d: permission denied (running as user %s)", port, userName())
		f.why = "ports below 1024 are for the administrator of the computer"
		if port >= 1024 {
			f.why = "a rule of this computer closes the port"
		}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		f.what = fmt.Sprintf("cannot listen on %s: this computer does not have that address", host)
		f.fix = "--listen with one of its own addresses, or leave it out"
	default:
		f.what, f.why = fmt.Sprintf("cannot listen on %s", at.Addr), at.Err.Error()
	}
	return f
}

// elsewhere proposes another port.
func elsewhere(port int) int {
	switch {
	case port < 1024:
		return 5222
	case port > 65400:
		return port - 100
	default:
		return port + 100
	}
}

// dataFailure words what went wrong with a data directory; nil when it is about something else.
func dataFailure(err error, dir string) *failure {
	otherDir := "another directory:  --data " + quoted(besides(dir))
	var other *server.DomainError
	var path *fs.PathError
	switch {
	case errors.As(err, &other):
		return &failure{code: exitConfig,
			what: fmt.Sprintf("the data in %s belongs to the domain %s, not to %s", dir, other.Recorded, other.Asked),
			why:  "every address in it ends with that name, so it cannot change",
			fix:  fmt.Sprintf("--domain %s\nanother directory for %s:  --data %s", other.Recorded, other.Asked, quoted(besides(dir)))}
	case errors.Is(err, server.ErrCutOff):
		return &failure{code: exitFailed, what: "a restore into " + dir + " was cut off; there is no data in it yet",
			fix: "the restore once more:  parley restore FILE --data " + quoted(dir) + "\n" + otherDir}
	case errors.Is(err, store.ErrInUse):
		by := between(err, "in use by process ", ":")
		if by != "" {
			by = " (process " + by + ")"
		}
		return &failure{code: exitFailed, what: dir + " is in use by another parley" + by,
			why: "only one process may work on a data directory", fix: "stop the other one\n" + otherDir}
	case errors.Is(err, store.ErrCorrupt):
		return &failure{code: exitFailed, what: "the database in " + dir + " is damaged; nothing was changed",
			why: between(err, "is damaged (", "): "), fix: "restore a backup:  parley restore FILE --data " + quoted(besides(dir)) + "\n" + otherDir}
	case errors.Is(err, store.ErrForeign):
		return &failure{code: exitFailed, what: "the database in " + dir + " is not one of parley's, or its beginning is damaged; nothing was changed",
			fix: "restore a backup:  parley restore FILE --data " + quoted(besides(dir)) + "\n" + otherDir}
	case errors.Is(err, store.ErrNewer):
		return &failure{code: exitFailed, what: "a newer version of parley wrote the data in " + dir,
			why: between(err, "(", ")"), fix: "run that version (this one is " + version + ")"}
	case errors.Is(err, store.ErrFull), errors.Is(err, syscall.ENOSPC):
		return &failure{code: exitFailed, what: "the disk with " + dir + " is full", why: "nothing can be kept there",
			fix: "make room\n" + otherDir}
	case errors.Is(err, store.ErrDisk):
		return diskFailure(err, dir)
	case errors.As(err, &path):
		return pathFailure(path, dir, otherDir)
	}
	return nil
}

// diskFailure words that the disk did not do what the database asked of it.
func diskFailure(err error, dir string) *failure {
	f := &failure{code: exitFailed, what: "the disk with " + dir + " has failed; the server stops",
		why: between(err, "has failed: ", ";"), fix: "look after the disk, then start the server: everything that it has answered for is kept"}
	if why := between(err, "has become read-only: ", ";"); why != "" {
		f.what, f.why = "the disk with "+dir+" has become read-only; the server stops", why
		f.fix = "look after the disk (the system's log says why), make it writable, then start the server: everything that it has answered for is kept"
	}
	return f
}

// between returns the part of an error's text between two marks, "" when there is none.
func between(err error, begin, end string) string {
	_, rest, _ := strings.Cut(err.Error(), begin)
	part, _, ok := strings.Cut(rest, end)
	if !ok {
		return ""
	}
	return part
}

// pathFailure words what the system said about a file or a directory of the data.
func pathFailure(at *fs.PathError, dir, otherDir string) *failure {
	where := at.Path
	if strings.HasPrefix(where, dir) {
		where = dir
	}
	switch {
	case errors.Is(at.Err, fs.ErrPermission), errors.Is(at.Err, syscall.EROFS):
		f := &failure{code: exitFailed, fix: otherDir,
			what: fmt.Sprintf("cannot write to %s: %s (running as user %s)", where, at.Err, userName())}
		if errors.Is(at.Err, fs.ErrPermission) && os.Getuid() > 0 {
			f.fix = fmt.Sprintf("sudo chown -R %s %s\n%s", userName(), quoted(dir), otherDir)
		}
		return f
	case errors.Is(at.Err, syscall.ENOTDIR), errors.Is(at.Err, fs.ErrExist):
		return &failure{code: exitFailed, what: fmt.Sprintf("cannot keep data in %s: %s is not a directory", dir, at.Path), fix: otherDir}
	}
	return &failure{code: exitFailed, what: "cannot use " + at.Path, why: at.Err.Error(), fix: otherDir}
}

// besides proposes a directory next to or instead of the one that cannot be used.
func besides(dir string) string {
	if home, err := os.UserHomeDir(); err == nil && !strings.HasPrefix(dir, home) {
		return filepath.Join(home, "parley-data")
	}
	return dir + "-2"
}

// quoted writes a path so that a shell takes it as one word.
func quoted(path string) string {
	if path != "" && !strings.ContainsFunc(path, func(r rune) bool { return strings.ContainsRune(" \t\n'\"\\$&;|<>()*?[]#~`!{}", r) }) {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// userName is the name of the user that the program runs as, or the number when it has none.
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}
