package cache

import (
	"context"
	"fmt"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/lockfile"
)

const (
	// patience is how long a process waits for the one that fills. It then stands in the next queue, so that a holder
	// that is stuck costs the others this long and one more fill, and not one fill each.
	patience = 8 * time.Second
	queues   = 3

	glance  = 200 * time.Millisecond // how often a waiting process looks whether there is a result by now
	tried   = 50 * time.Millisecond  // how long a lock that is free may take to be had
	attempt = 3 * time.Second        // what a get spends on a refresh, when it has an entry to answer with
	respite = 5 * time.Minute        // from a refresh that failed until the next
)

// Failure is a fill that failed, for the other processes that would fail alike.
type Failure struct {
	Said    []byte        // what the caller makes of it is its own affair
	For     time.Duration // how long it answers those who come later; 0: it is for those alone who waited for it
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
// It blocks for as long as another process fills, for 24 seconds in all at most, and then for as long as fill does.
// Hence fill is to give up when ctx is done.
func (c *Cache) Do(ctx context.Context, id string, fill func(context.Context) (Entry, *Failure)) (Entry, *Failure) {
	if c.holdsNothing() {
		return fill(ctx)
	}
	asked := c.now()
	e, f, ok := c.answer(id, asked)
	if !ok {
		unlock := c.turn(ctx, id, asked)
		defer unlock()
		e, f, ok = c.answer(id, asked)
	}
	switch {
	case !ok:
		e, f = fill(ctx)
		c.keep(id, e, f)
	case f != nil:
		c.debug("answering with the failure of a moment ago")
	case e.due(c.now()):
		return c.refresh(ctx, id, e, fill)
	default:
		c.debug("answering from the cache in %s", c.dir)
	}
	return e, f
}

// answer returns what there is on disk to answer somebody with who asked then.
func (c *Cache) answer(id string, asked time.Time) (Entry, *Failure, bool) {
	if e, ok := c.Get(id); ok {
		return e, nil, true
	}
	var n noted
	if !c.unseal(failureOf(id), &n) {
		return Entry{}, nil, false
	}
	age := c.now().Sub(n.Made)
	return Entry{}, &n.Failure, age >= 0 && (age < n.For || n.Made.After(asked))
}

// turn waits until this process is the one to fill, or until there is an answer.
func (c *Cache) turn(ctx context.Context, id string, asked time.Time) (unlock func()) {
	c.debug("not in the cache; taking turns with other processes that ask for it")
	for n := range queues {
		wait, cancel := context.WithTimeout(ctx, c.patience)
		go c.watch(wait, cancel, id, asked)
		unlock, err := lockfile.Lock(wait, c.lock(id, n))
		over := wait.Err() != nil
		cancel()
		if err == nil {
			return unlock
		}
		if !over {
			c.debug("not waiting for other processes: %v", err)
			break
		}
		if _, _, ok := c.answer(id, asked); ok || ctx.Err() != nil {
			break
		}
		c.debug("another process has been getting this password for %v; waiting no longer for it", c.patience)
	}
	return func() {}
}

// watch ends a wait when there is an answer.
func (c *Cache) watch(wait context.Context, end func(), id string, asked time.Time) {
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		select {
		case <-wait.Done():
			return
		case <-tick.C:
			if _, _, ok := c.answer(id, asked); ok {
				end()
				return
			}
		}
	}
}

// refresh makes a new entry in place of e, which serves when that cannot be done now: another process is at it, the
// time is too short, AWS or the CI is having a bad day, or the job's token cannot be had any more.
func (c *Cache) refresh(ctx context.Context, id string, e Entry, fill func(context.Context) (Entry, *Failure)) (Entry, *Failure) {
	try, cancel := context.WithTimeout(ctx, tried)
	defer cancel()
	unlock, err := lockfile.Lock(try, c.lock(id, 0))
	if err != nil {
		return e, nil
	}
	defer unlock()
	if now, ok := c.Get(id); ok && !now.due(c.now()) {
		return now, nil
	}
	c.debug("the role session behind the password is over; asking AWS again")
	ctx, cancel = context.WithTimeout(ctx, attempt)
	defer cancel()
	made, f := fill(ctx)
	if f == nil || f.Refused {
		c.keep(id, made, f)
		return made, f
	}
	c.debug("that failed; the password serves on")
	e.Refresh = c.now().Sub(e.Made) + respite
	c.keep(id, e, nil)
	return e, nil
}

// keep puts a result where the next process finds it, if that can be done: that it cannot is no reason to fail.
func (c *Cache) keep(id string, e Entry, f *Failure) {
	var err error
	switch {
	case f != nil && f.Refused:
		if err = c.Remove(id); err == nil {
			err = c.seal(failureOf(id), noted{*f, c.now()})
		}
	case f != nil:
		err = c.seal(failureOf(id), noted{*f, c.now()})
	case !e.Fresh(c.now()):
		err = fmt.Errorf("the password expires in %v", e.Life)
	default:
		err = c.Put(id, e)
	}
	if err != nil {
		c.debug("not caching: %v", err)
	}
}

func (c *Cache) lock(id string, queue int) string {
	return c.path(id, fmt.Sprintf(".%d.lock", queue))
}

func (c *Cache) debug(format string, args ...any) {
	if c.Debug != nil {
		c.Debug(format, args...)
	}
}
