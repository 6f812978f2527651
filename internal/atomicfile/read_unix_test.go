//go:build unix

package atomicfile

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
)

// Read does not block on FIFOs and devices.
func TestReadSpecialFile(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, "/dev/zero", "/dev/tty", filepath.Dir(fifo)} {
		b, _, err := Read(path, 8)
		if path == "/dev/tty" && err != nil { // the test may run without a terminal
			continue
		}
		if !errors.Is(err, errNotRegular) {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
}
