package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("12345678"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, fi, err := Read(path, 8)
	if err != nil || string(b) != "12345678" || fi.Size() != 8 || !fi.Mode().IsRegular() {
		t.Errorf("a file of the maximum size: %q, %v, %v", b, fi, err)
	}
	b, _, err = Read(path, 7)
	if err == nil || err.Error() != "it is larger than 7 bytes" || b != nil {
		t.Errorf("a larger file: %q, %v", b, err)
	}
	if _, _, err := Read(path+"x", 8); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, _, err := Read(filepath.Dir(path), 8); err == nil {
		t.Error("a directory: no error")
	}
	b, fi, err = Read(os.DevNull, 8)
	if err != nil || len(b) > 0 {
		t.Fatalf("%s: %q, %v", os.DevNull, b, err)
	}
	err = Replace(filepath.Join(filepath.Dir(path), "null"), nil, fi)
	if !errors.Is(err, errNotRegular) {
		t.Errorf("replacing a device: %v", err)
	}
	checkOnlyFile(t, path)
}
