package atomicfile

import (
	"io/fs"
	"os"
)

// keepOwner has nothing to do: the folder's access list decides.
func keepOwner(*os.File, fs.FileInfo) bool { return true }
