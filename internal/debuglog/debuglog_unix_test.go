//go:build unix

package debuglog

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// Concurrent writers write complete lines, and nothing beyond the maximum size.
func TestConcurrentWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	const writers, lines = 8, 2000
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			log := &logFile{path: path}
			for range lines {
				fmt.Fprintf(log, "[%d] %s\n", i, strings.Repeat(fmt.Sprint(i), 100))
			}
		})
	}
	group.Wait()
	b, err := os.ReadFile(path)
	if err != nil || len(b) > maxSize+writers*105 || len(b) < maxSize-105 {
		t.Fatalf("%d bytes, %v; want about %d", len(b), err, maxSize)
	}
	line := regexp.MustCompile(`^\[(\d)\] \d{100}\n$`)
	for text := range strings.Lines(string(b)) {
		if m := line.FindStringSubmatch(text); m == nil || strings.Count(text, m[1]) != 101 {
			t.Fatalf("an incomplete line: %q", text)
		}
	}
	before := len(b)
	if n, err := (&logFile{path: path}).Write(make([]byte, 200)); n != 200 || err != nil {
		t.Errorf("at the maximum size: %d, %v", n, err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() != int64(before) {
		t.Errorf("the file grew from %d bytes: %v, %v", before, fi, err)
	}
}

// A pipe with a reader can be opened, but nothing is written to it.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if n, err := (&logFile{path: path}).Write([]byte("line\n")); n != 5 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	if n, err := reader.Read(make([]byte, 10)); n != 0 {
		t.Errorf("read %d bytes from the pipe, %v", n, err)
	}
}
