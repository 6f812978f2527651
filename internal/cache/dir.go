package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// makeDir creates dir if it is missing, and checks it.
func makeDir(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := createDir(dir); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return checkDir(dir)
}

// checkDir returns an error unless dir can hold secrets: a directory of this user, not a symlink, that
// no other user may enter. On Windows, Administrators and SYSTEM may enter it.
func checkDir(dir string) error {
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("it is not a directory but %v", fi.Mode().Type())
	}
	return checkOwner(dir, fi)
}

// notCreatedError is findDir's error for a directory that makeDir would create. It wraps os.ErrNotExist.
type notCreatedError struct{ error }

func (e notCreatedError) Unwrap() error { return e.error }

// findDir is checkDir for a caller that only reads.
func findDir(dir string) error {
	err := checkDir(dir)
	if errors.Is(err, os.ErrNotExist) && canCreate(dir) {
		return notCreatedError{err}
	}
	return err
}

// canCreate reports whether a missing directory could be created: its nearest existing parent is writable.
func canCreate(dir string) bool {
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		fi, err := os.Stat(parent)
		if err == nil {
			return fi.IsDir() && writable(parent, fi)
		}
		if parent == filepath.Dir(parent) || !errors.Is(err, os.ErrNotExist) {
			return false
		}
	}
}
