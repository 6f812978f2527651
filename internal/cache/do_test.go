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

// filler counts how often it was asked to fill, and answers what it is set to.
type filler struct {
	calls   atomic.Int32
	entry   Entry
	failure *Failure
	gate    chan struct{} // fill waits for it; nil for none
}

func (f *filler) fill(ctx context.Context) (Entry, *Failure) {
	f.calls.Add(1)
	if f.gate != nil {
		select {
		case <-f.gate:
		case <-ctx.Done():
			return Entry{}, &Failure{Said: []byte("no answer in time")}
		}
	}
	return f.entry, f.failure
}

// waiting makes c close the channel when n of those that use it wait for their turn.
func waiting(c *Cache, n int32) <-chan struct{} {
	all := make(chan struct{})
	var count atomic.Int32
	c.Debug = func(format string, _ ...any) {
		if format == "not in the cache; taking turns with other processes that ask for it" && count.Add(1) == n {
			close(all)
		}
	}
	return all
}

// Of many that miss together one fills, and all answer alike, whether with an entry or with a failure that is for them
// alone.
func TestDoFillsOnce(t *testing.T) {
	const many = 64
	for name, f := range map[string]*filler{
		"entry":   {entry: login()},
		"failure": {failure: &Failure{Said: []byte("refused")}},
	} {
		t.Run(name, func(t *testing.T) {
			c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
			c.now = time.Now // who waited is told by the clock
			f.entry.Made = time.Now()
			f.gate = make(chan struct{})
			all := waiting(c, many)
			var group sync.WaitGroup
			for range many {
				group.Go(func() {
					e, failure := c.Do(t.Context(), "id", f.fill)
					if e.Secret != f.entry.Secret || (failure == nil) != (f.failure == nil) || failure != nil && string(failure.Said) != "refused" {
						t.Errorf("%v, %v", e, failure)
					}
				})
			}
			<-all
			close(f.gate)
			group.Wait()
			if n := f.calls.Load(); n != 1 {
				t.Errorf("%d fills", n)
			}
			c.Do(t.Context(), "id", f.fill)
			want := int32(1)
			if f.failure != nil { // it was for those that waited
				want = 2
			}
			if n := f.calls.Load(); n != want {
				t.Errorf("%d fills after one more", n)
			}
		})
	}
}

// A failure answers those that come later for as long as it says, and no longer; another id, never. Remove forgets it.
func TestDoFailureLasts(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	f := &filler{failure: &Failure{Said: []byte("refused"), For: 10 * time.Second, Refused: true}}
	ask := func(id string, after time.Duration, want int32) {
		t.Helper()
		c.now = func() time.Time { return noon.Add(after) }
		_, failure := c.Do(t.Context(), id, f.fill)
		if failure == nil || string(failure.Said) != "refused" || !failure.Refused {
			t.Errorf("after %v: %+v", after, failure)
		}
		if n := f.calls.Swap(0); n != want {
			t.Errorf("after %v: %d fills, want %d", after, n, want)
		}
	}
	ask("id", 0, 1)
	ask("id", 0, 0)
	ask("id", 10*time.Second-1, 0)
	ask("other", 10*time.Second-1, 1)
	ask("id", 10*time.Second, 1)
	ask("id", -time.Second, 1) // a clock that was set back: who knows how old it is
	if err := c.Remove("id"); err != nil {
		t.Fatal(err)
	}
	ask("id", 0, 1)
	f.failure = nil
	f.entry = login()
	if e, failure := c.Do(t.Context(), "third", f.fill); failure != nil || e.Secret != "the-password" {
		t.Errorf("%v, %v", e, failure)
	}
}

// After its role session an entry still serves. One attempt is made to replace it; what comes of that decides.
func TestDoRefresh(t *testing.T) {
	old := Entry{Username: "AWS", Secret: "old", Made: noon, Life: 12 * time.Hour, Refresh: time.Hour}
	fresh := Entry{Username: "AWS", Secret: "new", Made: noon.Add(time.Hour), Life: 12 * time.Hour, Refresh: time.Hour}
	passing := &Failure{Said: []byte("HTTP 500"), For: 2 * time.Second}
	refused := &Failure{Said: []byte("AccessDenied"), For: 10 * time.Second, Refused: true}
	type ask struct {
		after  time.Duration
		secret string // "" is a failure
		fills  int32
	}
	for _, tt := range []struct {
		name string
		old  Entry
		new  Entry
		why  *Failure
		asks []ask
	}{
		{"a new one", old, fresh, nil, []ask{{time.Hour - 1, "old", 0}, {time.Hour, "new", 1}, {time.Hour, "new", 0}, {2*time.Hour - 1, "new", 0}}},
		{"a passing fault", old, Entry{}, passing, []ask{
			{time.Hour, "old", 1}, {time.Hour, "old", 0}, {time.Hour + respite - 1, "old", 0}, {time.Hour + respite, "old", 1},
			{11*time.Hour + 45*time.Minute - 1, "old", 1}, {11*time.Hour + 45*time.Minute, "", 1}, {12 * time.Hour, "", 1}}},
		{"a refusal", old, Entry{}, refused, []ask{{time.Hour, "", 1}, {time.Hour, "", 0}, {0, "", 1}, {time.Hour + 10*time.Second, "", 1}}},
		{"credentials that last", Entry{Username: "AWS", Secret: "old", Made: noon, Life: 12 * time.Hour}, fresh, nil, []ask{{11 * time.Hour, "old", 0}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
			if err := c.Put("id", tt.old); err != nil {
				t.Fatal(err)
			}
			f := &filler{entry: tt.new, failure: tt.why}
			for _, a := range tt.asks {
				c.now = func() time.Time { return noon.Add(a.after) }
				e, failure := c.Do(t.Context(), "id", f.fill)
				if e.Secret != a.secret || (failure == nil) != (a.secret != "") || f.calls.Swap(0) != a.fills {
					t.Errorf("after %v: %q, %v; want %q, and %d fills", a.after, e.Secret, failure, a.secret, a.fills)
				}
			}
		})
	}
}

// While one process refreshes, the others answer with what there is, at once.
func TestDoRefreshIsForOne(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	if err := c.Put("id", Entry{Secret: "old", Made: noon, Life: 12 * time.Hour, Refresh: time.Hour}); err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return noon.Add(time.Hour) }
	held, err := lockfile.Lock(t.Context(), c.lock("id", 0))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Unlock()
	f := &filler{entry: login()}
	if e, failure := c.Do(t.Context(), "id", f.fill); e.Secret != "old" || failure != nil || f.calls.Load() != 0 {
		t.Errorf("%q, %v, %d fills", e.Secret, failure, f.calls.Load())
	}
}

// A refresh has less time than a fill, since there is an answer to give.
func TestDoRefreshIsShort(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	if err := c.Put("id", Entry{Secret: "old", Made: noon, Life: 12 * time.Hour, Refresh: time.Hour}); err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return noon.Add(time.Hour) }
	c.Do(t.Context(), "id", func(ctx context.Context) (Entry, *Failure) {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > attempt {
			t.Errorf("a refresh may last until %v", end)
		}
		return Entry{}, &Failure{}
	})
}

// A holder that is stuck costs the others their patience and one more fill.
func TestDoStuckHolder(t *testing.T) {
	const many = 16
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	c.patience = 200 * time.Millisecond
	held, err := lockfile.Lock(t.Context(), c.lock("id", 0))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Unlock()
	f := &filler{entry: login()}
	var group sync.WaitGroup
	for range many {
		group.Go(func() {
			if e, failure := c.Do(t.Context(), "id", f.fill); failure != nil || e.Secret != "the-password" {
				t.Errorf("%v, %v", e, failure)
			}
		})
	}
	group.Wait()
	if n := f.calls.Load(); n != 1 {
		t.Errorf("%d fills", n)
	}
	for queue := 1; queue < queues; queue++ {
		held, err := lockfile.Lock(t.Context(), c.lock("other", queue))
		if err != nil {
			t.Fatal(err)
		}
		defer held.Unlock()
	}
	if e, failure := c.Do(t.Context(), "other", f.fill); failure != nil || e.Secret != "the-password" {
		t.Errorf("with every queue taken but the first: %v, %v", e, failure)
	}
}

// Somebody who waits sees an answer that is there before the lock is.
func TestDoSeesAnAnswerWhileItWaits(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	held, err := lockfile.Lock(t.Context(), c.lock("id", 0))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Unlock()
	c.patience = time.Hour
	all := waiting(c, 1)
	go func() {
		<-all
		c.Put("id", login())
	}()
	if e, failure := c.Do(t.Context(), "id", new(filler).fill); failure != nil || e.Secret != "the-password" {
		t.Errorf("%v, %v", e, failure)
	}
}

// Without a cache, or with one that cannot be written or locked, each fills for itself.
func TestDoWithoutLocks(t *testing.T) {
	spoiled := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	for queue := range queues {
		if err := os.Mkdir(spoiled.lock("id", queue), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	gone := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	if err := os.Remove(gone.Dir()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Cache{"nil": nil, "zero": {}, "a directory in place of the lock": spoiled, "no directory": gone} {
		f := &filler{entry: login()}
		if e, failure := c.Do(t.Context(), "id", f.fill); failure != nil || e.Secret != "the-password" || f.calls.Load() != 1 {
			t.Errorf("%s: %v, %v", name, e, failure)
		}
		f.failure = &Failure{Said: []byte("refused")}
		if _, failure := c.Do(t.Context(), "another", f.fill); failure == nil || string(failure.Said) != "refused" {
			t.Errorf("%s: %v", name, failure)
		}
	}
}

// A wait ends with the caller's time, and the fill learns of it.
func TestDoEndsWithItsTime(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	held, err := lockfile.Lock(t.Context(), c.lock("id", 0))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	f := &filler{gate: make(chan struct{})}
	if _, failure := c.Do(ctx, "id", f.fill); failure == nil || string(failure.Said) != "no answer in time" {
		t.Errorf("%v", failure)
	}
}

// A login that AWS lets expire at once is handed on, and not kept.
func TestDoKeepsNothingThatHasExpired(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	f := &filler{entry: Entry{Secret: "short", Made: noon, Life: margin}}
	for n := range int32(2) {
		if e, failure := c.Do(t.Context(), "id", f.fill); failure != nil || e.Secret != "short" || f.calls.Load() != n+1 {
			t.Errorf("%v, %v, %d fills", e, failure, f.calls.Load())
		}
	}
	if _, ok := c.Look("id"); ok {
		t.Error("it was kept")
	}
}

// An entry and a failure look alike from outside, whatever they say.
func TestSealedSizes(t *testing.T) {
	c := filled(t)
	c.Do(t.Context(), "failing", (&filler{failure: &Failure{Said: []byte("a longer or a shorter text"), For: time.Second}}).fill)
	sizes := map[int64]bool{}
	for _, id := range []string{"id", failureOf("failing")} {
		fi, err := os.Stat(c.path(id, suffix))
		if err != nil {
			t.Fatal(err)
		}
		sizes[fi.Size()] = true
	}
	if len(sizes) != 1 {
		t.Errorf("sizes %v", sizes)
	}
}

// A holder that is slow, and not stuck, is waited for: a second fill would be as slow.
func TestDoSlowHolder(t *testing.T) {
	const many = 8
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	c.now = time.Now // who waited is told by the clock
	c.patience = 400 * time.Millisecond
	f := &filler{entry: login(), gate: make(chan struct{})}
	f.entry.Made = time.Now()
	time.AfterFunc(3*c.patience, func() { close(f.gate) })
	var group sync.WaitGroup
	for range many {
		group.Go(func() {
			if e, failure := c.Do(t.Context(), "id", f.fill); failure != nil || e.Secret != "the-password" {
				t.Errorf("%v, %v", e, failure)
			}
		})
	}
	group.Wait()
	if n := f.calls.Load(); n != 1 {
		t.Errorf("%d fills", n)
	}
}

// But not for ever.
func TestDoWaitsNoLongerThanItMay(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	c.longest = 200 * time.Millisecond
	held, err := lockfile.Lock(t.Context(), c.lock("id", 0))
	if err != nil {
		t.Fatal(err)
	}
	end := c.alive(c.lock("id", 0), held)
	defer end()
	if e, failure := c.Do(t.Context(), "id", (&filler{entry: login()}).fill); failure != nil || e.Secret != "the-password" {
		t.Errorf("%v, %v", e, failure)
	}
}

// Where nothing can be kept nobody waits for another's answer, which will never be there: all but the first fill at once.
func TestDoWhereNothingCanBeKept(t *testing.T) {
	const many = 16
	for name, f := range map[string]*filler{
		"the disk is full":            {entry: login()},
		"AWS lets it expire too soon": {entry: Entry{Secret: "the-password", Life: margin}},
		"a failure":                   {failure: &Failure{Said: []byte("refused"), For: time.Hour}},
	} {
		t.Run(name, func(t *testing.T) {
			c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
			c.now = time.Now
			f.entry.Made = time.Now()
			for _, id := range []string{"id", failureOf("id")} { // no file can take the place of a directory that is not empty
				if err := os.MkdirAll(filepath.Join(c.path(id, suffix), "full"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			all := waiting(c, many)
			var filling, most atomic.Int32
			inside := make(chan struct{})
			fill := func(context.Context) (Entry, *Failure) {
				if f.calls.Add(1) == 1 {
					<-all
					return f.entry, f.failure
				}
				if filling.Add(1) == many-1 { // all the others at the same time
					close(inside)
				}
				most.Store(max(most.Load(), filling.Load()))
				select {
				case <-inside:
				case <-time.After(20 * time.Second):
				}
				return f.entry, f.failure
			}
			var group sync.WaitGroup
			for range many {
				group.Go(func() {
					if e, failure := c.Do(t.Context(), "id", fill); e.Secret != f.entry.Secret || (failure == nil) != (f.failure == nil) {
						t.Errorf("%v, %v", e, failure)
					}
				})
			}
			group.Wait()
			if most.Load() != many-1 {
				t.Errorf("%d of %d filled at the same time", most.Load(), many-1)
			}
		})
	}
}

// An entry that AWS's refusal, or an erase, took away while somebody waited to refresh it does not come back.
func TestDoRefreshBringsNothingBack(t *testing.T) {
	old := Entry{Secret: "old", Made: noon, Life: 12 * time.Hour, Refresh: time.Hour}
	passing := &Failure{Said: []byte("HTTP 500"), For: 2 * time.Second}
	at := func(t *testing.T) *Cache {
		c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
		if err := c.Put("id", old); err != nil {
			t.Fatal(err)
		}
		c.now = func() time.Time { return noon.Add(time.Hour) }
		return c
	}
	t.Run("refused before it had the lock", func(t *testing.T) {
		c := at(t)
		if err := c.keep("id", Entry{}, &Failure{Said: []byte("AccessDenied"), For: 10 * time.Second, Refused: true}); err != nil {
			t.Fatal(err)
		}
		f := &filler{failure: passing}
		if e, failure := c.refresh(t.Context(), "id", noon, old, f.fill); failure == nil || string(failure.Said) != "AccessDenied" || f.calls.Load() != 0 {
			t.Errorf("%v, %v", e, failure)
		}
	})
	t.Run("erased before it had the lock", func(t *testing.T) {
		c := at(t)
		if err := c.Remove("id"); err != nil {
			t.Fatal(err)
		}
		f := &filler{failure: passing}
		if e, failure := c.refresh(t.Context(), "id", noon.Add(time.Hour), old, f.fill); failure == nil || f.calls.Load() != 1 {
			t.Errorf("%v, %v", e, failure)
		}
	})
	t.Run("erased while it asked", func(t *testing.T) {
		c := at(t)
		e, failure := c.Do(t.Context(), "id", func(context.Context) (Entry, *Failure) {
			if err := c.Remove("id"); err != nil {
				t.Error(err)
			}
			return Entry{}, passing
		})
		if failure != nil || e.Secret != "old" {
			t.Errorf("%v, %v", e, failure)
		}
		if _, ok := c.Look("id"); ok {
			t.Error("it came back")
		}
	})
}

// Where files cannot be locked, a refresh is made all the same: a refusal must not go unheard.
func TestDoRefreshWithoutLocks(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	if err := c.Put("id", Entry{Secret: "old", Made: noon, Life: 12 * time.Hour, Refresh: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(c.lock("id", 0), 0o700); err != nil {
		t.Fatal(err)
	}
	c.now = func() time.Time { return noon.Add(time.Hour) }
	f := &filler{failure: &Failure{Said: []byte("AccessDenied"), For: 10 * time.Second, Refused: true}}
	if e, failure := c.Do(t.Context(), "id", f.fill); failure == nil || e.Secret != "" {
		t.Errorf("%v, %v", e, failure)
	}
}

// A failure that is a process's own, and one that is too long to be read again, are told to nobody else.
func TestDoKeepsSomeFailuresToItself(t *testing.T) {
	for name, failure := range map[string]*Failure{
		"its own":  {Said: []byte("no answer in time"), For: -1},
		"too long": {Said: make([]byte, maxEntry), For: time.Hour},
	} {
		c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
		f := &filler{failure: failure}
		for range 2 {
			if _, got := c.Do(t.Context(), "id", f.fill); got == nil {
				t.Errorf("%s: no failure", name)
			}
		}
		if n := f.calls.Load(); n != 2 {
			t.Errorf("%s: %d fills", name, n)
		}
	}
}

func TestFailed(t *testing.T) {
	c := opened(t, filepath.Join(t.TempDir(), "c"), secret)
	if _, _, ok := c.Failed("id"); ok {
		t.Error("a failure of nothing")
	}
	c.Do(t.Context(), "id", (&filler{failure: &Failure{Said: []byte("refused"), For: 10 * time.Second}}).fill)
	c.now = func() time.Time { return noon.Add(4 * time.Second) }
	if f, left, ok := c.Failed("id"); !ok || string(f.Said) != "refused" || left != 6*time.Second {
		t.Errorf("%s, %v, %v", f.Said, left, ok)
	}
	c.now = func() time.Time { return noon.Add(10 * time.Second) }
	if _, _, ok := c.Failed("id"); ok {
		t.Error("after its time")
	}
	if _, _, ok := (*Cache)(nil).Failed("id"); ok {
		t.Error("without a cache")
	}
}

func TestLeft(t *testing.T) {
	e := Entry{Made: noon, Life: 12 * time.Hour}
	for after, want := range map[time.Duration]time.Duration{0: 12*time.Hour - margin, time.Hour: 11*time.Hour - margin, 12*time.Hour - margin: 0, 13 * time.Hour: 0, -time.Hour: 0} {
		if got := e.Left(noon.Add(after)); got != want {
			t.Errorf("after %v: %v, want %v", after, got, want)
		}
	}
}
