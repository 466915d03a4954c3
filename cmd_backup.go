package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"parley/backup"
	"parley/config"
	"parley/ext/admin"
	"parley/server"
	"parley/xmpp/stanza"
)

// backupCommand is `parley backup`.
func (p *program) backupCommand() *cobra.Command {
	var flags settingFlags
	var force bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "write all that the server keeps to one file, while it runs or not",
		Long: `parley backup writes the accounts, all messages and the server's own key to one file: everything that was accepted
before it began. The server goes on meanwhile. The file is whole or not there, it has been read again and checked, and only
you can read it. It is a tar archive, not compressed.

What is not in it: the configuration file, and a certificate that tls.cert names.`,
		Args: words("FILE"),
	}
	flags.addTo(cmd, func(s config.Setting) bool { return s.Key == "data" })
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE if it exists")
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		c, err := flags.load(p)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		m, err := p.backUp(ctx, c.Data, given[0], force)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.out, "Backed up %s to %s: %s.\n", harmless(named(m)), given[0], contents(m))
		return nil
	}
	return cmd
}

// named is the domain that a backup is of.
func named(m backup.Manifest) string {
	if m.Domain == "" {
		return "a server without a domain"
	}
	return m.Domain
}

// contents is what is in a backup: "3 accounts, 1234 archived messages".
func contents(m backup.Manifest) string {
	return count(int(m.Accounts), "account") + ", " + count(int(m.Entries), "archived message")
}

// backUp writes a backup of the data in dir to the file name.
func (p *program) backUp(ctx context.Context, dir, name string, force bool) (m backup.Manifest, err error) {
	if err := vacant(name, force); err != nil {
		return m, err
	}
	// Beside its place, so that it can be renamed; readable by its owner only.
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return m, writeFailure(err, name)
	}
	m, err = p.fill(ctx, f, dir, name)
	if wrong := errors.Join(f.Sync(), f.Close()); err == nil && wrong != nil {
		err = writeFailure(wrong, name)
	}
	if err == nil {
		err = vacant(name, force)
	}
	if err == nil {
		if wrong := os.Rename(f.Name(), name); wrong != nil {
			err = writeFailure(wrong, name)
		}
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return m, err
	}
	d, err := os.Open(filepath.Dir(name)) // the name is on the disk when the directory is
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	if err != nil {
		return m, writeFailure(err, name)
	}
	return m, nil
}

// vacant returns a failure when a backup cannot be given a name.
func vacant(name string, force bool) error {
	info, err := os.Lstat(name)
	switch {
	case err == nil && info.IsDir():
		return misuse("parley backup "+quoted(filepath.Join(name, "parley.tar")), "%s is a directory", name)
	case err == nil && !force:
		return &failure{code: exitFailed, what: name + " exists already; nothing was written", fix: "another name\nreplace it:  --force"}
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return writeFailure(err, name)
	}
	return nil
}

// fill writes the backup into f, and reads it again to see that it is whole.
func (p *program) fill(ctx context.Context, f *os.File, dir, name string) (m backup.Manifest, err error) {
	g := p.newProgress("backup")
	defer g.end()
	to := func(gentle bool) io.Writer { return io.MultiWriter(&backupFile{ctx: ctx, f: f, gentle: gentle}, g) }
	begun := func(size int64) { g.total = 2 * size }
	err = withData(ctx, dir, func() error {
		answer, err := server.CallBackup(ctx, dir, to(true), begun)
		if err == nil && answer.Condition != "" {
			return backupRefused(answer, dir)
		}
		return asWriteFailure(err, name)
	}, func() error { return asWriteFailure(server.OwnBackup(ctx, dir, version, to(false), begun), name) })
	if err != nil {
		return m, backupFailure(err, dir)
	}
	if _, err = f.Seek(0, io.SeekStart); err == nil {
		m, err = backup.Read(io.TeeReader(backup.UntilDone(ctx, f), g), nil)
	}
	switch {
	case errors.Is(err, backup.ErrDamaged), errors.Is(err, backup.ErrForeign):
		return m, &failure{code: exitFailed, what: "the backup broke off; nothing was kept",
			why: "the server stopped, or its log says why", fix: "try again"}
	case err != nil && !errors.Is(err, context.Canceled):
		return m, writeFailure(err, name)
	}
	return m, err
}

// gentleBytes is how much of a backup is written at a time while a server runs.
const gentleBytes = 1 << 20

// backupFile is the file of a backup on its way. Its errors are told from those of others. A gentle one leaves the disk to
// the server for half of the time: else the server's own writes, which people wait for, would stand behind all those that
// a file of some size has at once, for a second or so.
type backupFile struct {
	ctx    context.Context
	f      *os.File
	gentle bool

	dirty int // bytes since the last Sync
	began time.Time
}

// markedError is an error of the file.
type markedError struct{ error }

func (b *backupFile) Write(p []byte) (int, error) {
	if b.dirty == 0 {
		b.began = time.Now()
	}
	n, err := b.f.Write(p)
	if b.dirty += n; err == nil && b.gentle && b.dirty >= gentleBytes {
		b.dirty = 0
		err = b.f.Sync()
		select {
		case <-time.After(time.Since(b.began)):
		case <-b.ctx.Done():
		}
	}
	if err != nil {
		err = markedError{err}
	}
	return n, err
}

// asWriteFailure words an error that the file has met.
func asWriteFailure(err error, name string) error {
	var marked markedError
	if errors.As(err, &marked) {
		return writeFailure(marked.error, name)
	}
	return err
}

// writeFailure words why a backup cannot be kept under a name. It is the file's, or the directory's that it is to be in.
func writeFailure(err error, name string) error {
	f := &failure{code: exitFailed, what: "cannot write " + name, fix: "another place for it:  parley backup FILE"}
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		f.what, f.fix = "there is no room for "+name+"; nothing was kept of it", "make room\n"+f.fix
	case errors.As(err, &path):
		f.why = path.Err.Error()
	case errors.As(err, &link):
		f.why = link.Err.Error()
	default:
		f.why = err.Error()
	}
	if errors.Is(err, fs.ErrPermission) {
		f.why += " (running as user " + userName() + ")"
	}
	return f
}

// backupRefused words what a server has refused.
func backupRefused(r admin.Answer, dir string) error {
	switch r.Condition {
	case stanza.Conflict:
		return &failure{code: exitFailed, what: "another backup of " + dir + " is being made", fix: "wait for it"}
	case stanza.ResourceConstraint:
		return &failure{code: exitFailed, what: "the disk with " + dir + " is full", why: "while a backup is made the server needs some room",
			fix: "make room; nothing that was kept is lost"}
	}
	return adminFailure(r, dir, "")
}

// backupFailure words why there is no backup.
func backupFailure(err error, dir string) error {
	var said *failure
	switch {
	case errors.As(err, &said), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, server.ErrNothing):
		return &failure{code: exitFailed, what: "there is nothing to back up in " + dir, why: "no server has kept anything there yet",
			fix: "the directory of the server:  --data DIR"}
	}
	if f := dataFailure(err, dir); f != nil {
		return f
	}
	return &failure{code: exitFailed, what: "the data in " + dir + " cannot be read", why: err.Error()}
}
