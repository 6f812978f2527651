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

// opened is a cache in dir whose clock stands at noon.
func opened(t testing.TB, dir string, secret []byte) *Cache {
	t.Helper()
	c, err := Open([]string{dir}, secret)
	if err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return noon }
	return c
}

// filled is a cache with one entry, under "id".
func filled(t testing.TB) *Cache {
	t.Helper()
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	if err := c.Put("id", login()); err != nil {
		t.Fatal(err)
	}
	return c
}

func login() Entry {
	return Entry{Username: "AWS", Secret: "the-password", CreatedAt: noon, TTL: 12 * time.Hour, FreshFor: 12 * time.Hour}
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
		{time.Hour, 12 * time.Hour, time.Hour, false, 11*time.Hour - margin}, // the role session is over
		{0, 12 * time.Hour, 0, false, 12*time.Hour - margin},
		{0, 12 * time.Hour, -second, false, 12*time.Hour - margin},
	} {
		e := Entry{CreatedAt: noon, TTL: tt.ttl, FreshFor: tt.freshFor}
		now := noon.Add(tt.age)
		if e.IsFresh(now) != tt.fresh || e.Remaining(now) != tt.remaining || e.IsUsable(now) != (tt.remaining > 0) {
			t.Errorf("TTL %v, fresh for %v, after %v: fresh %v, remaining %v", tt.ttl, tt.freshFor, tt.age, e.IsFresh(now), e.Remaining(now))
		}
	}
}

func TestPutGetRemove(t *testing.T) {
	c := filled(t)
	if got, ok := c.Get("id"); !ok || got.Username != "AWS" || got.Secret != "the-password" || !got.CreatedAt.Equal(noon) || got.TTL != 12*time.Hour {
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
		t.Errorf("the directory holds %q", files)
	}
	for range 2 { // and it is no error that there is none
		if err := c.Remove("id"); err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Get("id"); ok {
			t.Errorf("after Remove: %+v", got)
		}
	}
	if files := names(t, c.Dir()); len(files) != 0 {
		t.Errorf("the directory holds %q", files)
	}
}

// Time passes, and it is the cache's own clock that says so.
func TestGetByTheClock(t *testing.T) {
	c := filled(t)
	for _, tt := range []struct {
		at   time.Duration
		want bool
	}{{0, true}, {11 * time.Hour, true}, {11*time.Hour + 45*time.Minute, false}, {-time.Minute, false}, {0, true}} {
		c.now = func() time.Time { return noon.Add(tt.at) }
		if _, ok := c.Get("id"); ok != tt.want {
			t.Errorf("%v later: %v", tt.at, ok)
		}
	}
}

// What a job leaves behind is noise to the next one, in content and in name.
func TestSealed(t *testing.T) {
	c := filled(t)
	for _, other := range [][]byte{nil, []byte("request-token-of-another"), append(slices.Clone(secret), 0), secret[1:]} {
		next := opened(t, c.Dir(), other)
		if got, ok := next.Get("id"); ok {
			t.Errorf("with the secret %q: %+v", other, got)
		}
		if next.path("id", entrySuffix) == c.path("id", entrySuffix) {
			t.Errorf("with the secret %q the entry has the same name", other)
		}
		if err := os.WriteFile(next.path("id", entrySuffix), content(t, c.path("id", entrySuffix)), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := next.Get("id"); ok {
			t.Errorf("with the secret %q and the other's entry under its name: %+v", other, got)
		}
	}
	if got, ok := opened(t, c.Dir(), secret).Get("id"); !ok || got.Secret != "the-password" {
		t.Errorf("with the same secret: %+v, %v", got, ok)
	}
	sealed := content(t, c.path("id", entrySuffix))
	for _, plain := range []string{"the-password", "Username", "AWS"} {
		if bytes.Contains(sealed, []byte(plain)) {
			t.Errorf("%q can be read in the entry", plain)
		}
	}
	if err := c.Put("id", login()); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(sealed, content(t, c.path("id", entrySuffix))) {
		t.Error("the same entry seals to the same bytes: the nonce is not random")
	}
}

// Two entries cannot be swapped.
func TestRenamedEntry(t *testing.T) {
	c := filled(t)
	if err := os.Rename(c.path("id", entrySuffix), c.path("other", entrySuffix)); err != nil {
		t.Fatal(err)
	}
	if got, ok := c.Get("other"); ok {
		t.Errorf("Get = %+v", got)
	}
}

// Whatever part of an entry is lost or changed, it is a miss.
func TestDamagedEntry(t *testing.T) {
	c := filled(t)
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
		t.Fatal("the entry itself does not decrypt")
	}
	for what, b := range map[string][]byte{
		"cut short":                 good[:len(good)-1],
		"empty":                     nil,
		"one byte more":             append(slices.Clone(good), 0),
		"another format":            bytes.Replace(good, []byte(format), []byte("ecr-oidc 1\n"), 1),
		"not sealed":                []byte(`{"Username":"AWS","Secret":"x","TTL":43200000000000,"FreshFor":43200000000000}`),
		"zeros":                     make([]byte, len(good)), // as a power failure leaves them
		"larger than an entry":      make([]byte, maxSealed+1),
		"an entry and much more":    append(slices.Clone(good), make([]byte, maxSealed)...),
		"an entry of another cache": content(t, filled(t).path("id", entrySuffix))[:100],
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

// A file that is no file of ours is a miss, and none is waited for or walked through.
func TestEntryThatIsNoFile(t *testing.T) {
	good := filled(t)
	for name, make := range map[string]func(path string) error{
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a symlink":   func(path string) error { return os.Symlink(good.path("id", entrySuffix), path) },
		"a huge file": func(path string) error {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(path, 1<<40) // sparse; reading it would take minutes and the memory
		},
		"a FIFO": fifo,
	} {
		t.Run(name, func(t *testing.T) {
			c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
			if err := make(c.path("id", entrySuffix)); err != nil {
				t.Skip(err)
			}
			if got, ok := c.Get("id"); ok {
				t.Errorf("Get = %+v", got)
			}
			err := c.Put("id", login())
			if _, ok := c.Get("id"); ok != (err == nil) {
				t.Errorf("Put: %v, and Get finds it: %v", err, ok)
			}
			if name != "a directory" && err != nil {
				t.Errorf("Put: %v", err)
			}
		})
	}
	if got, ok := good.Get("id"); !ok || got.Secret != "the-password" {
		t.Errorf("the symlink's target: %+v, %v", got, ok)
	}
}

// Without a cache nothing is found and nothing is kept, and Put says so.
func TestNoCache(t *testing.T) {
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
	for _, dirs := range [][]string{{want}, {want, file}, {file, want}, {filepath.Join(file, "below"), want}} {
		if c, err := Open(dirs, nil); err != nil || c.Dir() != want {
			t.Errorf("Open(%q): %v", dirs, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "other")); err == nil {
		t.Error("a directory was made that is not used")
	}
	c, err := Open([]string{file, filepath.Join(file, "below")}, nil)
	if c != nil || err == nil || strings.Count(err.Error(), "opening the cache directory "+file) != 2 {
		t.Errorf("Open of nothing fit: %v, %v", c, err)
	}
	if c, err := Open(nil, nil); c != nil || err == nil {
		t.Errorf("Open of nothing: %v, %v", c, err)
	}
}

// Every Put removes what expired long ago, locks included, and no other file of the directory.
func TestPrune(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	old, young := noon.Add(-maxFileAge-time.Minute), noon.Add(-maxFileAge+time.Minute)
	entry := func(n string) string { return filepath.Base(c.path(n, entrySuffix)) }
	lock := func(n string) string { return filepath.Base(c.path(n, lockSuffix)) }
	files := map[string]time.Time{
		entry("old"): old, lock("old"): old, ".tmp-entry-123": old,
		entry("young"): young, lock("young"): young, ".tmp-entry-9": young,
	}
	keep := []string{entry("young"), lock("young"), ".tmp-entry-9"}
	for _, name := range []string{"README", "thesis.sealed", "my.lock", ".tmp-mywork", entry("x") + ".bak", "x" + entry("x"), ".tmp-entry-x"} {
		keep, files[name] = append(keep, name), old // another program's
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
	folder := filepath.Join(c.Dir(), entry("folder"))
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(folder, old, old); err != nil {
		t.Fatal(err)
	}
	if err := c.Put("id", login()); err != nil {
		t.Fatal(err)
	}
	want := append(keep, filepath.Base(folder), filepath.Base(c.path("id", entrySuffix)))
	slices.Sort(want)
	if got := names(t, c.Dir()); !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
}

// Any number of processes may put and get at once: each get is a whole entry or a miss.
func TestManyAtOnce(t *testing.T) {
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
				e := Entry{Username: "AWS", Secret: strings.Repeat("x", 2000), CreatedAt: time.Now(), TTL: 12 * time.Hour, FreshFor: 12 * time.Hour}
				if err := c.Put("id", e); err != nil && runtime.GOOS != "windows" {
					done <- err.Error()
					return
				}
				if got, ok := c.Get("id"); !ok && runtime.GOOS != "windows" || ok && got.Secret != e.Secret {
					done <- "a get found less than an entry"
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

// FuzzEntry holds that nothing which somebody without the secret can write is ever served, or makes Get panic.
func FuzzEntry(f *testing.F) {
	c := filled(f)
	foreign := opened(f, filepath.Join(f.TempDir(), "c"), []byte("request-token-of-another"))
	if err := foreign.Put("id", login()); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(c.path("id", entrySuffix))
	if err != nil {
		f.Fatal(err)
	}
	theirs, err := os.ReadFile(foreign.path("id", entrySuffix))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(nil))
	f.Add([]byte(format))
	f.Add(theirs)
	f.Add(good[:len(good)-1])
	f.Add([]byte(format + "{}"))
	f.Add(append([]byte(format), make([]byte, 28)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if bytes.Equal(b, good) {
			return
		}
		if err := os.WriteFile(c.path("id", entrySuffix), b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := c.Get("id"); ok {
			t.Errorf("%q opens as %+v", b, got)
		}
	})
}

// BenchmarkGet is a hit: what every docker pull after the first one costs here.
func BenchmarkGet(b *testing.B) {
	c := opened(b, filepath.Join(b.TempDir(), "c"), secret)
	e := login()
	e.Secret = strings.Repeat("x", 2500) // as long as ECR's are
	if err := c.Put("id", e); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Get("id"); !ok {
			b.Fatal("a miss")
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
