// Package lockfile makes processes of this program wait for each other.
package lockfile

import (
	"context"
	"os"
	"runtime"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// Held is a lock that this process has.
type Held struct{ file *lockedfile.File }

// Lock takes the lock that the file at path is. It makes the file, for its owner alone, and follows no symlink there. It
// blocks until nobody else holds the lock or ctx is done, whichever is first, and the error is then ctx's. The kernel
// releases the lock when its holder dies. Any number of processes and goroutines may call it; who is next is not said.
func Lock(ctx context.Context, path string) (*Held, error) {
	type locked struct {
		file *lockedfile.File
		err  error
	}
	done := make(chan locked)
	go func() { // the system's call knows no context
		file, err := lockedfile.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
		if err == nil {
			readable(file.File)
		}
		select {
		case done <- locked{file, err}:
		case <-ctx.Done():
			if err == nil {
				file.Close()
			}
		}
	}()
	select {
	case l := <-done:
		if l.err != nil {
			return nil, l.err
		}
		return &Held{l.file}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Unlock releases the lock. The file stays.
func (h *Held) Unlock() { h.file.Close() }

// Gone says whether the file that is locked is no longer the one at its path: who held the lock before removed it.
func (h *Held) Gone() bool {
	mine, err := h.file.Stat()
	if err != nil {
		return true
	}
	there, err := os.Lstat(h.file.Name())
	return err != nil || !os.SameFile(mine, there)
}

// readable mends the mode of a file that was made under a umask which takes its owner's rights: the
// next process could not open it. If that fails, that process then has no lock. Other modes stay,
// since the name may be a hard link to a file that is not a lock.
func readable(f *os.File) {
	if fi, err := f.Stat(); err == nil && runtime.GOOS != "windows" && fi.Mode().Perm()&0o600 != 0o600 {
		_ = f.Chmod(0o600)
	}
}
