package atomicfile

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, data := range []string{"first", "", "second, longer"} {
		if err := Write(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != data {
			t.Errorf("read back %q, %v, want %q", got, err, data)
		}
	}
	if fi, _ := os.Stat(path); runtime.GOOS != "windows" && fi.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", fi.Mode())
	}
	checkOnlyFile(t, path)
}

// A failed Write removes its temporary file.
func TestWriteFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "d")
	// A file cannot be renamed over a directory that is not empty.
	if err := os.MkdirAll(filepath.Join(path, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("x"), 0o600); err == nil {
		t.Fatal("Write replaced a directory")
	}
	checkOnlyFile(t, path)
}

// Concurrent readers never see a part of a file.
func TestWriteAtomic(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	versions := [][]byte{bytes.Repeat([]byte("a"), 1<<16), bytes.Repeat([]byte("b"), 1<<15)}
	if err := Write(path, versions[0], 0o600); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for i := range 200 {
		writers.Go(func() {
			err := Write(path, versions[i%2], 0o600)
			if err != nil && runtime.GOOS != "windows" {
				t.Error(err)
			}
		})
	}
	for range 200 {
		got, err := os.ReadFile(path)
		if err != nil && runtime.GOOS == "windows" {
			continue // a sharing violation during the rename
		}
		if !bytes.Equal(got, versions[0]) && !bytes.Equal(got, versions[1]) {
			t.Fatalf("read %d bytes of an incomplete file: %v", len(got), err)
		}
	}
	writers.Wait()
}

// checkOnlyFile checks that path is the only entry of its directory.
func checkOnlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("directory contains %v, %v, want only %s", entries, err, filepath.Base(path))
	}
}
