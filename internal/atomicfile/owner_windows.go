package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
)

const nonBlock = 0 // Windows keeps its named pipes apart from files

// absolute returns path as an absolute path.
func absolute(path string) (string, error) { return filepath.Abs(path) }

// anotherUsers reports nothing: on Windows, making a symlink takes a right of its own.
func anotherUsers(fs.FileInfo) (uid uint32, other bool) { return 0, false }

// keepOwner has nothing to do: the folder's access list decides.
func keepOwner(*os.File, fs.FileInfo) bool { return true }
