// Package atomicfile reads small files safely and replaces files atomically.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

var errNotRegular = errors.New("it is not a regular file")

// Read returns the content and the file information of the file at path. It returns an error if the
// file is larger than limit bytes or is not regular, such as a FIFO or a device. It does not block
// on such files. os.DevNull reads as an empty file.
func Read(path string, limit int64) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !fi.Mode().IsRegular() {
		if null, err := os.Stat(os.DevNull); err != nil || !os.SameFile(fi, null) {
			return nil, nil, errNotRegular
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(b)) > limit {
		return nil, nil, fmt.Errorf("it is larger than %s", formatSize(limit))
	}
	return b, fi, nil
}

// formatSize formats a number of bytes in the largest unit of which it is a multiple.
func formatSize(bytes int64) string {
	switch {
	case bytes%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", bytes>>20)
	case bytes%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", bytes>>10)
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// Write replaces or creates the file at path. It writes a temporary file in the same directory and
// renames it, so a reader sees either the old content or the new content. The new file has mode
// perm, whatever the umask is. If path is a symlink, the symlink itself is replaced.
//
// Write flushes the data to disk before the rename. Without that, "a zero-length file is a valid and
// possible outcome after the rename" (github.com/google/renameio). If Write fails, it leaves the old
// file unchanged and removes the temporary file.
func Write(path string, data []byte, perm fs.FileMode) error {
	f, err := CreateTemp(path, 0)
	if err != nil {
		return err
	}
	defer f.Discard()
	return f.commitDurably(path, data, perm)
}

// Replace is like Write, but the new file gets the mode of old, which describes the current file at
// path. It also gets the owner and the group of old, as far as this process has permission to set
// them. If the group cannot be kept, the new file grants its group no permissions. Replace returns
// an error if old is not a regular file.
func Replace(path string, data []byte, old fs.FileInfo) error {
	if !old.Mode().IsRegular() {
		return errNotRegular
	}
	f, err := CreateTemp(path, 0)
	if err != nil {
		return err
	}
	defer f.Discard()
	perm := old.Mode().Perm()
	if !keepOwner(f.file, old) {
		perm &^= 0o070
	}
	return f.commitDurably(path, data, perm)
}

// TempFile is a temporary file that Commit renames to its final path in the same directory.
type TempFile struct{ file *os.File }

// CreateTemp creates a temporary file in the directory of path, with mode 0600. It writes size bytes
// to the file, so that a full disk is reported now and not by Commit.
func CreateTemp(path string, size int) (*TempFile, error) {
	// os.CreateTemp opens the file with O_EXCL and mode 0600.
	file, err := os.CreateTemp(filepath.Dir(path), ".tmp-"+filepath.Base(path)+"-*")
	if err != nil {
		return nil, err
	}
	f := &TempFile{file}
	if _, err := file.Write(make([]byte, size)); err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

// Commit writes data to the file and renames it to path, as Write does. Unlike Write, it does not
// flush the data to disk: after a power failure, the file at path may be empty or incomplete.
func (f *TempFile) Commit(path string, data []byte, perm fs.FileMode) error {
	if err := f.write(data, perm); err != nil {
		return err
	}
	return f.rename(path)
}

func (f *TempFile) commitDurably(path string, data []byte, perm fs.FileMode) error {
	if err := f.write(data, perm); err != nil {
		return err
	}
	if err := f.file.Sync(); err != nil {
		return err
	}
	return f.rename(path)
}

func (f *TempFile) write(data []byte, perm fs.FileMode) error {
	if _, err := f.file.WriteAt(data, 0); err != nil {
		return err
	}
	if err := f.file.Truncate(int64(len(data))); err != nil {
		return err
	}
	return f.file.Chmod(perm)
}

func (f *TempFile) rename(path string) error {
	if err := f.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.file.Name(), path); err != nil {
		return err
	}
	f.file = nil
	return nil
}

// Discard removes the temporary file unless it was committed. It can be called more than once.
func (f *TempFile) Discard() {
	if f.file != nil {
		f.file.Close()
		os.Remove(f.file.Name())
		f.file = nil
	}
}
