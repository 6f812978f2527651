//go:build unix

package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What never ends, or never begins, is not read.
func TestReadIsNotKept(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/zero", "/dev/tty", filepath.Dir(fifo)} {
		b, _, err := Read(path, 8)
		if path == "/dev/tty" && err != nil { // there may be no terminal
			continue
		}
		if !errors.Is(err, errNotRegular) {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
}

// Target follows ".." out of what a symlink leads to, as the system does.
func TestTargetOfParent(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	err = errors.Join(os.MkdirAll("a/b", 0o700), os.Symlink("a/b", "link"), os.Symlink("link/../f", "through"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"link/../f", dir + "/link/../f", "through"} {
		if got, err := ResolveSymlinks(path); err != nil || got != dir+"/a/f" {
			t.Errorf("Target(%s) = %s, %v", path, got, err)
		}
	}
}

// Root follows its own symlinks, and no other user's: neither in place of the file nor of a folder, and
// not behind one of its own.
func TestTargetForRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be root")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"theirs": "f", "folder": "a", "own": "folder/f", "mine": "a/f"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"theirs", "folder"} {
		if err := os.Lchown(filepath.Join(dir, link), 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	for path, link := range map[string]string{
		"theirs": "theirs", "folder/f": "folder", "folder/../f": "folder", "own": "folder",
	} {
		want := filepath.Join(dir, link) + " is a symlink of the user with id 12345, " +
			"which root does not follow; run this as that user, or name the folder that it leads to"
		if got, err := ResolveSymlinks(dir + "/" + path); err == nil || err.Error() != want {
			t.Errorf("Target(%s) = %s, %v", path, got, err)
		}
	}
	got, err := ResolveSymlinks(filepath.Join(dir, "mine"))
	if err != nil || got != filepath.Join(dir, "a", "f") {
		t.Errorf("of root's own: %s, %v", got, err)
	}
}
