// Package lockfile makes processes of this program wait for each other.
package lockfile

import (
	"context"
	"os"
	"runtime"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// Held is a lock that this process holds.
type Held struct{ file *lockedfile.File }

// Lock takes the lock on the file at path. It creates a missing file with mode 0600 and does not
// follow a symlink there. It blocks until no other process holds the lock, or ctx is done; the
// error is then ctx's. The kernel releases the lock when its holder dies. Any number of processes
// and goroutines may call it; they get the lock in no particular order.
//
// Another process may remove the file at any time. The lock is always on the file that is at path
// when Lock returns: a process that has waited for a file that was removed meanwhile opens the new
// one.
func Lock(ctx context.Context, path string) (*Held, error) {
	type result struct {
		held *Held
		err  error
	}
	done := make(chan result)
	go func() { // the system call does not know the context
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
		if isAt(file, path) {
			repairMode(file.File)
			return &Held{file}, nil
		}
		file.Close()
	}
	return nil, ctx.Err()
}

// isAt reports whether path still names the open file.
func isAt(file *lockedfile.File, path string) bool {
	opened, err := file.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(path)
	return err == nil && os.SameFile(opened, named)
}

// Unlock releases the lock. The file stays. Unlock does nothing for a nil lock and when it is called again.
func (h *Held) Unlock() {
	if h != nil && h.file != nil {
		h.file.Close()
		h.file = nil
	}
}

// repairMode gives the file its mode when an unusual umask removed its owner's rights: the next
// process could not open it. If that fails, the next process has no lock. Other modes stay, since
// the name may be a hard link to another file.
func repairMode(f *os.File) {
	if fi, err := f.Stat(); err == nil && runtime.GOOS != "windows" && fi.Mode().Perm()&0o600 != 0o600 {
		_ = f.Chmod(0o600)
	}
}
