package cache

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/lockfile"
)

// fetcher counts how often it fetches, and how many fetches run at the same time.
type fetcher struct {
	entry   Entry
	failure *Failure
	gate    chan struct{} // fetch waits until it is closed; nil: it does not wait

	calls, running, most atomic.Int32
}

func (f *fetcher) fetch(ctx context.Context) (Entry, *Failure) {
	f.calls.Add(1)
	f.most.Store(max(f.most.Load(), f.running.Add(1)))
	defer f.running.Add(-1)
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
			return Entry{}, &Failure{Payload: []byte("no response in time")}
		}
	}
	return f.entry, f.failure
}

// waiting returns a channel that is closed when n callers have waited for the lock for timeMargin.
func waiting(c *Cache, n int32) <-chan struct{} {
	all := make(chan struct{})
	var count atomic.Int32
	wait := c.wait
	c.wait = func(limit, age time.Duration) time.Duration {
		if count.Add(1) == n {
			close(all)
		}
		return wait(limit, age)
	}
	return all
}

// hold takes the lock of a key as another process would.
func hold(t *testing.T, c *Cache, key string) *lockfile.Held {
	t.Helper()
	held, err := lockfile.Lock(t.Context(), c.path(key, lockSuffix))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(held.Unlock)
	return held
}

// Of many callers that miss one fetches, and all get the same, whether a login or a failure that is for those that wait.
func TestFetchOnce(t *testing.T) {
	t.Parallel()
	const many = 64
	for name, f := range map[string]*fetcher{
		"login":   {entry: login()},
		"failure": {failure: &Failure{Payload: []byte("refused")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
			c.now = time.Now // failures are compared with when a caller began to wait
			f.entry.CreatedAt = time.Now()
			f.gate = make(chan struct{})
			all := waiting(c, many-1)
			var group sync.WaitGroup
			for range many {
				group.Go(func() {
					e, failure := c.GetOrFetch(t.Context(), "id", f.fetch)
					if e.Secret != f.entry.Secret || (failure == nil) != (f.failure == nil) || failure != nil && string(failure.Payload) != "refused" {
						t.Errorf("%v, %v", e, failure)
					}
				})
			}
			<-all
			close(f.gate)
			group.Wait()
			if n := f.calls.Load(); n != 1 {
				t.Errorf("%d fetches", n)
			}
			c.GetOrFetch(t.Context(), "id", f.fetch)
			want := int32(1)
			if f.failure != nil { // it was for those that waited
				want = 2
			}
			if n := f.calls.Load(); n != want {
				t.Errorf("%d fetches after one more call", n)
			}
		})
	}
}

// A failure is returned to later callers until its TTL is over, for its key alone, and Remove deletes it.
func TestFailureTTL(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	f := &fetcher{failure: &Failure{Payload: []byte("refused"), TTL: 10 * time.Second, Refused: true}}
	get := func(key string, after time.Duration, want int32) {
		t.Helper()
		c.now = func() time.Time { return noon.Add(after) }
		_, failure := c.GetOrFetch(t.Context(), key, f.fetch)
		if failure == nil || string(failure.Payload) != "refused" || !failure.Refused {
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

// When the role session behind a login is over, the login is fetched again. A failure that is no refusal leaves the old
// login in use; a refusal deletes it.
func TestStaleIfError(t *testing.T) {
	old := Entry{Username: "AWS", Secret: "old", CreatedAt: noon, TTL: 12 * time.Hour, FreshFor: time.Hour}
	next := Entry{Username: "AWS", Secret: "new", CreatedAt: noon.Add(time.Hour), TTL: 12 * time.Hour, FreshFor: time.Hour}
	retryable := &Failure{Payload: []byte("HTTP 500"), TTL: 2 * time.Second}
	refused := &Failure{Payload: []byte("AccessDenied"), TTL: 10 * time.Second, Refused: true}
	noLength := old
	noLength.FreshFor = -time.Second
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
		{"a new login", old, next, nil, []get{{time.Hour - 1, "old", 0}, {time.Hour, "new", 1}, {time.Hour, "new", 0}, {2*time.Hour - 1, "new", 0}}},
		{"a retryable failure", old, Entry{}, retryable, []get{
			{time.Hour, "old", 1}, {time.Hour, "old", 0}, {time.Hour + staleExtension - 1, "old", 0}, {time.Hour + staleExtension, "old", 1},
			{end - 1, "old", 1}, {end, "", 1}, {12 * time.Hour, "", 1}}},
		{"a refusal", old, Entry{}, refused, []get{{time.Hour, "", 1}, {time.Hour, "", 0}, {0, "", 1}, {time.Hour + 10*time.Second, "", 1}}},
		{"a session that was over at once", noLength, noLength, nil, []get{{0, "old", 1}, {0, "old", 1}}},
		{"the same, and a failure", noLength, Entry{}, retryable, []get{{0, "old", 1}, {staleExtension - 1, "old", 0}, {staleExtension, "old", 1}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
			if err := c.Put("id", tt.old); err != nil {
				t.Fatal(err)
			}
			f := &fetcher{entry: tt.new, failure: tt.failure}
			for _, g := range tt.gets {
				c.now = func() time.Time { return noon.Add(g.after) }
				e, failure := c.GetOrFetch(t.Context(), "id", f.fetch)
				if e.Secret != g.secret || (failure == nil) != (g.secret != "") || f.calls.Swap(0) != g.fetches {
					t.Errorf("after %v: %q, %v; want %q and %d fetches", g.after, e.Secret, failure, g.secret, g.fetches)
				}
			}
		})
	}
}

// An entry that was deleted during a fetch does not come back when the fetch fails.
func TestStaleEntryDeletedMeanwhile(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
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
		t.Errorf("%v, %v", e, failure)
	}
	if _, ok := c.Read("id"); ok {
		t.Error("it came back")
	}
}

// A fetch has 14 seconds, with or without a cache, and 5 while there is a usable login.
func TestFetchTimeout(t *testing.T) {
	limited := func(what string, c *Cache, want time.Duration) {
		t.Helper()
		c.GetOrFetch(t.Context(), "id", func(ctx context.Context) (Entry, *Failure) {
			end, ok := ctx.Deadline()
			if left := time.Until(end); !ok || left > want || left < want-2*time.Second {
				t.Errorf("%s: the fetch has %v", what, left)
			}
			return Entry{}, &Failure{TTL: -1}
		})
	}
	limited("no cache", nil, FetchTimeout)
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	limited("no entry", c, FetchTimeout)
	if err := c.Put("id", Entry{Secret: "old", CreatedAt: noon, TTL: 12 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	limited("a usable entry", c, staleFetchTimeout)
}

// A caller that begins to wait before the holder has set the lock file's time waits for as long as the holder may fetch.
func TestHolderThatHasJustBegun(t *testing.T) {
	t.Parallel()
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	path := c.path("id", lockSuffix)
	held := hold(t, c, "id")
	long := time.Now().Add(-time.Hour) // from the fetch before
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(timeMargin/5, func() {
		now := time.Now()
		os.Chtimes(path, now, now)
	})
	wait, ages := c.wait, make(chan time.Duration, 1)
	c.wait = func(limit, age time.Duration) time.Duration {
		ages <- age
		return wait(limit, age)
	}
	var group sync.WaitGroup
	group.Go(func() {
		f := &fetcher{entry: login()}
		if _, failure := c.GetOrFetch(t.Context(), "id", f.fetch); failure != nil {
			t.Errorf("%v", failure)
		}
	})
	if age := <-ages; age > time.Minute {
		t.Errorf("the holder seems to be fetching for %v", age)
	}
	held.Unlock()
	group.Wait()
}

// A holder that hangs delays the others, and each then fetches for itself; what one of them stored serves the later ones.
func TestHungHolder(t *testing.T) {
	t.Parallel()
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	c.wait = func(time.Duration, time.Duration) time.Duration { return 20 * time.Millisecond }
	hold(t, c, "id")
	f := &fetcher{entry: login()}
	for range 3 {
		if e, failure := c.GetOrFetch(t.Context(), "id", f.fetch); failure != nil || e.Secret != "the-password" {
			t.Errorf("%v, %v", e, failure)
		}
	}
	if n := f.calls.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
	// Without the lock a process may have had too little time: its failure is for nobody else.
	hold(t, c, "other")
	f = &fetcher{failure: &Failure{Payload: []byte("no response in time"), TTL: time.Hour}}
	for range 2 {
		if _, failure := c.GetOrFetch(t.Context(), "other", f.fetch); failure == nil {
			t.Error("no failure")
		}
	}
	if n := f.calls.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
	// A refusal is AWS's, however little time there was.
	f.failure = &Failure{Payload: []byte("AccessDenied"), TTL: time.Hour, Refused: true}
	for range 2 {
		if _, failure := c.GetOrFetch(t.Context(), "other", f.fetch); failure == nil {
			t.Error("no failure")
		}
	}
	if n := f.calls.Load(); n != 3 {
		t.Errorf("%d fetches", n)
	}
}

// How long a lock is waited for depends on when it was taken, and has a limit whatever the file's time is.
func TestLockWait(t *testing.T) {
	for _, tt := range []struct{ age, least time.Duration }{
		{0, FetchTimeout}, {4 * time.Second, FetchTimeout - 4*time.Second}, {FetchTimeout, 0}, {time.Hour, 0}, {-time.Hour, FetchTimeout},
	} {
		for range 100 {
			if got := lockWait(FetchTimeout, tt.age); got < tt.least+waitMargin || got >= tt.least+waitMargin+waitJitter {
				t.Errorf("a lock that was taken %v ago is waited for %v", tt.age, got)
			}
		}
	}
	if most := FetchTimeout + waitMargin + waitJitter; most > 18*time.Second { // of the 28 that a get has
		t.Errorf("a lock is waited for %v", most)
	}
}

// Taking the lock sets the time of its file, once.
func TestLockTime(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	path := c.path("id", lockSuffix)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, noon, noon); err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(-time.Second) // file systems round
	c.GetOrFetch(t.Context(), "id", func(context.Context) (Entry, *Failure) {
		if fi, err := os.Stat(path); err != nil || fi.ModTime().Before(start) {
			t.Errorf("%v, %v", fi.ModTime(), err)
		}
		return login(), nil
	})
}

// Where files cannot be locked or written, every process fetches for itself, and at the same time.
func TestFetchWithoutStorage(t *testing.T) {
	noLock := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	for _, key := range []string{"id", "another"} {
		if err := os.Mkdir(noLock.path(key, lockSuffix), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	gone := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	if err := os.Remove(gone.Dir()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Cache{"nil": nil, "a directory in place of the lock": noLock, "no directory": gone} {
		t.Run(name, func(t *testing.T) {
			const many = 8
			f := &fetcher{entry: login(), gate: make(chan struct{})}
			var group sync.WaitGroup
			for range many {
				group.Go(func() {
					if e, failure := c.GetOrFetch(t.Context(), "id", f.fetch); failure != nil || e.Secret != "the-password" {
						t.Errorf("%v, %v", e, failure)
					}
				})
			}
			for f.running.Load() != many {
				if t.Context().Err() != nil {
					t.Fatal(t.Context().Err())
				}
				time.Sleep(time.Millisecond)
			}
			close(f.gate)
			group.Wait()
			f = &fetcher{failure: &Failure{Payload: []byte("refused"), TTL: time.Hour}}
			if _, failure := c.GetOrFetch(t.Context(), "another", f.fetch); failure == nil || string(failure.Payload) != "refused" {
				t.Errorf("%v", failure)
			}
		})
	}
}

// A process that cannot create its file unlocks before it fetches: the others need not wait for what cannot be stored.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere; e2e/clients fills a disk")
	}
	const many = 8
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	held := hold(t, c, "id") // creates the lock file
	held.Unlock()
	if err := os.Chmod(c.Dir(), 0o500); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { os.Chmod(c.Dir(), 0o700) })
	f := &fetcher{entry: login(), gate: make(chan struct{})}
	var group sync.WaitGroup
	for range many {
		group.Go(func() { c.GetOrFetch(t.Context(), "id", f.fetch) })
	}
	for f.running.Load() != many {
		time.Sleep(time.Millisecond)
	}
	close(f.gate)
	group.Wait()
}

// While one process fetches under the lock, no other does, also when the lock's file is removed meanwhile.
func TestFetchesExclude(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
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
	if f.most.Load() != 1 || f.running.Load() != 0 {
		t.Errorf("%d fetches at the same time, %d still running", f.most.Load(), f.running.Load())
	}
}

// A wait ends with the caller's time, and the fetch sees that.
func TestFetchContext(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	hold(t, c, "id")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	f := &fetcher{gate: make(chan struct{})}
	if _, failure := c.GetOrFetch(ctx, "id", f.fetch); failure == nil || string(failure.Payload) != "no response in time" {
		t.Errorf("%v", failure)
	}
}

// A login that expires too soon to be usable is returned and not stored.
func TestLoginThatExpiresAtOnce(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	f := &fetcher{entry: Entry{Secret: "short", CreatedAt: noon, TTL: margin, FreshFor: margin}}
	for n := range int32(2) {
		if e, failure := c.GetOrFetch(t.Context(), "id", f.fetch); failure != nil || e.Secret != "short" || f.calls.Load() != n+1 {
			t.Errorf("%v, %v, %d fetches", e, failure, f.calls.Load())
		}
	}
	if _, ok := c.Read("id"); ok {
		t.Error("it was stored")
	}
}

// An entry and a failure have the same size, whatever is in them, and a failure that is too long is stored for nobody.
func TestSealedSizes(t *testing.T) {
	c := filled(t)
	c.GetOrFetch(t.Context(), "failing", (&fetcher{failure: &Failure{Payload: []byte("a longer or a shorter text"), TTL: time.Second}}).fetch)
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
	f := &fetcher{failure: &Failure{Payload: make([]byte, maxSealed), TTL: time.Hour}}
	for range 2 {
		c.GetOrFetch(t.Context(), "too long", f.fetch)
	}
	if n := f.calls.Load(); n != 2 {
		t.Errorf("%d fetches", n)
	}
}

func TestFailure(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	if _, _, ok := c.Failure("id"); ok {
		t.Error("a failure that never happened")
	}
	c.GetOrFetch(t.Context(), "id", (&fetcher{failure: &Failure{Payload: []byte("refused"), TTL: 10 * time.Second}}).fetch)
	c.now = func() time.Time { return noon.Add(4 * time.Second) }
	if f, remaining, ok := c.Failure("id"); !ok || string(f.Payload) != "refused" || remaining != 6*time.Second {
		t.Errorf("%s, %v, %v", f.Payload, remaining, ok)
	}
	c.now = func() time.Time { return noon.Add(10 * time.Second) }
	if _, _, ok := c.Failure("id"); ok {
		t.Error("after its TTL")
	}
	if _, _, ok := (*Cache)(nil).Failure("id"); ok {
		t.Error("without a cache")
	}
}
