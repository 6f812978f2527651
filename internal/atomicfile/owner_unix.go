//go:build unix

package atomicfile

import (
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives f to the owner and group of old, which matters when root edits a user's file. It says whether the
// group is now old's; the owner alone may stay another. It is done to the file, and not to its name, which another
// user may by then have put on something else.
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
