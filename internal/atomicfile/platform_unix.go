//go:build unix

package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// nonBlock opens a FIFO without waiting for a writer. It has no effect on regular files.
const nonBlock = syscall.O_NONBLOCK

// absolute returns path as an absolute path. It keeps "..", because ".." after a symlink is the
// parent of the directory that the symlink points to.
func absolute(path string) (string, error) {
	if filepath.IsAbs(path) {
		return path, nil
	}
	dir, err := os.Getwd()
	return dir + "/" + path, err
}

// otherOwner returns the user ID of the file's owner. It reports true if this process runs as root
// and root does not own the file.
func otherOwner(fi fs.FileInfo) (uid uint32, other bool) {
	stat, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return 0, false
	}
	return stat.Uid, stat.Uid != 0
}

// keepOwner gives f the owner and the group of old, so that a user still owns a file that root has
// edited. It reports whether f has the group of old; the owner may differ even then. It changes the
// open file, because another user may have put a different file at its path.
func keepOwner(f *os.File, old fs.FileInfo) bool {
	want, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	if f.Chown(int(want.Uid), int(want.Gid)) == nil || f.Chown(-1, int(want.Gid)) == nil {
		return true
	}
	fi, err := f.Stat()
	if err != nil {
		return false
	}
	got, ok := fi.Sys().(*syscall.Stat_t)
	return ok && got.Gid == want.Gid
}
