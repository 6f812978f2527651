//go:build !windows

package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

func checkOwner(_ string, fi fs.FileInfo) error {
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to user %d, not to %d", st.Uid, os.Geteuid())
	}
	if fi.Mode().Perm()&0o077 != 0 {
		return errors.New("others may enter it (its mode must be 0700)")
	}
	return nil
}

// writable asks the kernel, and checks the mode too: for root the kernel says yes of /proc, where nothing can be created.
func writable(dir string, fi fs.FileInfo) bool {
	const w = 2 // W_OK
	return fi.Mode().Perm()&0o222 != 0 && syscall.Access(dir, w) == nil
}
