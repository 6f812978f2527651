package lockfile

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
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
		repairMode(f)
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

// A process that has waited for a file which was removed meanwhile locks the new file: two never hold the lock of one
// path at the same time.
func TestLockFileRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows does not remove a file that is open")
	}
	path := filepath.Join(t.TempDir(), "lock")
	for range 50 {
		first, err := Lock(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		var holders, most atomic.Int32
		var waiters sync.WaitGroup
		for range 4 { // some have the file open before it is removed, and some open the new one
			waiters.Go(func() {
				held, err := Lock(t.Context(), path)
				if err != nil {
					t.Error(err)
					return
				}
				most.Store(max(most.Load(), holders.Add(1)))
				runtime.Gosched()
				time.Sleep(time.Millisecond) // long enough for a second holder to be seen
				holders.Add(-1)
				held.Unlock()
			})
		}
		time.Sleep(time.Millisecond) // so that some are waiting; it does not matter how many
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		first.Unlock()
		waiters.Wait()
		if n := most.Load(); n != 1 {
			t.Fatalf("%d processes held the lock at the same time", n)
		}
	}
}

// Unlock may be called twice, and without a lock.
func TestUnlock(t *testing.T) {
	held, err := Lock(t.Context(), filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	held.Unlock()
	held.Unlock()
	held = nil
	held.Unlock()
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
