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

// Lock returns when its context is done, and does not acquire the lock later.
func TestLockTimeout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token.json.lock")
	held, err := Lock(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while the lock is held: %v", err)
	}
	held.Unlock()
	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	held, err = Lock(ctx, path)
	if err != nil {
		t.Fatalf("after the lock was released: %v", err)
	}
	held.Unlock()
}

func TestLockExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	var holders atomic.Int32
	done := make(chan error)
	for range 20 {
		go func() {
			held, err := Lock(t.Context(), path)
			if err == nil {
				if holders.Add(1) != 1 {
					err = errors.New("two goroutines hold the lock")
				}
				holders.Add(-1)
				held.Unlock()
			}
			done <- err
		}()
	}
	for range 20 {
		if err := <-done; err != nil {
			t.Errorf("Lock: %v", err)
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
	fi, err := os.Stat(filepath.Join(dir, "lock"))
	if err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if runtime.GOOS != "windows" { // a umask of 0777 has a similar effect
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
			t.Errorf("after repairMode: %v, %v", fi.Mode(), err)
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
		t.Error("Lock followed a symlink")
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("Lock created the target of a symlink")
	}
}

// A process that waited for the lock on a removed file locks the new file, so two processes never
// hold the lock on one path at the same time.
func TestLockRemovedFile(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows cannot remove an open file")
	}
	path := filepath.Join(t.TempDir(), "lock")
	for range 50 {
		first, err := Lock(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		var holders, maxHolders atomic.Int32
		var waiters sync.WaitGroup
		for range 4 { // some open the file before it is removed, others open the new file
			waiters.Go(func() {
				held, err := Lock(t.Context(), path)
				if err != nil {
					t.Errorf("Lock: %v", err)
					return
				}
				maxHolders.Store(max(maxHolders.Load(), holders.Add(1)))
				runtime.Gosched()
				time.Sleep(time.Millisecond) // long enough to overlap with a second holder
				holders.Add(-1)
				held.Unlock()
			})
		}
		time.Sleep(time.Millisecond) // so that some goroutines wait; their number does not matter
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		first.Unlock()
		waiters.Wait()
		if n := maxHolders.Load(); n != 1 {
			t.Fatalf("%d goroutines held the lock at the same time", n)
		}
	}
}

// Unlock can be called twice, and on nil.
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

// The path may be a hard link to a file that is not a lock. Its mode must not change.
func TestLockKeepsMode(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no mode bits")
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
