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

	staleFetchTimeout = 5 * time.Second // replaces FetchTimeout while a usable entry exists
	staleExtension    = 5 * time.Minute // how long a usable entry counts as fresh after a failed fetch

	// A waiter waits for as long as the lock holder's fetch may still take, plus lockMargin, plus a
	// random time of up to lockJitter, so that waiters do not all time out together.
	lockMargin = time.Second
	lockJitter = 3 * time.Second

	// modTimeDelay is how long a waiter waits before it reads the lock file's modification time.
	// By then the holder has set it.
	modTimeDelay = time.Second
)

// Failure is the result of a failed fetch, in the form in which it is passed to other processes.
type Failure struct {
	Payload         []byte        // the error, in the caller's encoding
	TTL             time.Duration // how long later callers get it; zero: only concurrent callers get it
	IdentityRefused bool          // AWS refused the identity: a usable cached login must not be returned
}

// failureEntry is a Failure in the cache.
type failureEntry struct {
	Failure
	CreatedAt time.Time
}

func failureKey(key string) string { return "failure of " + key }

// GetOrFetch returns the login for key from the cache. If there is no fresh login, it calls fetch
// and caches the result. Concurrent processes that request the same key share one fetch.
//
// # Protocol
//
//  1. Look up. A fresh entry is returned. So is a cached failure whose TTL has not expired.
//  2. Lock. Otherwise, the process waits for the lock file of key.
//  3. Look up again. The previous holder of the lock has usually stored a result. A failure that was
//     stored during the wait is returned whatever its TTL is.
//  4. Fetch. Otherwise, the process calls fetch, stores the result, and releases the lock.
//
// # Results of a fetch
//
//   - A login is stored and returned. A login that expires too soon to be usable is only returned,
//     and so is a login with a TTL of zero.
//   - A refusal of the identity (Failure.IdentityRefused) deletes the old entry. The failure is stored
//     and returned.
//   - After any other failure, a usable old entry is returned instead. It counts as fresh for another
//     5 minutes, unless another process deleted or replaced it during the fetch.
//   - Without a usable old entry, the failure is stored and returned.
//
// # Timeouts
//
// A fetch may take 14 seconds (FetchTimeout), or 5 seconds while a usable entry exists, and ends
// when ctx is done. A waiter waits for as long as the holder's fetch may still take, plus 1 to 4
// seconds, so for at most 18 seconds. It then fetches without the lock. The modification time of the
// lock file is the time at which the holder acquired the lock.
//
// # Faults
//
//   - A holder that dies: the kernel releases its lock, and one of the waiters fetches.
//   - A holder that hangs: each waiter times out and then fetches without the lock. The rest of its
//     own time may be too short for a fetch, so it stores a login, or a refusal of the identity, but
//     no other failure.
//   - Files that cannot be locked or written: every process fetches for itself.
//   - A nil Cache: GetOrFetch only calls fetch.
//
// The lock saves requests and protects no data: any number of processes may read and write entries
// without it.
//
// fetch must return when its context is done. GetOrFetch returns a nil *Failure if and only if it
// returns a login.
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
		c.debug("not in the cache; waiting for the lock")
		lock := c.acquire(ctx, key, c.fetchTimeout(entry))
		defer lock.Unlock()
		if entry, failure, ok = c.lookup(key, start); !ok {
			return c.fetchAndStore(ctx, key, lock, entry, fetch)
		}
	}
	if failure != nil {
		c.debug("returning a failure from the cache")
		return Entry{}, failure
	}
	c.debug("returning the login from the cache in %s", c.dir)
	return entry, nil
}

// lookup returns a fresh entry, or a failure for a caller that called GetOrFetch at the time start.
// If it returns false, the entry is the cached one, which is not fresh, or zero if there is none.
func (c *Cache) lookup(key string, start time.Time) (Entry, *Failure, bool) {
	entry, ok := c.Read(key)
	if ok && entry.IsFresh(c.now()) {
		return entry, nil, true
	}
	f, age, ok := c.readFailure(key)
	if ok && (f.CreatedAt.After(start) || age < f.TTL && !c.IgnoreCachedFailures) {
		return Entry{}, &f.Failure, true
	}
	return entry, nil, false
}

// acquire waits for the lock of key. The lock's holder may fetch for up to fetchTimeout. acquire
// returns nil if the caller must fetch without the lock.
//
// The timeout depends on the lock file's modification time, which the holder sets. When many
// processes start together, most of them begin to wait before it is set, and would read the time of
// an earlier fetch. acquire therefore reads it after modTimeDelay.
func (c *Cache) acquire(ctx context.Context, key string, fetchTimeout time.Duration) *lockfile.Held {
	path := c.path(key, lockSuffix)
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout+lockMargin+lockJitter)
	defer cancel()
	timer := time.AfterFunc(modTimeDelay, func() {
		age := fetchTimeout
		if fi, err := os.Lstat(path); err == nil {
			age = time.Since(fi.ModTime())
		}
		time.AfterFunc(c.lockTimeout(fetchTimeout, age), cancel)
	})
	defer timer.Stop()
	lock, err := lockfile.Lock(ctx, path)
	if err != nil {
		c.debug("fetching without the lock: %v", err)
		return nil
	}
	now := time.Now()
	// On an error waiters read the old time. They time out earlier and fetch too.
	_ = os.Chtimes(path, now, now)
	return lock
}

// lockTimeout returns how long to wait for a lock that was acquired lockAge ago, and whose holder
// may fetch for fetchTimeout.
func lockTimeout(fetchTimeout, lockAge time.Duration) time.Duration {
	remaining := fetchTimeout - min(max(lockAge, 0), fetchTimeout)
	return remaining + lockMargin + rand.N(lockJitter) // #nosec G404 -- the delay is not a secret
}

// fetchTimeout returns how long a fetch may take while entry is the cached one.
func (c *Cache) fetchTimeout(entry Entry) time.Duration {
	if entry.IsUsable(c.now()) {
		return staleFetchTimeout
	}
	return FetchTimeout
}

// fetchAndStore calls fetch and stores the result. old is the cached entry, which is not fresh, or
// zero if there is none. A nil lock means that the lock was not acquired. See GetOrFetch for what is
// stored and returned.
func (c *Cache) fetchAndStore(ctx context.Context, key string, lock *lockfile.Held, old Entry,
	fetch func(context.Context) (Entry, *Failure)) (Entry, *Failure) {
	file, err := c.createTemp()
	if err != nil {
		c.debug("not caching: %v", err)
		lock.Unlock() // waiters would get no result
	} else {
		defer file.Discard()
	}
	ctx, cancel := context.WithTimeout(ctx, c.fetchTimeout(old))
	defer cancel()
	login, failure := fetch(ctx)
	put := func(key string, value any) {
		if file == nil {
			return
		}
		if err := c.writeEncrypted(file, key, value); err != nil {
			c.debug("not caching: %v", err)
		}
	}
	switch {
	case failure == nil:
		switch {
		case login.IsUsable(c.now()):
			put(key, login)
		case login.TTL != 0: // otherwise fetch has reported why it must not be cached
			c.debug("not caching: the login expires in %v", login.TTL)
		}
		return login, nil
	case failure.IdentityRefused:
		if err := c.Remove(key); err != nil {
			c.debug("%v", err)
		}
	case old.IsUsable(c.now()):
		c.debug("the request failed; returning the login from the cache")
		old.FreshFor = c.now().Sub(old.CreatedAt) + staleExtension
		if current, ok := c.Read(key); ok &&
			current.CreatedAt.Equal(old.CreatedAt) { // not deleted or replaced during the fetch
			put(key, old)
		}
		return old, nil
	case lock == nil: // the failure may only mean that the wait left too little time
		return Entry{}, failure
	}
	put(failureKey(key), failureEntry{*failure, c.now()})
	return Entry{}, failure
}

// CachedFailure returns the cached failure for key and the rest of its TTL. It returns false if
// there is none or its TTL has expired. It does not check for a fresh entry, which GetOrFetch would
// return instead.
func (c *Cache) CachedFailure(key string) (f Failure, remaining time.Duration, ok bool) {
	s, age, ok := c.readFailure(key)
	return s.Failure, s.TTL - age, ok && age < s.TTL
}

// readFailure returns the last failure for key and its age. It returns false if the clock was set
// back after the failure, because its age is then unknown.
func (c *Cache) readFailure(key string) (f failureEntry, age time.Duration, ok bool) {
	if !c.readEncrypted(failureKey(key), &f) {
		return failureEntry{}, 0, false
	}
	age = c.now().Sub(f.CreatedAt)
	return f, age, age >= 0
}
