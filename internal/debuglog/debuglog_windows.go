package debuglog

import "os"

// open opens or creates the file at path to append to it. It returns nil unless path is a
// regular file. To create a symlink takes a privilege there.
func open(path string) *os.File {
	if fi, err := os.Lstat(path); err == nil && !fi.Mode().IsRegular() {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil
	}
	there, err := os.Lstat(path)
	if fi, errOpened := f.Stat(); err == nil && errOpened == nil && there.Mode().IsRegular() &&
		os.SameFile(fi, there) {
		return f
	}
	_ = f.Close()
	return nil
}
