//go:build unix

package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// ".." after a symlink is the parent of the directory that the symlink points to.
func TestResolveSymlinksParent(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	err = errors.Join(
		os.MkdirAll("a/b", 0o700),
		os.Symlink("a/b", "link"),
		os.Symlink("link/../f", "indirect"),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"link/../f", dir + "/link/../f", "indirect"} {
		if got, err := ResolveSymlinks(path); err != nil || got != dir+"/a/f" {
			t.Errorf("ResolveSymlinks(%s) = %s, %v", path, got, err)
		}
	}
}

// Root follows its own symlinks but not those of other users. That applies to the file, to a directory
// of its path, and to a symlink that a symlink of root points to.
func TestResolveSymlinksAsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{
		"user-file": "f", "user-dir": "a", "root-to-user": "user-dir/f", "root-file": "a/f",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"user-file", "user-dir"} {
		if err := os.Lchown(filepath.Join(dir, link), 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	for path, link := range map[string]string{
		"user-file": "user-file", "user-dir/f": "user-dir", "user-dir/../f": "user-dir",
		"root-to-user": "user-dir",
	} {
		want := "root does not follow the symlink " + filepath.Join(dir, link) +
			", which user 12345 owns; run this command as that user, or specify its target"
		if got, err := ResolveSymlinks(dir + "/" + path); err == nil || err.Error() != want {
			t.Errorf("ResolveSymlinks(%s) = %s, %v", path, got, err)
		}
	}
	got, err := ResolveSymlinks(filepath.Join(dir, "root-file"))
	if err != nil || got != filepath.Join(dir, "a", "f") {
		t.Errorf("a symlink of root: %s, %v", got, err)
	}
}
