//go:build unix

package debuglog

import (
	"os"
	"syscall"
)

// openAppend opens or creates the file at path for appending. It does not follow a symlink and does
// not block on a pipe. It returns nil unless the file is a regular file that this user owns and that
// has no other hard link.
func openAppend(path string) *os.File {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil
	}
	fi, err := f.Stat()
	if err == nil && fi.Mode().IsRegular() {
		st, ok := fi.Sys().(*syscall.Stat_t)
		if ok && int(st.Uid) == os.Geteuid() && st.Nlink == 1 {
			return f
		}
	}
	_ = f.Close()
	return nil
}
