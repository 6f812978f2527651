package dockerconfig

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/atomicfile"
	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/lockfile"
)

// Lock acquires the lock for editing the file at path, so that concurrent edits by this program do
// not overwrite each other. It blocks for at most timeout. If another process still holds the lock
// then, the error names the lock file. Lock creates a missing directory. On a file system without
// locks, it does nothing.
//
// Docker and Podman edit these files without a lock. If one of them writes the file during an edit by
// this program, one of the two edits is lost.
//
// The file itself cannot be the lock, because every edit replaces it. The lock is a separate file in
// the same directory. The holder removes it, so that no extra file remains in the directory, which
// may be a mounted volume or be used by one job only. A process that waited for the removed file then
// creates and locks a new one. On Windows the lock file remains, because an open file cannot be
// removed.
func Lock(path string, timeout time.Duration) (unlock func(), err error) {
	path, err = atomicfile.ResolveSymlinks(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".ecr-oidc.lock")
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	held, err := lockfile.Lock(ctx, name)
	switch {
	case errors.Is(err, errors.ErrUnsupported): // Lustre can be mounted without locks
		return func() {}, nil
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("another process holds the lock file %s; "+
			"wait for that process or stop it, and try again", name)
	case err != nil && isSymlink(name):
		return nil, fmt.Errorf("the lock file %s is a symlink; remove it", name)
	case err != nil:
		return nil, err
	}
	return func() {
		if runtime.GOOS != "windows" {
			os.Remove(name)
		}
		held.Unlock()
	}, nil
}

func isSymlink(path string) bool {
	fi, err := os.Lstat(path)
	return err == nil && fi.Mode()&fs.ModeSymlink != 0
}
