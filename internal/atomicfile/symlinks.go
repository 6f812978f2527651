package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxSymlinks is the number of symlinks in one path that Linux follows (path_resolution(7)).
const maxSymlinks = 40

// ResolveSymlinks returns path as an absolute path without symlinks. The file and its directories
// do not have to exist. If this process runs as root, a symlink of another user is an error, because that
// user could choose the file that root creates or changes. A user who has write permission for a
// directory of the path can still replace that directory after ResolveSymlinks has returned.
func ResolveSymlinks(path string) (string, error) {
	path, err := absolute(path)
	if err != nil {
		return "", err
	}
	const separator = string(filepath.Separator)
	volume := filepath.VolumeName(path)
	resolved := volume + separator
	rest := strings.Split(filepath.FromSlash(path[len(volume):]), separator)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		switch name {
		case "", ".":
			continue
		case "..":
			resolved = filepath.Dir(resolved)
			continue
		}
		next := filepath.Join(resolved, name)
		fi, err := os.Lstat(next)
		// An error is not returned here, because opening the file reports it.
		if err != nil || fi.Mode()&fs.ModeSymlink == 0 {
			resolved = next
			continue
		}
		if links++; links > maxSymlinks {
			return "", errors.New("there are too many symlinks in its path")
		}
		if uid, other := otherOwner(fi); other {
			return "", fmt.Errorf("root does not follow the symlink %s, which user %d owns; "+
				"run this command as that user, or specify its target", next, uid)
		}
		link, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if volume := filepath.VolumeName(link); filepath.IsAbs(link) {
			resolved, link = volume+separator, link[len(volume):]
		}
		rest = append(strings.Split(filepath.FromSlash(link), separator), rest...)
	}
	return resolved, nil
}
