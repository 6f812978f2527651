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

// Lock makes runs of this program that edit the file at path wait for each other: each reads what
// the one before it wrote. It blocks for at most wait. If another process still holds the lock then,
// it returns an error that names the lock file. A folder that is missing is made. Docker and podman
// edit these files without any lock, so an edit of theirs in the same millisecond may still be lost,
// or ours be.
//
// The file itself cannot be the lock, since every edit puts a new one in its place. The lock is a
// file beside it, under a name that is ours alone, and it is removed again: Docker's folder holds
// nothing more than before, and what has nothing but config.json in it, as a job's folder or a
// mounted one, stays so. Only its holder removes it, and a process that was waiting for it locks a
// new file. On Windows it stays, since a file that is open cannot be removed.
func Lock(path string, wait time.Duration) (unlock func(), err error) {
	path, err = atomicfile.ResolveSymlinks(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".ecr-oidc.lock")
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	held, err := lockfile.Lock(ctx, name)
	switch {
	case errors.Is(err, errors.ErrUnsupported): // a file system without locks, as Lustre can be
		return func() {}, nil
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("another process holds the lock file %s; wait for that process or end "+
			"it, and try again", name)
	case err != nil && isSymlink(name):
		return nil, fmt.Errorf("the lock file %s is a symlink, which is not followed; remove it", name)
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
