package sqlite

import (
	"errors"
	"os"
	"syscall"
)

// freeBytes is how many bytes are free for us on the file system of dir.
func freeBytes(dir string) (n int64, ok bool) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true
}

// allocate gives f room on the disk for at least half of n bytes behind its end, without making it longer.
func allocate(f *os.File, n int64) error {
	const keepSize = 1 // FALLOC_FL_KEEP_SIZE
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if has, ok := allocated(info); !ok || has >= info.Size()+n/2 {
		return nil
	}
	for {
		if err = syscall.Fallocate(int(f.Fd()), keepSize, info.Size(), n); err != syscall.EINTR {
			return err
		}
	}
}

// allocated is how many bytes of the disk a file has.
func allocated(info os.FileInfo) (n int64, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int64(st.Blocks) * 512, true
}

// isFull tells whether an error says that there is no room, or not for this user.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }
