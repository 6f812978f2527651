package atomicfile

import (
	"io/fs"
	"os"
	"path/filepath"
)

const nonBlock = 0 // named pipes are not in the file system on Windows

// absolute returns path as an absolute path.
func absolute(path string) (string, error) { return filepath.Abs(path) }

// otherOwner always returns false, because creating a symlink requires a privilege on Windows.
func otherOwner(fs.FileInfo) (uid uint32, other bool) { return 0, false }

// keepOwner does nothing, because a new file inherits the access control list of its directory.
func keepOwner(*os.File, fs.FileInfo) bool { return true }
