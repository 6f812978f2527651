package debuglog

import "os"

// openAppend opens or creates the file at path for appending. It returns nil unless path is a regular
// file. Windows cannot refuse a symlink on opening, so openAppend checks path before and after.
func openAppend(path string) *os.File {
	if fi, err := os.Lstat(path); err == nil && !fi.Mode().IsRegular() {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil
	}
	opened, err := f.Stat()
	if err == nil {
		named, err := os.Lstat(path)
		if err == nil && named.Mode().IsRegular() && os.SameFile(opened, named) {
			return f
		}
	}
	_ = f.Close()
	return nil
}
