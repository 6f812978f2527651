package cache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// OpenExisting creates neither the directory nor its parents. If the directory exists, the cache has
// the entries that Open would find.
func TestOpenExisting(t *testing.T) {
	temp := t.TempDir()
	for _, dir := range []string{filepath.Join(temp, "c"), filepath.Join(temp, "a", "b", "c")} {
		c, err := OpenExisting([]string{dir, filepath.Join(temp, "second")}, secret)
		if c != nil || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, %v", dir, c, err)
		}
	}
	if files, err := os.ReadDir(temp); err != nil || len(files) > 0 {
		t.Errorf("it created %v, %v", files, err)
	}

	dir := filepath.Join(temp, "c")
	if err := openCache(t, dir, secret).Put("id", login()); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	c, err := OpenExisting([]string{dir + "/"}, secret)
	if err != nil || c.Dir() != dir {
		t.Fatalf("OpenExisting = %v, %v", c, err)
	}
	c.now = func() time.Time { return noon }
	if e, ok := c.Get("id"); !ok || e.Secret != login().Secret {
		t.Errorf("Get = %v, %v", e, ok)
	}
	if _, ok := c.Get("another"); ok {
		t.Error("an entry that was not stored")
	}
	if after, err := os.Stat(dir); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("the directory was changed: %v", err)
	}
}

// OpenExisting skips unsuitable directories as Open does. Its error names each of them.
func TestOpenExistingSkips(t *testing.T) {
	temp := t.TempDir()
	file := filepath.Join(temp, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := openCache(t, filepath.Join(temp, "good"), secret)
	if c, err := OpenExisting([]string{file, good.Dir()}, secret); err != nil ||
		c.Dir() != good.Dir() {
		t.Errorf("OpenExisting = %v, %v", c, err)
	}
	unsuitable := []string{file}
	if runtime.GOOS != "windows" {
		link, open := filepath.Join(temp, "link"), filepath.Join(temp, "open")
		err := errors.Join(os.Symlink(good.Dir(), link), os.Mkdir(open, 0o700),
			os.Chmod(open, 0o755))
		if err != nil {
			t.Fatal(err)
		}
		unsuitable = append(unsuitable, link, open)
	}
	c, err := OpenExisting(unsuitable, secret)
	if c != nil || err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("OpenExisting = %v, %v", c, err)
	}
	for _, dir := range unsuitable {
		if !strings.Contains(err.Error(), dir) {
			t.Errorf("%v\ndoes not name %s", err, dir)
		}
	}
	if c, err := OpenExisting(nil, secret); c != nil || err == nil {
		t.Errorf("without directories: %v, %v", c, err)
	}
}

// Read returns an expired entry, which Get does not.
func TestRead(t *testing.T) {
	c := cacheWithEntry(t)
	c.now = func() time.Time { return noon.Add(13 * time.Hour) }
	if e, ok := c.Read("id"); !ok || e.Secret != login().Secret {
		t.Errorf("Read = %v, %v", e, ok)
	}
	if _, ok := c.Get("id"); ok {
		t.Error("Get returns an expired entry")
	}
	if _, ok := c.Read("another"); ok {
		t.Error("Read returns an entry that does not exist")
	}
}
