package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("12345678"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, fi, err := Read(path, 8)
	if err != nil || string(b) != "12345678" || fi.Size() != 8 || !fi.Mode().IsRegular() {
		t.Errorf("a file of the limit's size: %q, %v, %v", b, fi, err)
	}
	if b, _, err := Read(path, 7); err == nil || err.Error() != "it is larger than 7 bytes" || b != nil {
		t.Errorf("a larger file: %q, %v", b, err)
	}
	if _, _, err := Read(path+"x", 8); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, _, err := Read(filepath.Dir(path), 8); err == nil {
		t.Error("a folder: no error")
	}
	b, fi, err = Read(os.DevNull, 8)
	if err != nil || len(b) > 0 {
		t.Fatalf("%s: %q, %v", os.DevNull, b, err)
	}
	if err := Replace(filepath.Join(filepath.Dir(path), "null"), nil, fi); !errors.Is(err, errNotRegular) {
		t.Errorf("replacing a device: %v", err)
	}
	onlyFile(t, path)
}

// Target resolves every symlink on the way, and keeps what does not exist.
func TestTarget(t *testing.T) {
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
		"absolute": filepath.Join(dir, "a", "f"), "relative": filepath.Join("a", "f"),
		"chain": "relative", "folder": filepath.Join("a", "b"), "nothing": filepath.Join("no", "such"),
		"itself": "itself", "round": "about", "about": "round",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Skip(err)
		}
	}
	t.Chdir(dir)
	for path, want := range map[string]string{
		"a/f": "a/f", "absolute": "a/f", "relative": "a/f", "chain": "a/f", "./a//./f": "a/f",
		"a/b/../f": "a/f", "folder/new": "a/b/new", "nothing": "no/such", "nothing/more": "no/such/more", "new/er": "new/er",
	} {
		want := filepath.Join(dir, filepath.FromSlash(want))
		for _, path := range []string{path, dir + string(filepath.Separator) + path} {
			if got, err := ResolveSymlinks(path); err != nil || got != want {
				t.Errorf("Target(%s) = %s, %v, want %s", path, got, err, want)
			}
		}
	}
	for _, path := range []string{"itself", "round", "round/x"} {
		if got, err := ResolveSymlinks(path); err == nil || !strings.Contains(err.Error(), "too many symlinks") {
			t.Errorf("Target(%s) = %s, %v", path, got, err)
		}
	}
}
