package atomicfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ResolveSymlinks resolves every symlink in a path, also if the file does not exist.
func TestResolveSymlinks(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{
		"absolute": filepath.Join(dir, "a", "f"),
		"relative": filepath.Join("a", "f"),
		"chain":    "relative",
		"dir":      filepath.Join("a", "b"),
		"dangling": filepath.Join("no", "such"),
		"self":     "self", "loop1": "loop2", "loop2": "loop1",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	t.Chdir(dir)
	for path, want := range map[string]string{
		"a/f": "a/f", "absolute": "a/f", "relative": "a/f", "chain": "a/f", "./a//./f": "a/f",
		"a/b/../f": "a/f", "dir/new": "a/b/new", "new/file": "new/file",
		"dangling": "no/such", "dangling/file": "no/such/file",
	} {
		want := filepath.Join(dir, filepath.FromSlash(want))
		for _, path := range []string{path, dir + string(filepath.Separator) + path} {
			if got, err := ResolveSymlinks(path); err != nil || got != want {
				t.Errorf("ResolveSymlinks(%s) = %s, %v, want %s", path, got, err, want)
			}
		}
	}
	for _, path := range []string{"self", "loop1", "loop1/x"} {
		got, err := ResolveSymlinks(path)
		if err == nil || !strings.Contains(err.Error(), "too many symlinks") {
			t.Errorf("ResolveSymlinks(%s) = %s, %v", path, got, err)
		}
	}
}
