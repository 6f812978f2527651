package cache

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/lockfile"
)

// fetcher counts its fetches, and how many of them run at the same time.
type fetcher struct {
	entry   Entry
	failure *Failure
	release chan struct{} // fetch blocks until it is closed; nil: it does not block

	calls, running, maxRunning atomic.Int32
}

func (f *fetcher) fetch(ctx context.Context) (Entry, *Failure) {
	f.calls.Add(1)
	f.maxRunning.Store(max(f.maxRunning.Load(), f.running.Add(1)))
	defer f.running.Add(-1)
	if f.release != nil {
		select {
		case <-f.release:
		case <-ctx.Done():
			return Entry{}, &Failure{Payload: []byte("no response in time")}
		}
	}
	return f.entry, f.failure
}

// allWaiting returns a channel that is closed when n callers have waited for the lock for
// modTimeDelay.
func allWaiting(c *Cache, n int32) <-chan struct{} {
	all := make(chan struct{})
	var count atomic.Int32
	timeout := c.lockTimeout
	c.lockTimeout = func(fetchTimeout, age time.Duration) time.Duration {
		if count.Add(1) == n {
			close(all)
		}
		return timeout(fetchTimeout, age)
	}
	return all
}

// lockKey acquires the lock of a key as another process would.
func lockKey(t *testing.T, c *Cache, key string) *lockfile.Held {
	t.Helper()
	held, err := lockfile.Lock(t.Context(), c.path(key, lockSuffix))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(held.Unlock)
	return held
}

// Concurrent callers share one fetch. All of them get its login, or its failure, even if the failure
// has no TTL.
func TestFetchOnce(t *testing.T) {
	t.Parallel()
	const callers = 64
	for name, f := range map[string]*fetcher{
		"login":   {entry: login()},
		"failure": {failure: &Failure{Payload: []byte("refused")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
			c.now = time.Now // a failure's time is compared with the start of the wait
			f.entry.CreatedAt = time.Now()
			f.release = make(chan struct{})
			all := allWaiting(c, callers-1)
			var group sync.WaitGroup
			for range callers {
				group.Go(func() {
					e, failure := c.GetOrFetch(t.Context(), "id", f.fetch)
					if e.Secret != f.entry.Secret ||
						(failure == nil) != (f.failure == nil) ||
						failure != nil && string(failure.Payload) != "refused" {
						t.Errorf("GetOrFetch = %v, %v", e, failure)
					}
				})
			}
			<-all
			close(f.release)
			group.Wait()
			if n := f.calls.Load(); n != 1 {
				t.Errorf("%d fetches", n)
			}
			c.GetOrFetch(t.Context(), "id", f.fetch)
			want := int32(1)
			if f.failure != nil { // only concurrent callers get it
				want = 2
			}
			if n := f.calls.Load(); n != want {
				t.Errorf("%d fetches after one more call", n)
			}
		})
	}
}

// Until its TTL expires, a failure is returned to later callers with the same key. Remove deletes it.
func TestFailureTTL(t *testing.T) {
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	f := &fetcher{failure: &Failure{Payload: []byte("refused"), TTL: 10 * time.Second,
		IdentityRefused: true}}
	get := func(key string, after time.Duration, want int32) {
		t.Helper()
		c.now = func() time.Time { return noon.Add(after) }
		_, failure := c.GetOrFetch(t.Context(), key, f.fetch)
		if failure == nil || string(failure.Payload) != "refused" || !failure.IdentityRefused {
			t.Errorf("after %v: %+v", after, failure)
		}
		if n := f.calls.Swap(0); n != want {
			t.Errorf("after %v: %d fetches, want %d", after, n, want)
		}
	}
	get("id", 0, 1)
	get("id", 0, 0)
	get("id", 10*time.Second-1, 0)
	get("other", 10*time.Second-1, 1)
	get("id", 10*time.Second, 1)
	get("id", -time.Second, 1) // the clock was set back
	if err := c.Remove("id"); err != nil {
		t.Fatal(err)
	}
	get("id", 0, 1)
}

// A login that is not fresh, because its role session has expired, is fetched again. If that fails,
// the old login stays in use. If AWS refuses, the old login is deleted.
func TestStaleIfError(t *testing.T) {
	old := Entry{Username: "AWS", Secret: "old", CreatedAt: noon, TTL: 12 * time.Hour,
		FreshFor: time.Hour}
	next := Entry{Username: "AWS", Secret: "new", CreatedAt: noon.Add(time.Hour),
		TTL:      12 * time.Hour,
		FreshFor: time.Hour}
	retryable := &Failure{Payload: []byte("HTTP 500"), TTL: 2 * time.Second}
	refused := &Failure{Payload: []byte("AccessDenied"), TTL: 10 * time.Second, IdentityRefused: true}
	expiredSession := old
	expiredSession.FreshFor = -time.Second
	type get struct {
		after   time.Duration
		secret  string // "" is a failure
		fetches int32
	}
	const end = 12*time.Hour - margin
	for _, tt := range []struct {
		name    string
		old     Entry
		new     Entry
		failure *Failure
		gets    []get
	}{
		{"new login", old, next, nil, []get{
			{time.Hour - 1, "old", 0}, {time.Hour, "new", 1}, {time.Hour, "new", 0},
			{2*time.Hour - 1, "new", 0}}},
		{"retryable failure", old, Entry{}, retryable, []get{
			{time.Hour, "old", 1}, {time.Hour, "old", 0},
			{time.Hour + staleExtension - 1, "old", 0},
			{time.Hour + staleExtension, "old", 1},
			{end - 1, "old", 1}, {end, "", 1}, {12 * time.Hour, "", 1}}},
		{"refusal", old, Entry{}, refused, []get{
			{time.Hour, "", 1}, {time.Hour, "", 0}, {0, "", 1},
			{time.Hour + 10*time.Second, "", 1}}},
		{"expired session", expiredSession, expiredSession, nil,
			[]get{{0, "old", 1}, {0, "old", 1}}},
		{"expired session and failure", expiredSession, Entry{}, retryable, []get{
			{0, "old", 1}, {staleExtension - 1, "old", 0}, {staleExtension, "old", 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
			if err := c.Put("id", tt.old); err != nil {
				t.Fatal(err)
			}
			f := &fetcher{entry: tt.new, failure: tt.failure}
			for _, g := range tt.gets {
				c.now = func() time.Time { return noon.Add(g.after) }
				e, failure := c.GetOrFetch(t.Context(), "id", f.fetch)
				if e.Secret != g.secret || (failure == nil) != (g.secret != "") ||
					f.calls.Swap(0) != g.fetches {
					t.Errorf("after %v: %q, %v; want %q and %d fetches",
						g.after, e.Secret, failure,
						g.secret, g.fetches)
				}
			}
		})
	}
}

// An entry that is deleted during a fetch is not stored again when the fetch fails.
func TestStaleEntryDeletedDuringFetch(t *testing.T) {
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	if err := c.Put("id", Entry{Secret: "old", CreatedAt: noon, TTL: 12 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	e, failure := c.GetOrFetch(t.Context(), "id", func(context.Context) (Entry, *Failure) {
		if err := c.Remove("id"); err != nil {
			t.Error(err)
		}
		return Entry{}, &Failure{TTL: time.Second}
	})
	if failure != nil || e.Secret != "old" {
		t.Errorf("GetOrFetch = %v, %v", e, failure)
	}
	if _, ok := c.Read("id"); ok {
		t.Error("the deleted entry was stored again")
	}
}

// A fetch may take 14 seconds, with or without a cache, and 5 seconds while a usable entry exists.
func TestFetchTimeout(t *testing.T) {
	check := func(what string, c *Cache, want time.Duration) {
		t.Helper()
		c.GetOrFetch(t.Context(), "id", func(ctx context.Context) (Entry, *Failure) {
			end, ok := ctx.Deadline()
			if left := time.Until(end); !ok || left > want || left < want-2*time.Second {
				t.Errorf("%s: the fetch has %v", what, left)
			}
			return Entry{}, &Failure{TTL: -1}
		})
	}
	check("no cache", nil, FetchTimeout)
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	check("no entry", c, FetchTimeout)
	if err := c.Put("id", Entry{Secret: "old", CreatedAt: noon, TTL: 12 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	check("a usable entry", c, staleFetchTimeout)
}

// A caller may begin to wait before the holder has set the lock file's modification time. It waits
// for the whole duration of the holder's fetch, and does not use the time of an earlier fetch.
func TestModTimeSetLate(t *testing.T) {
	t.Parallel()
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	path := c.path("id", lockSuffix)
	held := lockKey(t, c, "id")
	earlier := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, earlier, earlier); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(modTimeDelay/5, func() {
		now := time.Now()
		os.Chtimes(path, now, now)
	})
	timeout, ages := c.lockTimeout, make(chan time.Duration, 1)
	c.lockTimeout = func(fetchTimeout, age time.Duration) time.Duration {
		ages <- age
		return timeout(fetchTimeout, age)
	}
	var group sync.WaitGroup
	group.Go(func() {
		f := &fetcher{entry: login()}
		if _, failure := c.GetOrFetch(t.Context(), "id", f.fetch); failure != nil {
			t.Errorf("failure %v", failure)
		}
	})
	if age := <-ages; age > time.Minute {
		t.Errorf("lockAge = %v, want the age of the new lock", age)
	}
	held.Unlock()
	group.Wait()
}

// If a holder hangs, the waiters time out and fetch without the lock. Later callers get the result
// that one of them stored.
func TestHungHolder(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a hung holder (-short)")
	}
	t.Parallel()
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	c.lockTimeout = func(time.Duration,
		time.Duration) time.Duration {
		return 20 * time.Millisecond
	}
	lockKey(t, c, "id")
	f := &fetcher{entry: login()}
	for range 3 {
		e, failure := c.GetOrFetch(t.Context(), "id", f.fetch)
		if failure != nil || e.Secret != "the-password" {
			t.Errorf("GetOrFetch = %v, %v", e, failure)
		}
	}
	if n := f.calls.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	// Without the lock, a process may have had less time. Its failure is not stored.
	lockKey(t, c, "other")
	f = &fetcher{failure: &Failure{Payload: []byte("no response in time"), TTL: time.Hour}}
	for range 2 {
		if _, failure := c.GetOrFetch(t.Context(), "other", f.fetch); failure == nil {
			t.Error("no failure")
		}
	}
	if n := f.calls.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
	// A refusal is stored, because it does not depend on the time.
	f.failure = &Failure{Payload: []byte("AccessDenied"), TTL: time.Hour, IdentityRefused: true}
	for range 2 {
		if _, failure := c.GetOrFetch(t.Context(), "other", f.fetch); failure == nil {
			t.Error("no failure")
		}
	}
	if n := f.calls.Load(); n != 3 {
		t.Errorf("%d fetches", n)
	}
}

// The timeout depends on the age of the lock. It is limited even if the lock file's time is wrong.
func TestLockTimeout(t *testing.T) {
	for _, tt := range []struct{ age, remaining time.Duration }{
		{0, FetchTimeout}, {4 * time.Second, FetchTimeout - 4*time.Second}, {FetchTimeout, 0},
		{time.Hour, 0}, {-time.Hour, FetchTimeout},
	} {
		for range 100 {
			got := lockTimeout(FetchTimeout, tt.age)
			if got < tt.remaining+lockMargin || got >= tt.remaining+lockMargin+lockJitter {
				t.Errorf("the timeout of a lock that is %v old is %v", tt.age, got)
			}
		}
	}
	if longest := FetchTimeout + lockMargin +
		lockJitter; longest > 18*time.Second { // a get has 28 s
		t.Errorf("the longest timeout is %v", longest)
	}
}

// The lock file's modification time is set when the lock is acquired.
func TestModTime(t *testing.T) {
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	path := c.path("id", lockSuffix)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, noon, noon); err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(-time.Second) // file systems round times
	c.GetOrFetch(t.Context(), "id", func(context.Context) (Entry, *Failure) {
		if fi, err := os.Stat(path); err != nil || fi.ModTime().Before(start) {
			t.Errorf("%v, %v", fi.ModTime(), err)
		}
		return login(), nil
	})
}

// If files cannot be locked or written, every process fetches for itself, without waiting.
func TestFetchWithoutStorage(t *testing.T) {
	noLock := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	for _, key := range []string{"id", "another"} {
		if err := os.Mkdir(noLock.path(key, lockSuffix), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	gone := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	if err := os.Remove(gone.Dir()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Cache{
		"nil cache": nil, "lock file is a directory": noLock, "cache directory deleted": gone,
	} {
		t.Run(name, func(t *testing.T) {
			const callers = 8
			f := &fetcher{entry: login(), release: make(chan struct{})}
			var group sync.WaitGroup
			for range callers {
				group.Go(func() {
					e, failure := c.GetOrFetch(t.Context(), "id", f.fetch)
					if failure != nil || e.Secret != "the-password" {
						t.Errorf("GetOrFetch = %v, %v", e, failure)
					}
				})
			}
			for f.running.Load() != callers {
				if t.Context().Err() != nil {
					t.Fatal(t.Context().Err())
				}
				time.Sleep(time.Millisecond)
			}
			close(f.release)
			group.Wait()
			f = &fetcher{failure: &Failure{Payload: []byte("refused"), TTL: time.Hour}}
			_, failure := c.GetOrFetch(t.Context(), "another", f.fetch)
			if failure == nil || string(failure.Payload) != "refused" {
				t.Errorf("failure %v", failure)
			}
		})
	}
}

// A process that cannot create its temporary file releases the lock before it fetches: waiters would
// get no result.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can write everywhere; e2e/clients tests a full disk")
	}
	const callers = 8
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	held := lockKey(t, c, "id") // creates the lock file
	held.Unlock()
	if err := os.Chmod(c.Dir(), 0o500); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.Chmod(c.Dir(), 0o700) })
	f := &fetcher{entry: login(), release: make(chan struct{})}
	var group sync.WaitGroup
	for range callers {
		group.Go(func() { c.GetOrFetch(t.Context(), "id", f.fetch) })
	}
	for f.running.Load() != callers {
		time.Sleep(time.Millisecond)
	}
	close(f.release)
	group.Wait()
}

// Only one process fetches at a time, even if the lock file is removed during a fetch.
func TestFetchIsExclusive(t *testing.T) {
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	f := &fetcher{failure: &Failure{TTL: -1}}
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 4 {
				c.GetOrFetch(t.Context(), "id", f.fetch)
				os.Remove(c.path("id", lockSuffix)) // as prune does with an old one
			}
		})
	}
	group.Wait()
	if f.maxRunning.Load() != 1 || f.running.Load() != 0 {
		t.Errorf("%d fetches at the same time, %d still running", f.maxRunning.Load(),
			f.running.Load())
	}
}

// The wait for the lock ends when the caller's context is done. fetch gets the same context.
func TestFetchContext(t *testing.T) {
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	lockKey(t, c, "id")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	f := &fetcher{release: make(chan struct{})}
	_, failure := c.GetOrFetch(ctx, "id", f.fetch)
	if failure == nil || string(failure.Payload) != "no response in time" {
		t.Errorf("failure %v", failure)
	}
}

// A login that expires too soon to be usable, or that has no TTL, is returned but not stored. Only the
// first one is reported: for the second one, fetch reports the reason.
func TestShortLivedLogin(t *testing.T) {
	for _, tt := range []struct {
		name    string
		ttl     time.Duration
		message string
	}{
		{"too short", margin, "not caching: the login expires in 15m0s"},
		{"zero", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
			var message string
			c.Debug = func(format string, args ...any) {
				if strings.HasPrefix(format, "not caching") {
					message = fmt.Sprintf(format, args...)
				}
			}
			f := &fetcher{entry: Entry{Secret: "short", CreatedAt: noon, TTL: tt.ttl,
				FreshFor: tt.ttl}}
			for n := range int32(2) {
				e, failure := c.GetOrFetch(t.Context(), "id", f.fetch)
				if failure != nil || e.Secret != "short" || f.calls.Load() != n+1 {
					t.Errorf("GetOrFetch = %v, %v after %d fetches", e, failure, f.calls.Load())
				}
			}
			if message != tt.message {
				t.Errorf("debug output %q, want %q", message, tt.message)
			}
			if _, ok := c.Read("id"); ok {
				t.Error("the login was stored")
			}
		})
	}
}

// An entry and a failure have the same size, whatever their content. A failure that is too long is not
// stored.
func TestFileSizes(t *testing.T) {
	c := cacheWithEntry(t)
	failing := &fetcher{failure: &Failure{Payload: []byte("a longer text"), TTL: time.Second}}
	c.GetOrFetch(t.Context(), "failing", failing.fetch)
	sizes := map[int64]bool{}
	for _, key := range []string{"id", failureKey("failing")} {
		fi, err := os.Stat(c.path(key, entrySuffix))
		if err != nil {
			t.Fatal(err)
		}
		sizes[fi.Size()] = true
	}
	if len(sizes) != 1 {
		t.Errorf("sizes %v", sizes)
	}
	f := &fetcher{failure: &Failure{Payload: make([]byte, maxFileSize), TTL: time.Hour}}
	for range 2 {
		c.GetOrFetch(t.Context(), "too long", f.fetch)
	}
	if n := f.calls.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

func TestCachedFailure(t *testing.T) {
	c := openCache(t, filepath.Join(t.TempDir(), "c"), secret)
	if _, _, ok := c.CachedFailure("id"); ok {
		t.Error("CachedFailure returns true before the first fetch")
	}
	failing := &fetcher{failure: &Failure{Payload: []byte("refused"), TTL: 10 * time.Second}}
	c.GetOrFetch(t.Context(), "id", failing.fetch)
	c.now = func() time.Time { return noon.Add(4 * time.Second) }
	f, remaining, ok := c.CachedFailure("id")
	if !ok || string(f.Payload) != "refused" || remaining != 6*time.Second {
		t.Errorf("CachedFailure = %s, %v, %v", f.Payload, remaining, ok)
	}
	c.now = func() time.Time { return noon.Add(10 * time.Second) }
	if _, _, ok := c.CachedFailure("id"); ok {
		t.Error("CachedFailure returns true after the TTL")
	}
	if _, _, ok := (*Cache)(nil).CachedFailure("id"); ok {
		t.Error("CachedFailure returns true without a cache")
	}
}
