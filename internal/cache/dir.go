package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// createAndCheckDir creates dir if it is missing, and checks it.
func createAndCheckDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := createDir(dir); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return checkDir(dir)
}

// checkDir returns an error if secrets cannot be stored in dir. It must be a directory, not a
// symlink, owned by this user, and not accessible to other users. On Windows, Administrators and
// SYSTEM may have access.
func checkDir(dir string) error {
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("it is not a directory (file type %v)", fi.Mode().Type())
	}
	return checkPrivate(dir, fi)
}

// notCreatedError is the error of checkExistingDir for a directory that createAndCheckDir would
// create. It wraps fs.ErrNotExist.
type notCreatedError struct{ error }

func (e notCreatedError) Unwrap() error { return e.error }

// checkExistingDir is checkDir for callers that only read. Its error is a notCreatedError if dir
// does not exist and could be created.
func checkExistingDir(dir string) error {
	err := checkDir(dir)
	if errors.Is(err, os.ErrNotExist) && canCreate(dir) {
		return notCreatedError{err}
	}
	return err
}

// canCreate reports whether a missing directory could be created: whether its nearest existing
// parent is writable.
func canCreate(dir string) bool {
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		fi, err := os.Stat(parent)
		if err == nil {
			return fi.IsDir() && isWritable(parent, fi)
		}
		if parent == filepath.Dir(parent) || !errors.Is(err, os.ErrNotExist) {
			return false
		}
	}
}
