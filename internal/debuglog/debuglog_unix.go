//go:build unix

package debuglog

import (
	"os"
	"syscall"
)

// open opens or creates the file at path to append to it. It follows no symlink and does
// not wait for the reader of a pipe. It returns nil unless the file is a regular file of this user
// with one name.
func open(path string) *os.File {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil
	}
	fi, err := f.Stat()
	if err == nil && fi.Mode().IsRegular() {
		if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) == os.Geteuid() &&
			st.Nlink == 1 {
			return f
		}
	}
	_ = f.Close()
	return nil
}
