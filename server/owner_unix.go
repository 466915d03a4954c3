//go:build unix

package server

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"parley/store/sqlite"
)

// likeDirectory gives files that root has made in from to the owner of the directory dir, for which they are: the server
// seldom runs as root.
func likeDirectory(dir, from string, names []string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	of, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	err = os.Lchown(filepath.Join(dir, sqlite.LockName), int(of.Uid), int(of.Gid))
	for _, name := range names {
		err = errors.Join(err, os.Lchown(filepath.Join(from, name), int(of.Uid), int(of.Gid)))
	}
	return err
}
