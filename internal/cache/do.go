package cache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/lockfile"
)

const (
	// patience is how long a process waits for a sign of life from the one that fills. It then stands in the next queue,
	// so that a holder that is stuck costs the others this long and one more fill, and not one fill each. One that AWS
	// throttles is not stuck, and a second fill beside its own would only be throttled too: it is waited for, since it
	// ends by itself.
	patience = 8 * time.Second
	queues   = 2
	longest  = 21 * time.Second // of all waits together

	glance  = 200 * time.Millisecond // how often a waiting process looks whether there is a result by now
	tried   = 50 * time.Millisecond  // how long a lock that is free may take to be had
	attempt = 3 * time.Second        // what a get spends on a refresh, when it has an entry to answer with
	respite = 5 * time.Minute        // from a refresh that failed until the next
)

// Failure is a fill that failed, for the other processes that would fail alike.
type Failure struct {
	Said    []byte        // what the caller makes of it is its own affair
	For     time.Duration // how long it answers those who come later; 0: it is for those alone who waited; less: for nobody else
	Refused bool          // AWS said no to this identity, so that an older password is not to be served either
}

// noted is a Failure on disk.
type noted struct {
	Failure
	Made time.Time
}

func failureOf(id string) string { return "failure of " + id }

// Do returns the entry for id, and has fill make it where there is none that may be served. Of many processes that
// miss together one fills, under a lock, and the others answer with its entry or its failure; a Failure answers those
// that come a little later too, for as long as it says. Without a cache, or where files cannot be locked, each fills for itself.
//
// An entry that is past its Refresh still serves: one process, of those that ask then, spends a moment on making a new
// one, and only AWS's refusal takes the old one away.
//
// It blocks for as long as another process fills, for 21 seconds in all at most, and then for as long as fill does.
// Hence fill is to give up when ctx is done.
func (c *Cache) Do(ctx context.Context, id string, fill func(context.Context) (Entry, *Failure)) (Entry, *Failure) {
	if c.holdsNothing() {
		return fill(ctx)
	}
	asked := c.now()
	e, f, ok := c.answer(id, asked)
	if !ok {
		end := c.turn(ctx, id, asked)
		defer end()
		e, f, ok = c.answer(id, asked)
	}
	switch {
	case !ok:
		return c.fill(ctx, id, fill)
	case f != nil:
		c.debug("answering with the failure of a moment ago")
	case e.due(c.now()):
		return c.refresh(ctx, id, asked, e, fill)
	default:
		c.debug("answering from the cache in %s", c.dir)
	}
	return e, f
}

// fill has an entry made and keeps what came of it. Where that cannot be kept there is nothing for the others to wait
// for, and the locks are taken away: who gets one that is gone fills at once.
func (c *Cache) fill(ctx context.Context, id string, fill func(context.Context) (Entry, *Failure)) (Entry, *Failure) {
	e, f := fill(ctx)
	if err := c.keep(id, e, f); err != nil {
		c.debug("not caching: %v", err)
		for queue := range queues {
			os.Remove(c.lock(id, queue))
		}
	}
	return e, f
}

// Failed returns the failure that answers who asks now, and for how long yet. An entry that may be served goes before it.
func (c *Cache) Failed(id string) (f Failure, left time.Duration, ok bool) {
	n, age, ok := c.failed(id)
	return n.Failure, n.For - age, ok && age < n.For
}

// failed returns the last failure for id, and how long ago it was.
func (c *Cache) failed(id string) (n noted, age time.Duration, ok bool) {
	if !c.unseal(failureOf(id), &n) {
		return noted{}, 0, false
	}
	age = c.now().Sub(n.Made)
	return n, age, age >= 0 // else the clock was set back, and nobody knows
}

// answer returns what there is on disk to answer somebody with who asked then.
func (c *Cache) answer(id string, asked time.Time) (Entry, *Failure, bool) {
	if e, ok := c.Get(id); ok {
		return e, nil, true
	}
	n, age, ok := c.failed(id)
	return Entry{}, &n.Failure, ok && (age < n.For || n.Made.After(asked))
}

// turn waits until this process is the one to fill, or until there is an answer. What it returns ends the turn.
func (c *Cache) turn(ctx context.Context, id string, asked time.Time) (end func()) {
	c.debug("not in the cache; taking turns with other processes that ask for it")
	ctx, cancel := context.WithTimeout(ctx, c.longest)
	defer cancel()
	for queue := range queues {
		lock := c.lock(id, queue)
		wait, cancel := context.WithCancel(ctx)
		go c.watch(wait, cancel, lock, id, asked)
		held, err := lockfile.Lock(wait, lock)
		over := wait.Err() != nil
		cancel()
		switch {
		case err == nil && held.Gone(): // the one before us could not keep its answer, and so can nobody
			held.Unlock()
			return func() {}
		case err == nil:
			return c.alive(lock, held)
		case !over:
			c.debug("not waiting for other processes: %v", err)
			return func() {}
		}
		if _, _, ok := c.answer(id, asked); ok || ctx.Err() != nil {
			break
		}
		c.debug("another process that gets this password has given no sign of life for %v; waiting no longer for it", c.patience)
	}
	return func() {}
}

// alive gives signs of life with a lock until it is released: the time of its file moves on.
func (c *Cache) alive(lock string, held *lockfile.Held) (end func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(c.patience / 8)
		defer tick.Stop()
		for {
			now := time.Now()
			_ = os.Chtimes(lock, now, now) // one that fails is not seen, and costs one more fill
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		held.Unlock()
	}
}

// watch ends a wait when there is an answer, or when the lock's holder has given no sign of life for too long. Only that
// the time of its file moves is looked at, not what it is.
func (c *Cache) watch(wait context.Context, end func(), lock, id string, asked time.Time) {
	tick := time.NewTicker(min(glance, c.patience/4))
	defer tick.Stop()
	var last time.Time
	since := time.Now()
	for {
		select {
		case <-wait.Done():
			return
		case <-tick.C:
		}
		if fi, err := os.Lstat(lock); err == nil && !fi.ModTime().Equal(last) {
			if !last.IsZero() {
				since = time.Now()
			}
			last = fi.ModTime()
		}
		if _, _, ok := c.answer(id, asked); ok || time.Since(since) >= c.patience {
			end()
			return
		}
	}
}

// refresh makes a new entry in place of e, which serves when that cannot be done now: another process is at it, the
// time is too short, AWS or the CI is having a bad day, or the job's token cannot be had any more.
func (c *Cache) refresh(ctx context.Context, id string, asked time.Time, e Entry, fill func(context.Context) (Entry, *Failure)) (Entry, *Failure) {
	try, cancel := context.WithTimeout(ctx, tried)
	defer cancel()
	held, err := lockfile.Lock(try, c.lock(id, 0))
	switch {
	case err == nil:
		defer held.Unlock()
	case try.Err() != nil:
		return e, nil
	} // else files cannot be locked here
	switch there, f, ok := c.answer(id, asked); { // somebody was faster
	case !ok: // and AWS said no, or it was erased: there is nothing to serve
		return c.fill(ctx, id, fill)
	case f != nil || !there.due(c.now()):
		return there, f
	}
	c.debug("the role session behind the password is over; asking AWS again")
	ctx, cancel = context.WithTimeout(ctx, attempt)
	defer cancel()
	made, f := fill(ctx)
	if f == nil || f.Refused {
		if err := c.keep(id, made, f); err != nil {
			c.debug("not caching: %v", err)
		}
		return made, f
	}
	c.debug("that failed; the password serves on")
	if there, ok := c.Get(id); ok && there.Made.Equal(e.Made) { // not erased meanwhile, nor replaced
		e.Refresh = c.now().Sub(e.Made) + respite
		if err := c.Put(id, e); err != nil {
			c.debug("not caching: %v", err)
		}
	}
	return e, nil
}

// keep puts a result where the next process finds it. That it cannot is no reason to fail.
func (c *Cache) keep(id string, e Entry, f *Failure) error {
	switch {
	case f != nil && f.For < 0:
		return nil
	case f != nil && f.Refused:
		return errors.Join(c.Remove(id), c.seal(failureOf(id), noted{*f, c.now()}))
	case f != nil:
		return c.seal(failureOf(id), noted{*f, c.now()})
	case !e.Fresh(c.now()):
		return fmt.Errorf("the password expires in %v", e.Life)
	}
	return c.Put(id, e)
}

func (c *Cache) lock(id string, queue int) string {
	return c.path(id, fmt.Sprintf(".%d.lock", queue))
}

func (c *Cache) debug(format string, args ...any) {
	if c.Debug != nil {
		c.Debug(format, args...)
	}
}
