//go:build !windows

package cache

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func fifo(path string) error { return syscall.Mkfifo(path, 0o600) }

// Whatever the umask is, only the owner can access the directory and the entries.
func TestModes(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o077, 0o277} {
		dir := filepath.Join(t.TempDir(), "deep", "c")
		if umask&0o200 != 0 { // such a umask would apply to the parent directory too
			if err := os.Mkdir(filepath.Dir(dir), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		old := syscall.Umask(umask)
		c, err := Open([]string{dir}, secret)
		if err == nil {
			err = c.Put("id", login())
		}
		syscall.Umask(old)
		if err != nil {
			t.Fatalf("umask %03o: %v", umask, err)
		}
		for path, want := range map[string]os.FileMode{
			dir:                       os.ModeDir | 0o700,
			filepath.Dir(dir):         os.ModeDir | 0o700,
			c.path("id", entrySuffix): 0o600,
		} {
			if fi, err := os.Lstat(path); err != nil || fi.Mode() != want {
				t.Errorf("umask %03o: %s has mode %v, %v, want %v", umask, path,
					fi.Mode(), err, want)
			}
		}
	}
}

// A directory that other users can access is neither used nor repaired. The next directory is used.
func TestUnsuitableDirectory(t *testing.T) {
	for _, tt := range []struct {
		name   string
		create func(dir string) error
		want   string
	}{
		{"symlink", func(dir string) error {
			if err := os.Mkdir(dir+"-target", 0o700); err != nil {
				return err
			}
			return os.Symlink(dir+"-target", dir)
		}, "it is not a directory (file type L"},
		{"dangling symlink", func(dir string) error { return os.Symlink(dir+"-none", dir) },
			"it is not a directory (file type L"},
		{"group-readable", func(dir string) error { return mkdir(dir, 0o740) },
			"its mode must be 0700"},
		{"world-searchable", func(dir string) error { return mkdir(dir, 0o701) },
			"its mode must be 0700"},
		{"sticky", func(dir string) error { return mkdir(dir, 0o777|os.ModeSticky) },
			"its mode must be 0700"},
		{"owned by another user", func(dir string) error {
			if err := mkdir(dir, 0o700); err != nil {
				return err
			}
			return os.Chown(dir, os.Geteuid()+1, -1)
		}, "it is owned by user "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "c")
			if err := tt.create(dir); err != nil {
				if os.Geteuid() != 0 {
					t.Skip(err)
				}
				t.Fatal(err)
			}
			before, err := os.Lstat(dir)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Open([]string{dir}, secret)
			if c != nil || err == nil || !strings.Contains(err.Error(), tt.want) ||
				!strings.Contains(err.Error(), dir) {
				t.Errorf("Open: %v, want %s", err, tt.want)
			}
			if after, err := os.Lstat(dir); err != nil || after.Mode() != before.Mode() {
				t.Errorf("the mode changed from %v to %v, %v", before.Mode(),
					after.Mode(), err)
			}
			next := filepath.Join(t.TempDir(), "next")
			if c, err := Open([]string{dir, next}, secret); err != nil || c.Dir() != next {
				t.Errorf("with a second directory: %v", err)
			}
		})
	}
}

func mkdir(dir string, mode os.FileMode) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, mode)
}

// In a read-only directory, Put and Remove return an error and the entries stay.
func TestReadOnlyDirectory(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can write everywhere")
	}
	c := cacheWithEntry(t)
	if err := os.Chmod(c.Dir(), 0o500); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(c.Dir(), 0o700) })
	if err := c.Put("id", login()); err == nil || !strings.HasPrefix(err.Error(),
		"storing a cache entry: ") {
		t.Errorf("Put: %v", err)
	}
	if err := c.Remove("id"); err == nil || !strings.HasPrefix(err.Error(),
		"deleting a cache entry: ") {
		t.Errorf("Remove: %v", err)
	}
	if _, ok := c.Get("id"); !ok {
		t.Error("the entry is gone")
	}
}
