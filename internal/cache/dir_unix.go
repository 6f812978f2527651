//go:build !windows

package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// createDir creates dir for this user alone.
func createDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	// An unusual umask may have removed bits that are needed.
	return os.Chmod(dir, 0o700) // #nosec G302 -- a directory
}

// checkOwner returns an error unless dir, whose Lstat is fi, belongs to this user and admits no other.
func checkOwner(_ string, fi fs.FileInfo) error {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to user %d, not to %d", st.Uid, os.Geteuid())
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return errors.New("others may enter it (its mode must be 0700)")
	}
	return nil
}

// writable reports what the kernel does, and checks the mode too: the kernel reports that root can write
// to /proc, where nothing can be created.
func writable(dir string, fi fs.FileInfo) bool {
	const w = 2 // W_OK
	return fi.Mode().Perm()&0o222 != 0 && syscall.Access(dir, w) == nil
}
