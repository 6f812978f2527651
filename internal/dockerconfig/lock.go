package dockerconfig

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/atomicfile"
)

// Lock makes runs of this program that edit the file at path wait for each other: each reads what the one before it
// wrote. A folder that is missing is made. Docker and podman edit these files without any lock, so an edit of theirs in
// the same millisecond may still be lost, or ours be.
//
// The file itself cannot be the lock, since every edit puts a new one in its place. The lock is a file beside it, under
// a name that is ours alone, and it is removed again: Docker's folder holds nothing more than before, and what has
// nothing but config.json in it, as a job's folder or a mounted one, stays so. Only its holder removes it, and whoever
// was waiting for a file that is gone looks again. On Windows it stays, since a file that is open cannot be removed.
func Lock(path string) (unlock func(), err error) {
	path = atomicfile.Target(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".ecr-oidc.lock")
	for {
		f, err := lockedfile.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if errors.Is(err, errors.ErrUnsupported) { // a file system without locks, such as Lustre mounted so
			return func() {}, nil
		}
		if err != nil {
			return nil, err
		}
		locked, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		if there, err := os.Stat(name); err == nil && os.SameFile(locked, there) {
			return func() {
				if runtime.GOOS != "windows" {
					os.Remove(name)
				}
				f.Close()
			}, nil
		}
		f.Close()
	}
}
