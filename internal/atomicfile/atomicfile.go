// Package atomicfile is the one way in which this program writes a file: whole, or not at all.
package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
)

// Write puts data into the file at path, by way of a temporary file in the same directory and a rename, so that a
// reader sees the old content or the new one and never a part. The new file has mode perm whatever the umask is.
// With sync the data has reached the disk before the rename, which is what a file that cannot be made again needs
// ("a zero-length file is a valid and possible outcome after the rename", see github.com/google/renameio). When it
// fails, the old file is as it was and no temporary file stays behind. It follows no symlink: path itself is replaced.
func Write(path string, data []byte, perm fs.FileMode, sync bool) error {
	return write(path, data, sync, func(f *os.File) error { return f.Chmod(perm) })
}

// Replace is Write, with sync, for a file that is there: the new one has old's mode, and its owner and group as far as
// this process may give files away. Where it may not keep the group, the new group gets no rights.
func Replace(path string, data []byte, old fs.FileInfo) error {
	return write(path, data, true, func(f *os.File) error {
		perm := old.Mode().Perm()
		if !keepOwner(f, old) {
			perm &^= 0o070
		}
		return f.Chmod(perm)
	})
}

func write(path string, data []byte, sync bool, prepare func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-"+filepath.Base(path)+"-*") // O_EXCL, 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := prepare(f); err != nil {
		return err
	}
	if sync {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Target follows symlinks at path, also one whose target is still to be made: for a file that a person has linked to
// where it really lies, which is then what is to be replaced.
func Target(path string) string {
	for range 40 {
		link, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(link) {
			link = filepath.Join(filepath.Dir(path), link)
		}
		path = link
	}
	return path
}
