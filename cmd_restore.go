package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"parley/backup"
	"parley/config"
	"parley/server"
)

// restoreCommand is `parley restore`.
func (p *program) restoreCommand() *cobra.Command {
	var flags settingFlags
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "make a data directory of a backup",
		Long: `parley restore makes a data directory of a file that parley backup has written. The directory must not be there yet, or be
empty. The whole file is checked before anything is written; if something goes wrong, nothing is left behind.`,
		Args: words("FILE"),
	}
	flags.addTo(cmd, func(s config.Setting) bool { return s.Key == "data" })
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		c, err := flags.load(p)
		if err != nil {
			return err
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		m, err := p.restore(ctx, given[0], c.Data)
		if err != nil {
			return restoreFailure(err, m, given[0], c.Data)
		}
		fmt.Fprintf(p.out, "Restored %s into %s, as it was at %s: %s.\n", harmless(named(m)), c.Data,
			m.Time.Local().Format("15:04 on 2 Jan 2006"), contents(m))
		if onTerminal(p.out) {
			fmt.Fprintf(p.out, "\n  start it           parley server --data %s\n", quoted(c.Data))
		}
		return nil
	}
	return cmd
}

// restore makes the data directory dir of the backup that the file name holds.
func (p *program) restore(ctx context.Context, name, dir string) (m backup.Manifest, err error) {
	f, err := os.Open(name)
	if err != nil {
		return m, readFailure(err, name, "parley restore FILE")
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		return m, misuse("parley restore FILE", "%s is not a file", name)
	}
	if err != nil {
		return m, readFailure(err, name, "parley restore FILE")
	}
	g := p.newProgress("restore")
	defer g.end()
	g.total, g.then = 2*info.Size(), "looking through the database"
	r := io.TeeReader(backup.UntilDone(ctx, f), g)
	if m, err = server.CheckBackup(r); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	g.done = info.Size()
	if err == nil {
		err = server.Restore(ctx, r, dir)
	}
	return m, err
}

// restoreFailure words why a backup was not restored.
func restoreFailure(err error, m backup.Manifest, name, dir string) error {
	var said *failure
	switch {
	case errors.As(err, &said), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, backup.ErrForeign):
		return &failure{code: exitFailed, what: name + " is not a backup of parley; nothing was restored", why: packed(name),
			fix: "a file that  parley backup FILE  has written"}
	case errors.Is(err, backup.ErrDamaged):
		return &failure{code: exitFailed, what: "the backup " + name + " is damaged; nothing was restored",
			why: between(errors.New(err.Error()+"\n"), backup.ErrDamaged.Error()+": ", "\n"), fix: "another copy of it, or an older backup"}
	case errors.Is(err, server.ErrOldDamage):
		return &failure{code: exitFailed, what: "the backup " + name + " is of a database that was damaged already; nothing was restored",
			fix: "an older backup"}
	case errors.Is(err, backup.ErrNewer):
		return &failure{code: exitFailed, what: name + " was written by a newer version of parley; nothing was restored",
			why: "it is " + harmless(m.Version) + ", this one is " + version, fix: "install that version, or a later one"}
	case errors.Is(err, server.ErrNotEmpty):
		return &failure{code: exitFailed, what: dir + " is not empty; nothing was restored",
			why: "a backup is never restored over what is there", fix: "another directory:  --data " + quoted(besides(dir))}
	}
	if f := dataFailure(err, dir); f != nil {
		return f
	}
	return &failure{code: exitFailed, what: "nothing was restored into " + dir, why: err.Error()}
}

// packed is a reason why a file is no backup: it has been compressed, as its name says.
func packed(name string) string {
	switch filepath.Ext(name) {
	case ".gz", ".tgz", ".zst", ".xz", ".bz2", ".age", ".gpg":
		return "by its name it is packed: unpack it first"
	}
	return ""
}
