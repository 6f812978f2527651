//go:build unix

package atomicfile

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Root's edit of a user's file leaves it the user's.
func TestReplaceKeepsModeAndOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		uid, gid = 12345, 23456
	}
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	old, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, []byte("new"), old); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	is := fi.Sys().(*syscall.Stat_t)
	if b, err := os.ReadFile(path); err != nil || string(b) != "new" || fi.Mode() != 0o640 || int(is.Uid) != uid || int(is.Gid) != gid {
		t.Errorf("%q, %v, mode %v, owner %d:%d, want 0640 and %d:%d", b, err, fi.Mode(), is.Uid, is.Gid, uid, gid)
	}
	onlyFile(t, path)
}
