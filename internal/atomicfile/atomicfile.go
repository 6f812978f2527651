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
	f, err := Create(path, 0)
	if err != nil {
		return err
	}
	defer f.Discard()
	return f.Commit(path, data, perm, sync)
}

// Replace is Write, with sync, for a file that is there: the new one has old's mode, and its owner and group as far as
// this process may give files away. Where it may not keep the group, the new group gets no rights.
func Replace(path string, data []byte, old fs.FileInfo) error {
	f, err := Create(path, 0)
	if err != nil {
		return err
	}
	defer f.Discard()
	perm := old.Mode().Perm()
	if !keepOwner(f.temp, old) {
		perm &^= 0o070
	}
	return f.Commit(path, data, perm, true)
}

// File is a temporary file that is going to be a file of the same directory.
type File struct{ temp *os.File }

// Create creates a temporary file beside path, for its owner alone, and writes size bytes to it, so that a disk without
// room for them is an error now.
func Create(path string, size int) (*File, error) {
	temp, err := os.CreateTemp(filepath.Dir(path), ".tmp-"+filepath.Base(path)+"-*") // O_EXCL, 0600
	if err != nil {
		return nil, err
	}
	f := &File{temp}
	if _, err := temp.Write(make([]byte, size)); err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

// Commit makes data the file's content and renames it to path, as Write does.
func (f *File) Commit(path string, data []byte, perm fs.FileMode, sync bool) error {
	if _, err := f.temp.WriteAt(data, 0); err != nil {
		return err
	}
	if err := f.temp.Truncate(int64(len(data))); err != nil {
		return err
	}
	if err := f.temp.Chmod(perm); err != nil {
		return err
	}
	if sync {
		if err := f.temp.Sync(); err != nil {
			return err
		}
	}
	if err := f.temp.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.temp.Name(), path); err != nil {
		return err
	}
	f.temp = nil
	return nil
}

// Discard removes the temporary file unless it was committed. It may be called again.
func (f *File) Discard() {
	if f.temp != nil {
		f.temp.Close()
		os.Remove(f.temp.Name())
		f.temp = nil
	}
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
