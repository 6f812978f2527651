// Package lockfile provides locks that exclude other processes of this program.
package lockfile

import (
	"context"
	"os"
	"runtime"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// Held is a lock that this process holds. Several goroutines must not use it at the same time.
type Held struct{ file *lockedfile.File }

// Lock acquires the lock on the file at path. It creates a missing file with mode 0600 and does not
// follow a symlink at path. It blocks until no other process holds the lock, or until ctx is done;
// then it returns the error of ctx. The kernel releases the lock when its holder dies. Several
// processes and goroutines may call Lock at the same time. They acquire the lock in no particular
// order.
//
// Another process may remove the file at any time. A process that waited for the lock on a removed
// file opens the new file, so the lock is always on the file that is at path when Lock returns.
func Lock(ctx context.Context, path string) (*Held, error) {
	type result struct {
		held *Held
		err  error
	}
	done := make(chan result)
	go func() { // the system call cannot be canceled
		held, err := lock(ctx, path)
		select {
		case done <- result{held, err}:
		case <-ctx.Done():
			held.Unlock()
		}
	}()
	select {
	case r := <-done:
		return r.held, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func lock(ctx context.Context, path string) (*Held, error) {
	for ctx.Err() == nil {
		file, err := lockedfile.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o600)
		if err != nil {
			return nil, err
		}
		if isFileAt(file, path) {
			repairMode(file.File)
			return &Held{file}, nil
		}
		file.Close()
	}
	return nil, ctx.Err()
}

// isFileAt reports whether the open file is still the file at path.
func isFileAt(file *lockedfile.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, named)
}

// Unlock releases the lock. It does not remove the file. It does nothing if h is nil or if it was
// called before.
func (h *Held) Unlock() {
	if h != nil && h.file != nil {
		h.file.Close()
		h.file = nil
	}
}

// repairMode sets the mode to 0600 if an unusual umask removed the owner's permissions, because then
// the next process cannot open the file. It ignores an error. It keeps every other mode, because
// path may be a hard link to another file.
func repairMode(f *os.File) {
	if fi, err := f.Stat(); err == nil && runtime.GOOS != "windows" && fi.Mode().Perm()&0o600 != 0o600 {
		_ = f.Chmod(0o600)
	}
}
