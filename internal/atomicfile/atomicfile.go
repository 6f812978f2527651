// Package atomicfile writes a file whole or not at all, and reads one that may be anything.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

var errNotRegular = errors.New("it is not a regular file")

// Read returns the content of the file at path, and what the file is. It returns an error for a file
// of more than limit bytes, and for one that is not regular, such as a FIFO or a device; it does not
// block on these. os.DevNull is an empty file, as it is to other programs.
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
		return nil, nil, fmt.Errorf("it is larger than %s", inWords(limit))
	}
	return b, fi, nil
}

// inWords writes a limit in the unit of which it is a multiple.
func inWords(limit int64) string {
	switch {
	case limit%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", limit>>20)
	case limit%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", limit>>10)
	}
	return fmt.Sprintf("%d bytes", limit)
}

// Write puts data into the file at path, by way of a temporary file in the same directory and a
// rename, so that a reader sees the old content or the new one and never a part. The new file has
// mode perm whatever the umask is. The data has reached the disk before the rename ("a zero-length
// file is a valid and possible outcome after the rename" otherwise, see
// github.com/google/renameio). When it fails, the old file is as it was and no temporary file stays
// behind. It follows no symlink: path itself is replaced.
func Write(path string, data []byte, perm fs.FileMode) error {
	f, err := CreateTemp(path, 0)
	if err != nil {
		return err
	}
	defer f.Discard()
	return f.commitDurably(path, data, perm)
}

// Replace is Write for a file that is there: the new one has old's mode, and its owner and group as
// far as this process may give files away. Where it may not keep the group, the new group gets no
// rights. A device is not replaced.
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
	if !keepOwner(f.temp, old) {
		perm &^= 0o070
	}
	return f.commitDurably(path, data, perm)
}

// TempFile is a temporary file that is going to be a file of the same directory.
type TempFile struct{ temp *os.File }

// CreateTemp creates a temporary file beside path, for its owner alone, and writes size bytes to it, so
// that a disk without room for them is an error now.
func CreateTemp(path string, size int) (*TempFile, error) {
	temp, err := os.CreateTemp(filepath.Dir(path), ".tmp-"+filepath.Base(path)+"-*") // O_EXCL, 0600
	if err != nil {
		return nil, err
	}
	f := &TempFile{temp}
	if _, err := temp.Write(make([]byte, size)); err != nil {
		f.Discard()
		return nil, err
	}
	return f, nil
}

// Commit makes data the file's content and renames it to path, as Write does, but does not wait for
// the disk: after a power failure, the file at path may be empty or torn.
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
	if err := f.temp.Sync(); err != nil {
		return err
	}
	return f.rename(path)
}

func (f *TempFile) write(data []byte, perm fs.FileMode) error {
	if _, err := f.temp.WriteAt(data, 0); err != nil {
		return err
	}
	if err := f.temp.Truncate(int64(len(data))); err != nil {
		return err
	}
	return f.temp.Chmod(perm)
}

func (f *TempFile) rename(path string) error {
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
func (f *TempFile) Discard() {
	if f.temp != nil {
		f.temp.Close()
		os.Remove(f.temp.Name())
		f.temp = nil
	}
}

// ResolveSymlinks returns the path of the file that an edit of path changes: path with every symlink in it
// resolved. The file and its folders need not exist. If this process runs as root, a symlink of
// another user is an error, because that user would choose what root creates or changes. A user who
// can change a folder of the path can still replace that folder after ResolveSymlinks has returned.
func ResolveSymlinks(path string) (string, error) {
	path, err := absolute(path)
	if err != nil {
		return "", err
	}
	const separator = string(filepath.Separator)
	volume := filepath.VolumeName(path)
	at, rest := volume+separator, strings.Split(filepath.FromSlash(path[len(volume):]), separator)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, name)
		fi, err := os.Lstat(next)
		if err != nil || fi.Mode()&fs.ModeSymlink == 0 { // an error is the opener's to report
			at = next
			continue
		}
		if links++; links > mostLinks {
			return "", errors.New("there are too many symlinks in its path")
		}
		if uid, other := anotherUsers(fi); other {
			return "", fmt.Errorf("%s is a symlink of the user with id %d, which root does not follow; "+
				"run this as that user, or name the folder that it leads to", next, uid)
		}
		link, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if volume := filepath.VolumeName(link); filepath.IsAbs(link) {
			at, link = volume+separator, link[len(volume):]
		}
		rest = append(strings.Split(filepath.FromSlash(link), separator), rest...)
	}
	return at, nil
}

// mostLinks is the number of symlinks in one path that Linux follows (path_resolution(7)).
const mostLinks = 40
