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
func Write(path string, data []byte, perm fs.FileMode, sync bool) (err error) {
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
	if err := f.Chmod(perm); err != nil {
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
