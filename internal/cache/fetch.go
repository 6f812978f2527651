package cache

import (
	"context"
	"math/rand/v2"
	"os"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/lockfile"
)

const (
	// FetchTimeout is how long one fetch may take.
	FetchTimeout = 14 * time.Second

	staleFetchTimeout = 5 * time.Second // while a usable entry exists
	timeMargin        = time.Second     // a holder has set the lock file's time by then
	waitMargin        = time.Second     // how much longer than its timeout the holder's fetch may take
	waitJitter        = 3 * time.Second // a random part is added, so that waiters do not all fetch at once
	staleExtension    = 5 * time.Minute // how long a usable entry counts as fresh after a failed fetch
)

// Failure is a failed fetch, as other processes that request the same login are told of it.
type Failure struct {
	Payload []byte        // the caller's own encoding of the error
	TTL     time.Duration // how long it is returned to later callers; zero: only to those that were waiting
	Refused bool          // AWS refused this identity, so that a cached login must not be returned either
}

// storedFailure is a Failure on disk.
type storedFailure struct {
	Failure
	CreatedAt time.Time
}

func failureKey(key string) string { return "failure of " + key }

// GetOrFetch returns the login for key from the cache, or from fetch. Of many processes that miss
// at the same time one fetches, and the others return its login or its failure.
//
//  1. A fresh entry is returned at once. So is a failure whose TTL is not over.
//  2. Otherwise the process waits for the lock of key, and looks again. The kernel releases the lock
//     of a holder that dies. A holder that hangs is waited for no longer than its fetch may take;
//     then the process fetches without the lock.
//  3. fetch has 14 seconds, and 5 while a usable entry exists, or until ctx is done.
//  4. A new login is stored and returned. When AWS refused, the old entry is deleted, and the failure
//     is stored and returned. After any other failure a usable entry is returned, and counts as fresh
//     for another 5 minutes. Without one, the failure is stored and returned.
//
// The lock only saves requests: where files cannot be locked or written, every process fetches for
// itself. A nil Cache does nothing but fetch.
//
// GetOrFetch blocks for at most 18 seconds for the lock, and then for as long as fetch does, which
// must return when its context is done. It returns a nil *Failure exactly when it returns a login.
func (c *Cache) GetOrFetch(ctx context.Context, key string,
	fetch func(context.Context) (Entry, *Failure)) (Entry, *Failure) {
	if c == nil {
		ctx, cancel := context.WithTimeout(ctx, FetchTimeout)
		defer cancel()
		return fetch(ctx)
	}
	start := c.now()
	entry, failure, ok := c.lookup(key, start)
	if !ok {
		c.debug("not in the cache; taking turns with other processes that request it")
		lock := c.acquire(ctx, key, c.limit(entry))
		defer lock.Unlock()
		if entry, failure, ok = c.lookup(key, start); !ok {
			return c.fetch(ctx, key, lock, entry, fetch)
		}
	}
	if failure != nil {
		c.debug("returning a failure from the cache")
		return Entry{}, failure
	}
	c.debug("returning the login from the cache in %s", c.dir)
	return entry, nil
}

// lookup returns a fresh entry, or a failure that answers a caller which has been waiting since
// start. When it reports false, the entry is the stored one, fresh or not, or zero.
func (c *Cache) lookup(key string, start time.Time) (Entry, *Failure, bool) {
	entry, ok := c.Read(key)
	if ok && entry.IsFresh(c.now()) {
		return entry, nil, true
	}
	if f, age, ok := c.failure(key); ok && (age < f.TTL || f.CreatedAt.After(start)) {
		return Entry{}, &f.Failure, true
	}
	return entry, nil, false
}

// acquire waits for the lock of key, whose holder may fetch for as long as limit. It returns nil
// when the caller is to fetch without the lock. The lock file's time, which tells how long its
// holder has been fetching, is read only after timeMargin: of many processes that begin together,
// most look before the holder has set it.
func (c *Cache) acquire(ctx context.Context, key string, limit time.Duration) *lockfile.Held {
	path := c.path(key, lockSuffix)
	ctx, cancel := context.WithTimeout(ctx, limit+waitMargin+waitJitter)
	defer cancel()
	timer := time.AfterFunc(timeMargin, func() {
		age := limit
		if fi, err := os.Lstat(path); err == nil {
			age = time.Since(fi.ModTime())
		}
		time.AfterFunc(c.wait(limit, age), cancel)
	})
	defer timer.Stop()
	lock, err := lockfile.Lock(ctx, path)
	if err != nil {
		c.debug("fetching without the lock: %v", err)
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // a waiter that sees the old time gives up earlier, and fetches too
	return lock
}

// lockWait returns how long to wait for a lock that was taken lockAge ago, and whose holder may
// fetch for fetchLimit.
func lockWait(fetchLimit, lockAge time.Duration) time.Duration {
	remaining := fetchLimit - min(max(lockAge, 0), fetchLimit)
	return remaining + waitMargin + rand.N(waitJitter) // #nosec G404 -- the delay is not a secret
}

// limit returns how long a fetch may take when entry is what is stored.
func (c *Cache) limit(entry Entry) time.Duration {
	if entry.IsUsable(c.now()) {
		return staleFetchTimeout
	}
	return FetchTimeout
}

// fetch calls fetch and stores the result. old is the entry that is stored now, zero if there is
// none. When the call fails, fetch deletes old, returns it, or returns the failure, as step 4 of
// GetOrFetch says.
func (c *Cache) fetch(ctx context.Context, key string, lock *lockfile.Held, old Entry,
	fetch func(context.Context) (Entry, *Failure)) (Entry, *Failure) {
	file, err := c.reserve()
	if err != nil {
		c.debug("not caching: %v", err)
		lock.Unlock() // nothing can be stored for those that wait
	} else {
		defer file.Discard()
	}
	ctx, cancel := context.WithTimeout(ctx, c.limit(old))
	defer cancel()
	login, failure := fetch(ctx)
	store := func(key string, value any) {
		if file == nil {
			return
		}
		if err := c.seal(file, key, value); err != nil {
			c.debug("not caching: %v", err)
		}
	}
	switch {
	case failure == nil:
		if !login.IsUsable(c.now()) {
			c.debug("not caching: the login expires in %v", login.TTL)
		} else {
			store(key, login)
		}
		return login, nil
	case failure.Refused:
		if err := c.Remove(key); err != nil {
			c.debug("%v", err)
		}
	case old.IsUsable(c.now()):
		c.debug("that failed; returning the login from the cache")
		old.FreshFor = c.now().Sub(old.CreatedAt) + staleExtension
		if stored, ok := c.Read(key); ok &&
			stored.CreatedAt.Equal(old.CreatedAt) { // not deleted or replaced meanwhile
			store(key, old)
		}
		return old, nil
	case lock == nil: // this process had less time than others have
		return Entry{}, failure
	}
	store(failureKey(key), storedFailure{*failure, c.now()})
	return Entry{}, failure
}

// Failure returns the failure that GetOrFetch would return for key now, and for how much longer. A
// fresh entry goes before it.
func (c *Cache) Failure(key string) (f Failure, remaining time.Duration, ok bool) {
	s, age, ok := c.failure(key)
	return s.Failure, s.TTL - age, ok && age < s.TTL
}

// failure returns the last failure for key and its age.
func (c *Cache) failure(key string) (f storedFailure, age time.Duration, ok bool) {
	if !c.unseal(failureKey(key), &f) {
		return storedFailure{}, 0, false
	}
	age = c.now().Sub(f.CreatedAt)
	return f, age, age >= 0 // else the clock was set back, and the age is unknown
}
