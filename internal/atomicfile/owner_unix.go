//go:build unix

package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// nonBlock opens a FIFO without waiting for a writer. For a regular file it changes nothing.
const nonBlock = syscall.O_NONBLOCK

// absolute returns path as an absolute path. It keeps "..", because that leaves the folder that a
// symlink before it leads to.
func absolute(path string) (string, error) {
	if filepath.IsAbs(path) {
		return path, nil
	}
	dir, err := os.Getwd()
	return dir + "/" + path, err
}

// anotherUsers reports whether this process runs as root and the file belongs to another user, and
// returns that user's id.
func anotherUsers(fi fs.FileInfo) (uid uint32, other bool) {
	stat, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return 0, false
	}
	return stat.Uid, stat.Uid != 0
}

// keepOwner gives f to the owner and group of old, which matters when root edits a user's file. It
// says whether the group is now old's; the owner alone may stay another. It is done to the file,
// and not to its name, which another user may by then have put on something else.
func keepOwner(f *os.File, old fs.FileInfo) bool {
	was, ok := old.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	if f.Chown(int(was.Uid), int(was.Gid)) == nil || f.Chown(-1, int(was.Gid)) == nil {
		return true
	}
	fi, err := f.Stat()
	if err != nil {
		return false
	}
	is, ok := fi.Sys().(*syscall.Stat_t)
	return ok && is.Gid == was.Gid
}
