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
	// An unusual umask may have removed bits that the owner needs.
	return os.Chmod(dir, 0o700) // #nosec G302 -- a directory
}

// checkPrivate returns an error if dir is not owned by this user or is accessible to others. fi is
// the Lstat of dir.
func checkPrivate(_ string, fi fs.FileInfo) error {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("it is owned by user %d, not by %d", st.Uid, os.Geteuid())
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return errors.New("other users can access it (its mode must be 0700)")
	}
	return nil
}

// isWritable reports whether this user can create files in dir. It checks the mode and access(2):
// for root, access reports that /proc is writable, although nothing can be created there.
func isWritable(dir string, fi fs.FileInfo) bool {
	const w = 2 // W_OK
	return fi.Mode().Perm()&0o222 != 0 && syscall.Access(dir, w) == nil
}
