// Package cache keeps registry logins on disk, encrypted, until they expire.
//
// Any number of processes may use one directory at the same time. They may fetch the same login
// twice; they never read a torn entry or an entry of another job. Entries are encrypted with a key
// that is derived from the job's secret, so a later job on the same machine cannot read them. A
// process that can read the job's environment can read its entries. Without a secret, entries are
// protected by their file mode 0600 alone, like those in ~/.aws/sso/cache.
//
// An entry that is missing, torn, damaged or sealed with another secret is a miss, never an error.
package cache

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/internal/atomicfile"
)

const (
	format      = "ecr-oidc 2\n" // the first bytes of a sealed file, which are authenticated too
	entrySuffix = ".sealed"
	lockSuffix  = ".lock"
	maxSealed   = 64 << 10 // bytes of a sealed file; a password has a few thousand
	blockSize   = 8 << 10  // bytes; plain text is padded to a multiple, so that its length reveals little
	maxFileAge  = 24 * time.Hour

	// margin is how long before AWS's expiry an entry stops being usable, so that a push that has
	// begun can finish.
	margin = 15 * time.Minute
)

// ownFile matches the names of this package's files, and of the temporary files that atomicfile
// creates for them.
var ownFile = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9a-f]{64}\.(sealed|lock)|\.tmp-entry-[0-9]+)$`)
})

// Entry is a login and how long it is good for. Times are durations since CreatedAt and not AWS's
// dates: a clock that is wrong does no harm as long as it runs evenly. String and GoString leave
// the secret out.
type Entry struct {
	Username  string
	Secret    string
	CreatedAt time.Time     // by the local clock
	TTL       time.Duration // from CreatedAt until AWS's expiry
	FreshFor  time.Duration // from CreatedAt until the login is fetched again; zero or less: at once
}

func (e Entry) String() string {
	return fmt.Sprintf("login of %q created %v for %v", e.Username, e.CreatedAt, e.TTL)
}

// GoString is String.
func (e Entry) GoString() string { return e.String() }

// IsFresh reports whether the entry is returned at the time now without a request.
func (e Entry) IsFresh(now time.Time) bool {
	return e.IsUsable(now) && now.Sub(e.CreatedAt) < e.FreshFor
}

// IsUsable reports whether the entry may be returned at the time now when AWS or the CI cannot be reached.
func (e Entry) IsUsable(now time.Time) bool { return e.Remaining(now) > 0 }

// Remaining returns how long the entry is usable after the time now; zero if it is not.
func (e Entry) Remaining(now time.Time) time.Duration {
	age := now.Sub(e.CreatedAt)
	if age < 0 || age >= e.TTL-margin { // when the clock was set back, the age is unknown
		return 0
	}
	return e.TTL - margin - age
}

// Cache is a directory of sealed entries. A nil Cache holds no entries and stores none.
type Cache struct {
	Debug func(format string, args ...any) // receives one line per step; may be nil

	dir     string
	aead    cipher.AEAD
	nameKey []byte // HMAC key of the file names
	now     func() time.Time
	wait    func(fetchLimit, lockAge time.Duration) time.Duration
}

// Open returns the cache in the first of dirs that can hold secrets: a directory, not a symlink,
// that belongs to this user and that no other user may enter. A missing directory is created.
// secret seals the entries; when it is nil, nothing but their file mode protects them.
func Open(dirs []string, secret []byte) (*Cache, error) { return openFirst(dirs, secret, makeDir) }

// Find is Open for a caller that only reads: it creates nothing. Where Open would create the
// directory, the error is fs.ErrNotExist.
func Find(dirs []string, secret []byte) (*Cache, error) { return openFirst(dirs, secret, findDir) }

// openFirst opens the first directory for which usable returns no error. A notCreatedError ends the search.
func openFirst(dirs []string, secret []byte, usable func(dir string) error) (*Cache, error) {
	var errs []error
	for _, dir := range dirs {
		dir = filepath.Clean(dir) // a slash at the end would follow a symlink
		err := usable(dir)
		if err == nil {
			return open(dir, secret)
		}
		err = fmt.Errorf("opening the cache directory %s: %w", dir, err)
		if errors.As(err, new(notCreatedError)) {
			return nil, err
		}
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		return nil, errors.New("opening the cache: no directory for it (is HOME set?)")
	}
	return nil, errors.Join(errs...)
}

func open(dir string, secret []byte) (*Cache, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, "docker-credential-ecr-oidc cache 1: entry", 32)
	if err != nil {
		return nil, err
	}
	nameKey, err := hkdf.Key(sha256.New, secret, nil, "docker-credential-ecr-oidc cache 1: name", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Cache{dir: dir, aead: aead, nameKey: nameKey, now: time.Now, wait: lockWait}, nil
}

// Dir returns the cache's directory.
func (c *Cache) Dir() string { return c.dir }

// Get returns the entry for key if it is fresh. It opens one file.
func (c *Cache) Get(key string) (Entry, bool) {
	e, ok := c.Read(key)
	return e, ok && e.IsFresh(c.now())
}

// Read returns the entry for key, also one that has expired and still exists.
func (c *Cache) Read(key string) (e Entry, ok bool) {
	return e, c.unseal(key, &e)
}

// Put stores an entry for key, and removes files that nothing can use any more. It does not wait
// for the disk: an entry can be fetched again, and one that a power failure tore does not decrypt.
func (c *Cache) Put(key string, e Entry) error {
	if c == nil {
		return errors.New("storing a cache entry: there is no cache")
	}
	file, err := c.reserve()
	if err == nil {
		err = c.seal(file, key, e)
	}
	if err != nil {
		return fmt.Errorf("storing a cache entry: %w", err)
	}
	return nil
}

// Remove deletes the entry and the cached failure for key. A missing one is not an error.
func (c *Cache) Remove(key string) error {
	if c == nil {
		return nil
	}
	for _, key := range []string{key, failureKey(key)} {
		if err := os.Remove(c.path(key, entrySuffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("deleting a cache entry: %w", err)
		}
	}
	return nil
}

// reserve creates the temporary file that seal writes to. The file gets the size of an entry, so
// that a full disk is found out here.
func (c *Cache) reserve() (*atomicfile.TempFile, error) {
	return atomicfile.CreateTemp(filepath.Join(c.dir, "entry"), blockSize+len(format)+c.aead.Overhead())
}

// seal writes a value for key into file, which it uses up, and removes files that nothing can use any more.
func (c *Cache) seal(file *atomicfile.TempFile, key string, value any) error {
	defer file.Discard()
	c.prune()
	plain, err := json.Marshal(value)
	if err != nil {
		return err
	}
	plain = append(plain, bytes.Repeat([]byte(" "),
		blockSize-1-(len(plain)-1)%blockSize)...) // JSON may end with spaces
	sealed := c.aead.Seal([]byte(format), nil, plain, []byte(format+key))
	if len(sealed) > maxSealed { // unseal would not read it
		return fmt.Errorf("it has %d bytes", len(sealed))
	}
	path := c.path(key, entrySuffix)
	if fi, err := os.Lstat(path); err == nil && fi.IsDir() {
		os.Remove(path) // a rename cannot replace a directory; one that is not empty is not ours, and stays
	}
	return file.Commit(path, sealed, 0o600)
}

// unseal decrypts what is stored for key into value, and reports whether there is anything.
func (c *Cache) unseal(key string, value any) bool {
	if c == nil {
		return false
	}
	sealed, err := readSealed(c.path(key, entrySuffix))
	return err == nil && c.decrypt(key, sealed, value)
}

func (c *Cache) decrypt(key string, sealed []byte, value any) bool {
	ciphertext, ok := bytes.CutPrefix(sealed, []byte(format))
	if !ok {
		return false
	}
	plain, err := c.aead.Open(nil, nil, ciphertext, []byte(format+key))
	return err == nil && json.Unmarshal(plain, value) == nil
}

// path returns the path of a file for key. Its name is an HMAC, which reveals nothing without the secret.
func (c *Cache) path(key, suffix string) string {
	mac := hmac.New(sha256.New, c.nameKey)
	mac.Write([]byte(key))
	return filepath.Join(c.dir, hex.EncodeToString(mac.Sum(nil))+suffix)
}

// readSealed reads a file that may be an entry: a regular file of at most maxSealed bytes.
func readSealed(path string) ([]byte, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxSealed { // a FIFO would block forever
		return nil, errors.New("not a cache entry")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err = f.Stat(); err != nil { // another process may have replaced it
		return nil, err
	}
	entry := make([]byte, min(fi.Size(), maxSealed))
	_, err = io.ReadFull(f, entry)
	return entry, err
}

// prune removes entries and temporary files that expired long ago, and locks that nobody has taken
// for that long. A process that has such a lock file open finds out that it is gone, and opens a
// new one (lockfile.Lock).
func (c *Cache) prune() {
	files, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	for _, f := range files {
		if !ownFile().MatchString(f.Name()) { // ECR_OIDC_CACHE_DIR may name a directory that holds other files
			continue
		}
		if fi, err := f.Info(); err == nil && fi.Mode().IsRegular() &&
			c.now().Sub(fi.ModTime()) > maxFileAge {
			os.Remove(filepath.Join(c.dir, f.Name()))
		}
	}
}

func (c *Cache) debug(format string, args ...any) {
	if c.Debug != nil {
		c.Debug(format, args...)
	}
}
