package cache

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	noon   = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	secret = []byte("request-token-of-this-job")
)

// openCache opens a cache in dir whose clock always returns noon.
func openCache(t testing.TB, dir string, secret []byte) *Cache {
	t.Helper()
	c, err := Open([]string{dir}, secret)
	if err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return noon }
	return c
}

// cacheWithEntry returns a cache with one entry, whose key is "id".
func cacheWithEntry(t testing.TB) *Cache {
	t.Helper()
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	if err := c.Put("id", login()); err != nil {
		t.Fatal(err)
	}
	return c
}

func login() Entry {
	return Entry{Username: "AWS", Secret: "the-password", CreatedAt: noon, TTL: 12 * time.Hour,
		FreshFor: 12 * time.Hour}
}

func TestEntryTimes(t *testing.T) {
	const second = time.Second
	for _, tt := range []struct {
		age, ttl, freshFor time.Duration
		fresh              bool
		remaining          time.Duration
	}{
		{0, 12 * time.Hour, 12 * time.Hour, true, 12*time.Hour - margin},
		{12*time.Hour - margin - second, 12 * time.Hour, 12 * time.Hour, true, second},
		{12*time.Hour - margin, 12 * time.Hour, 12 * time.Hour, false, 0},
		{12 * time.Hour, 12 * time.Hour, 12 * time.Hour, false, 0},
		{1000 * time.Hour, 12 * time.Hour, 12 * time.Hour, false, 0},
		{-second, 12 * time.Hour, 12 * time.Hour, false, 0}, // the clock was set back
		{0, margin + second, 12 * time.Hour, true, second},
		{0, margin, 12 * time.Hour, false, 0},
		{0, 0, 12 * time.Hour, false, 0},
		{0, -time.Hour, 12 * time.Hour, false, 0},
		{time.Hour - second, 12 * time.Hour, time.Hour, true, 11*time.Hour - margin + second},
		// The role session has expired.
		{time.Hour, 12 * time.Hour, time.Hour, false, 11*time.Hour - margin},
		{0, 12 * time.Hour, 0, false, 12*time.Hour - margin},
		{0, 12 * time.Hour, -second, false, 12*time.Hour - margin},
	} {
		e := Entry{CreatedAt: noon, TTL: tt.ttl, FreshFor: tt.freshFor}
		now := noon.Add(tt.age)
		if e.IsFresh(now) != tt.fresh || e.Remaining(now) != tt.remaining ||
			e.IsUsable(now) != (tt.remaining > 0) {
			t.Errorf("TTL %v, fresh for %v, after %v: fresh %v, remaining %v", tt.ttl,
				tt.freshFor,
				tt.age, e.IsFresh(now), e.Remaining(now))
		}
	}
}

func TestPutGetRemove(t *testing.T) {
	c := cacheWithEntry(t)
	got, ok := c.Get("id")
	if !ok || got.Username != "AWS" || got.Secret != "the-password" || !got.CreatedAt.Equal(noon) ||
		got.TTL != 12*time.Hour {
		t.Errorf("Get = %+v, %v", got, ok)
	}
	for _, other := range []string{"", "i", "id ", "ID", "id\n", "other"} {
		if got, ok := c.Get(other); ok {
			t.Errorf("Get(%q) = %+v", other, got)
		}
	}
	second := login()
	second.Secret = "the-next-password"
	if err := c.Put("id", second); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.Get("id"); !ok || got.Secret != second.Secret {
		t.Errorf("after a second Put: %+v, %v", got, ok)
	}
	if files := names(t, c.Dir()); len(files) != 1 {
		t.Errorf("the directory has %q", files)
	}
	for range 2 { // it is not an error if there is no entry
		if err := c.Remove("id"); err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Get("id"); ok {
			t.Errorf("after Remove: %+v", got)
		}
	}
	if files := names(t, c.Dir()); len(files) != 0 {
		t.Errorf("the directory has %q", files)
	}
}

// Get compares an entry's age with the cache's clock.
func TestGetExpiry(t *testing.T) {
	c := cacheWithEntry(t)
	for _, tt := range []struct {
		at   time.Duration
		want bool
	}{
		{0, true}, {11 * time.Hour, true}, {11*time.Hour + 45*time.Minute, false},
		{-time.Minute, false},
		{0, true},
	} {
		c.now = func() time.Time { return noon.Add(tt.at) }
		if _, ok := c.Get("id"); ok != tt.want {
			t.Errorf("%v later: %v", tt.at, ok)
		}
	}
}

// A job with another secret can use neither the content nor the file names of a job's entries.
func TestEncryption(t *testing.T) {
	c := cacheWithEntry(t)
	for _, other := range [][]byte{
		nil, []byte("request-token-of-another"), append(slices.Clone(secret), 0), secret[1:],
	} {
		next := openCache(t, c.Dir(), other)
		if got, ok := next.Get("id"); ok {
			t.Errorf("with the secret %q: %+v", other, got)
		}
		if next.path("id", entrySuffix) == c.path("id", entrySuffix) {
			t.Errorf("with the secret %q the entry has the same name", other)
		}
		copied := content(t, c.path("id", entrySuffix))
		if err := os.WriteFile(next.path("id", entrySuffix), copied, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := next.Get("id"); ok {
			t.Errorf("with the secret %q, after the file was copied to its name: %+v",
				other, got)
		}
	}
	if got, ok := openCache(t, c.Dir(), secret).Get("id"); !ok || got.Secret != "the-password" {
		t.Errorf("with the same secret: %+v, %v", got, ok)
	}
	encrypted := content(t, c.path("id", entrySuffix))
	for _, plain := range []string{"the-password", "Username", "AWS"} {
		if bytes.Contains(encrypted, []byte(plain)) {
			t.Errorf("the file contains %q", plain)
		}
	}
	if err := c.Put("id", login()); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(encrypted, content(t, c.path("id", entrySuffix))) {
		t.Error("the same entry has the same ciphertext: the nonce is not random")
	}
}

// An entry that is renamed to the file name of another key is a miss.
func TestRenamedEntry(t *testing.T) {
	c := cacheWithEntry(t)
	if err := os.Rename(c.path("id", entrySuffix), c.path("other", entrySuffix)); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.Get("other"); ok {
		t.Errorf("Get = %+v", got)
	}
}

// An entry of which any part is lost or changed is a miss.
func TestDamagedEntry(t *testing.T) {
	c := cacheWithEntry(t)
	path := c.path("id", entrySuffix)
	good := content(t, path)
	var e Entry
	for i := range good {
		flipped := slices.Clone(good)
		flipped[i] ^= 1
		if c.decrypt("id", good[:i], &e) || c.decrypt("id", flipped, &e) {
			t.Fatalf("byte %d: %+v", i, e)
		}
	}
	if !c.decrypt("id", good, &e) {
		t.Fatal("the unchanged entry does not decrypt")
	}
	for what, b := range map[string][]byte{
		"truncated":      good[:len(good)-1],
		"empty":          nil,
		"one extra byte": append(slices.Clone(good), 0),
		"other header": bytes.Replace(good, []byte(header),
			[]byte("ecr-oidc 1\n"), 1),
		"plaintext":               []byte(`{"Secret":"x","TTL":43200000000000,"FreshFor":43200000000000}`),
		"zeros":                   make([]byte, len(good)), // after a power failure
		"too large":               make([]byte, maxFileSize+1),
		"trailing data":           append(slices.Clone(good), make([]byte, maxFileSize)...),
		"part of another's entry": content(t, cacheWithEntry(t).path("id", entrySuffix))[:100],
	} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Get("id"); ok {
			t.Errorf("%s: Get = %+v", what, got)
		}
	}
	if err := c.Put("id", login()); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Get("id"); !ok {
		t.Error("a damaged entry is not replaced")
	}
}

// A path that is not a regular file is a miss. Get does not block on it or follow it.
func TestEntryNotRegularFile(t *testing.T) {
	good := cacheWithEntry(t)
	for name, create := range map[string]func(path string) error{
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"symlink": func(path string) error {
			return os.Symlink(good.path("id",
				entrySuffix), path)
		},
		"huge file": func(path string) error {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(path, 1<<40) // sparse; too large to read into memory
		},
		"FIFO": fifo,
	} {
		t.Run(name, func(t *testing.T) {
			c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
			if err := create(c.path("id", entrySuffix)); err != nil {
				t.Skip(err)
			}
			if got, ok := c.Get("id"); ok {
				t.Errorf("Get = %+v", got)
			}
			err := c.Put("id", login())
			if _, ok := c.Get("id"); ok != (err == nil) {
				t.Errorf("Put: %v, but Get returns %v", err, ok)
			}
			if name != "directory" && err != nil {
				t.Errorf("Put: %v", err)
			}
		})
	}
	if got, ok := good.Get("id"); !ok || got.Secret != "the-password" {
		t.Errorf("the symlink's target: %+v, %v", got, ok)
	}
}

// A nil Cache has no entries, and Put returns an error.
func TestNilCache(t *testing.T) {
	var c *Cache
	if got, ok := c.Read("id"); ok {
		t.Errorf("Read = %+v", got)
	}
	if err := c.Put("id", login()); err == nil {
		t.Error("Put returns no error")
	}
	if err := c.Remove("id"); err != nil {
		t.Errorf("Remove: %v", err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(dir, "new", "deep", "c")
	for _, dirs := range [][]string{
		{want}, {want, file}, {file, want}, {filepath.Join(file, "below"), want},
	} {
		if c, err := Open(dirs, nil); err != nil || c.Dir() != want {
			t.Errorf("Open(%q): %v", dirs, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "other")); err == nil {
		t.Error("an unused directory was created")
	}
	c, err := Open([]string{file, filepath.Join(file, "below")}, nil)
	if c != nil || err == nil || strings.Count(err.Error(),
		"opening the cache directory "+file) != 2 {
		t.Errorf("Open of unsuitable directories: %v, %v", c, err)
	}
	if c, err := Open(nil, nil); c != nil || err == nil {
		t.Errorf("Open without directories: %v, %v", c, err)
	}
}

// Put removes old entries, lock files and temporary files, and no other file of the directory.
func TestPrune(t *testing.T) {
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	old, young := noon.Add(-maxFileAge-time.Minute), noon.Add(-maxFileAge+time.Minute)
	entry := func(n string) string { return filepath.Base(c.path(n, entrySuffix)) }
	lock := func(n string) string { return filepath.Base(c.path(n, lockSuffix)) }
	files := map[string]time.Time{
		entry("old"): old, lock("old"): old, ".tmp-entry-123": old,
		entry("young"): young, lock("young"): young, ".tmp-entry-9": young,
	}
	keep := []string{entry("young"), lock("young"), ".tmp-entry-9"}
	for _, name := range []string{ // another program's
		"README", "thesis.enc", "my.lock", ".tmp-mywork", entry("x") + ".bak",
		"x" + entry("x"),
		".tmp-entry-x",
	} {
		keep, files[name] = append(keep, name), old
	}
	for name, at := range files {
		path := filepath.Join(c.Dir(), name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	dir := filepath.Join(c.Dir(), entry("dir"))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(dir, old, old); err != nil {
		t.Fatal(err)
	}
	if err := c.Put("id", login()); err != nil {
		t.Fatal(err)
	}
	want := append(keep, filepath.Base(dir), filepath.Base(c.path("id", entrySuffix)))
	slices.Sort(want)
	if got := names(t, c.Dir()); !slices.Equal(got, want) {
		t.Errorf("the directory has %q, want %q", got, want)
	}
}

// While other processes put the same entry, Get returns a complete entry or a miss.
func TestConcurrentPutGet(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	done := make(chan string)
	const workers = 8
	for range workers {
		go func() {
			c, err := Open([]string{dir}, secret)
			if err != nil {
				done <- err.Error()
				return
			}
			for range 12 {
				e := login()
				e.Secret, e.CreatedAt = strings.Repeat("x", 2000), time.Now()
				if err := c.Put("id", e); err != nil && runtime.GOOS != "windows" {
					done <- err.Error()
					return
				}
				got, ok := c.Get("id")
				if !ok && runtime.GOOS != "windows" || ok && got.Secret != e.Secret {
					done <- "Get returned an incomplete entry"
					return
				}
			}
			done <- ""
		}()
	}
	for range workers {
		if wrong := <-done; wrong != "" {
			t.Error(wrong)
		}
	}
}

// FuzzEntry writes files without the secret. Get must neither return one nor panic.
func FuzzEntry(f *testing.F) {
	c := cacheWithEntry(f)
	attacker := openCache(f, filepath.Join(f.TempDir(), "c"), []byte("request-token-of-another"))
	if err := attacker.Put("id", login()); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(c.path("id", entrySuffix))
	if err != nil {
		f.Fatal(err)
	}
	forged, err := os.ReadFile(attacker.path("id", entrySuffix))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(nil))
	f.Add([]byte(header))
	f.Add(forged)
	f.Add(good[:len(good)-1])
	f.Add([]byte(header + "{}"))
	f.Add(append([]byte(header), make([]byte, 28)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Equal(b, good) {
			return
		}
		if err := os.WriteFile(c.path("id", entrySuffix), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Get("id"); ok {
			t.Errorf("%q decrypts to %+v", b, got)
		}
	})
}

// BenchmarkGet measures a cache hit, which every docker pull after the first one is.
func BenchmarkGet(b *testing.B) {
	c := openCache(b, filepath.Join(b.TempDir(), "c"), secret)
	e := login()
	e.Secret = strings.Repeat("x", 2500) // the length of an ECR password
	if err := c.Put("id", e); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Get("id"); !ok {
			b.Fatal("cache miss")
		}
	}
}

func content(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range files {
		found = append(found, f.Name())
	}
	return found
}
