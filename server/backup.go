package server

import (
	"bufio"
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
	"strconv"
	"sync"
	"time"

	"parley/backup"
	"parley/ext/admin"
	"parley/store"
	"parley/store/sqlite"
	"parley/xmpp/stanza"
)

// A backup is always made by the process that has the database. A running server sends it over its control socket to
// whoever asked, who keeps it: the file is then his, and the server needs no right to write anywhere.

const (
	nodeBackup = stanza.NSParley + "#backup"

	// backupPatience is how long the other end may take no byte of a backup: it may be writing to a slow disk.
	backupPatience = time.Minute

	backupBuffer = 256 << 10
)

// errBackupFull breaks a backup off: while it lasts the write-ahead log grows, and messages matter more.
var errBackupFull = errors.New("the server's disk is full")

// ErrNothing says that a data directory holds no database.
var ErrNothing = errors.New("there is no database")

// Backups makes the backups of a running server.
type Backups struct {
	// fixed
	db           *sqlite.Engine
	full         func() bool // whether the disk is
	dir, version string
	log          *slog.Logger

	busy sync.Mutex // held while one is made
}

// serve makes a backup for the other end of conn: a line with an admin.Answer, whose value "bytes" is about how long
// the file will be, and then the file. It ends when the file does; one that is not whole has no sums at its end.
func (b *Backups) serve(ctx context.Context, conn net.Conn) {
	began := time.Now()
	w := &patientWriter{ctx: ctx, conn: conn, full: b.full}
	defer context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Now()) })()
	refuse := func(c stanza.Condition, text string) {
		_ = conn.SetWriteDeadline(time.Now().Add(controlPatience))
		_ = json.NewEncoder(conn).Encode(admin.Answer{Condition: c, Text: text})
	}
	if b.full() {
		refuse(stanza.ResourceConstraint, errBackupFull.Error())
		return
	}
	if !b.busy.TryLock() {
		refuse(stanza.Conflict, "another backup is being made")
		return
	}
	defer b.busy.Unlock()
	snap, err := b.db.Snapshot()
	if err != nil {
		b.log.Error("backup not made", slog.Any("err", err))
		refuse(stanza.InternalServerError, err.Error())
		return
	}
	err = writeBackup(ctx, w, snap, began, b.dir, b.version, func(m backup.Manifest, size int64) error {
		return json.NewEncoder(w).Encode(admin.Answer{Domain: m.Domain, Values: map[string][]string{"bytes": {strconv.FormatInt(size, 10)}}})
	})
	if err = errors.Join(err, snap.Close()); err != nil {
		b.log.Warn("a backup was broken off", slog.Any("err", err))
		return
	}
	b.log.Info("backup", slog.Int64("bytes", w.n), slog.Duration("took", time.Since(began).Round(time.Millisecond)))
}

// patientWriter writes to a connection as long as that goes on.
type patientWriter struct {
	ctx  context.Context
	conn net.Conn
	full func() bool
	n    int64
}

func (w *patientWriter) Write(p []byte) (int, error) {
	if w.full() {
		return 0, errBackupFull
	}
	if err := w.conn.SetWriteDeadline(time.Now().Add(backupPatience)); err != nil {
		return 0, err
	}
	if w.ctx.Err() != nil { // after the deadline was set: else that would undo the one that the end of ctx sets
		return 0, w.ctx.Err()
	}
	n, err := w.conn.Write(p)
	w.n += int64(n)
	return n, err
}

// writeBackup writes the backup of a moment of the data directory dir to w; that was not before at. begun is called before
// the first byte, with about how many there will be.
func writeBackup(ctx context.Context, w io.Writer, snap *sqlite.Snapshot, at time.Time, dir, version string,
	begun func(m backup.Manifest, size int64) error) error {
	m := backup.Manifest{Format: backup.Format, Version: version, Time: at.UTC()}
	var err error
	if m.Database, err = snap.Format(); err == nil && m.Database == 0 {
		err = ErrNothing
	}
	if err == nil {
		var domain []byte
		if domain, err = snap.Get(keyDomain); errors.Is(err, store.ErrNotFound) { // nobody has started a server on it yet
			err = nil
		}
		m.Domain = string(domain)
	}
	if err == nil {
		m.Accounts, err = snap.Count("account/")
	}
	if err == nil {
		m.Entries, err = snap.Entries()
	}
	if err != nil {
		return fmt.Errorf("server: back up: %w", err)
	}
	parts, err := identityParts(dir)
	if err != nil {
		return err
	}
	parts = append(parts, backup.Part{Name: backup.Database, Size: snap.Size(), Write: func(w io.Writer) error { return snap.Copy(ctx, w) }})
	if err := begun(m, snap.Size()); err != nil {
		return fmt.Errorf("server: back up: %w", err)
	}
	out := bufio.NewWriterSize(w, backupBuffer)
	if err = backup.Write(out, m, parts); err == nil {
		err = out.Flush()
	}
	if err != nil {
		return fmt.Errorf("server: back up: %w", err)
	}
	return nil
}

// identityParts are the certificate and the key that the server has made itself, if it has.
func identityParts(dir string) (parts []backup.Part, err error) {
	for _, name := range []string{certName, keyName} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("server: back up the key: %w", err)
		}
		parts = append(parts, backup.Bytes(name, b))
	}
	return parts, nil
}

// CallBackup writes a backup of the server that runs on a data directory to w; ErrNoServer means that there is none.
// begun is told about how many bytes there will be. Without an error the other end has sent all that it had; whether
// that is whole, backup.Read tells. An answer with a condition says that the server refused.
func CallBackup(ctx context.Context, dir string, w io.Writer, begun func(size int64)) (admin.Answer, error) {
	var answer admin.Answer
	conn, err := dialControl(ctx, dir)
	if err != nil {
		return answer, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	if err := json.NewEncoder(conn).Encode(admin.Request{Node: nodeBackup}); err != nil {
		return answer, fmt.Errorf("server: ask on the control socket: %w", err)
	}
	in := bufio.NewReaderSize(conn, backupBuffer)
	line, err := in.ReadSlice('\n')
	if err == nil {
		err = json.Unmarshal(line, &answer)
	}
	if err != nil {
		return answer, errors.Join(ctx.Err(), fmt.Errorf("server: read from the control socket: %w", err))
	}
	if answer.Condition != "" {
		return answer, nil
	}
	size, _ := strconv.ParseInt(append(answer.Values["bytes"], "")[0], 10, 64)
	begun(size)
	if _, err := io.Copy(w, in); err != nil {
		return answer, errors.Join(ctx.Err(), err)
	}
	return answer, nil
}

// OwnBackup is CallBackup for a data directory that no server runs on, made by this process. Errors are those of
// sqlite.OpenSnapshot (store.ErrInUse: somebody has it after all), ErrNothing, and w's.
func OwnBackup(ctx context.Context, dir, version string, w io.Writer, begun func(size int64)) error {
	if err := cutOff(dir); err != nil {
		return err
	}
	at := time.Now()
	snap, err := sqlite.OpenSnapshot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNothing
	}
	if err != nil {
		return fmt.Errorf("server: %w", err)
	}
	err = writeBackup(ctx, w, snap, at, dir, version, func(_ backup.Manifest, size int64) error { begun(size); return nil })
	return errors.Join(err, snap.Close())
}
