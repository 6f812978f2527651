package lockfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// Whoever waits for another waits no longer than it may, and leaves no lock behind.
func TestLockWaitsNoLongerThanItMay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token.json.lock")
	held, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with the lock taken: %v", err)
	}
	held.Unlock()
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	held, err = Lock(ctx, path)
	if err != nil {
		t.Fatalf("with the lock free again: %v", err)
	}
	held.Unlock()
}

// Only one holds it at a time.
func TestLockExcludes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var holders atomic.Int32
	done := make(chan error)
	for range 20 {
		go func() {
			held, err := Lock(t.Context(), path)
			if err == nil {
				if holders.Add(1) != 1 {
					err = errors.New("two hold it")
				}
				holders.Add(-1)
				held.Unlock()
			}
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestLockFile(t *testing.T) {
	dir := t.TempDir()
	held, err := Lock(t.Context(), filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	held.Unlock()
	if fi, err := os.Stat(filepath.Join(dir, "lock")); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if runtime.GOOS != "windows" { // as a umask of 0777 leaves it
		if err := os.Chmod(filepath.Join(dir, "lock"), 0o400); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(filepath.Join(dir, "lock"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		readable(f)
		if fi, err := os.Stat(f.Name()); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("after a strange umask: %v, %v", fi.Mode(), err)
		}
	}
	var open *os.PathError
	for _, path := range []string{dir, filepath.Join(dir, "none", "lock")} {
		if _, err := Lock(t.Context(), path); !errors.As(err, &open) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	target := filepath.Join(dir, "target")
	if err := os.Symlink(target, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(t.Context(), filepath.Join(dir, "link")); err == nil {
		t.Error("followed a symlink")
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("made what a symlink points to")
	}
}

// A lock whose file was removed is still a lock for those that wait for it, and says so.
func TestGone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not remove a file that is open")
	}
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if first.Gone() {
		t.Error("gone while it is there")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !first.Gone() {
		t.Error("not gone after it was removed")
	}
	second, err := Lock(t.Context(), path) // another file
	if err != nil {
		t.Fatal(err)
	}
	defer second.Unlock()
	if !first.Gone() || second.Gone() {
		t.Error("the old lock takes the new file for its own, or the new one not")
	}
	first.Unlock()
}

// The name may be a hard link to a file that is no lock: its mode stays.
func TestLockKeepsMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no mode bits")
	}
	path := filepath.Join(t.TempDir(), "lock")
	if err := os.WriteFile(path, []byte("root:x:0:0"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	held, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	held.Unlock()
	if fi, err := os.Stat(path); err != nil || fi.Mode() != 0o644 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}
