package cache

import "io/fs"

func checkOwner(string, fs.FileInfo) error { return nil }

// writable is not known before it is tried.
func writable(string, fs.FileInfo) bool { return true }
