// Package cache stores registry logins on disk, encrypted, until they expire.
//
// Entries are encrypted and authenticated with AES-256-GCM. The key is derived with HKDF-SHA-256
// from a secret of the job, such as the token that lets it request OIDC tokens. The secret is not
// stored. A later job on the same machine has another secret, so it cannot read the entries or
// create one that this job accepts. The exception is a job with the same AWS access keys, which can
// request the same login anyway. A process that can read the job's environment can read its entries.
// Without a secret, only the file mode 0600 protects an entry, as in ~/.aws/sso/cache. The caller
// decides when that is acceptable; see openCache in internal/helper.
//
// Any number of processes may use one directory at the same time. They may fetch the same login
// twice. They never read an entry that is half written or that belongs to another job.
//
// An entry that is missing, truncated, damaged or encrypted with another secret is a cache miss,
// not an error.
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
	header      = "ecr-oidc 2\n" // starts each encrypted file, and is authenticated with it
	entrySuffix = ".enc"
	lockSuffix  = ".lock"
	maxFileSize = 64 << 10 // bytes of an encrypted file; a password has a few thousand
	maxFileAge  = 24 * time.Hour

	// Plaintext is padded to a multiple of paddingSize bytes, so that its length reveals little.
	paddingSize = 8 << 10
)

// ownFileName matches the names of this package's files, and of the temporary files that atomicfile
// creates for them.
var ownFileName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9a-f]{64}\.(enc|lock)|\.tmp-entry-[0-9]+)$`)
})

// Cache is a directory of encrypted entries. Several goroutines and processes may use it. A nil
// Cache has no entries and stores none.
type Cache struct {
	Debug func(format string, args ...any) // receives one line per step; may be nil

	// IgnoreCachedFailures makes GetOrFetch return no failure that was stored before the call.
	IgnoreCachedFailures bool

	dir         string
	aead        cipher.AEAD
	nameKey     []byte // HMAC key of the file names
	now         func() time.Time
	lockTimeout func(fetchTimeout, lockAge time.Duration) time.Duration
}

// Open returns the cache in the first suitable directory of dirs: not a symlink, owned by this
// user, and not accessible to other users. A missing directory is created. The entries are
// encrypted with a key derived from secret. If secret is nil, that key is the same for everyone,
// and only their file mode protects them.
func Open(dirs []string, secret []byte) (*Cache, error) {
	return openFirst(dirs, secret, createAndCheckDir)
}

// OpenExisting is like Open, but creates nothing. It is for callers that only read. If Open would
// create the directory, the error wraps fs.ErrNotExist.
func OpenExisting(dirs []string, secret []byte) (*Cache, error) {
	return openFirst(dirs, secret, checkExistingDir)
}

// openFirst opens the first directory for which check returns no error. A notCreatedError ends the
// search.
func openFirst(dirs []string, secret []byte, check func(dir string) error) (*Cache, error) {
	var errs []error
	for _, dir := range dirs {
		dir = filepath.Clean(dir) // with a trailing slash, Lstat follows a symlink
		err := check(dir)
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
		return nil, errors.New("opening the cache: no cache directory (is HOME set?)")
	}
	return nil, errors.Join(errs...)
}

func open(dir string, secret []byte) (*Cache, error) {
	// The labels have their own version. It changes only with the key derivation.
	key, err := hkdf.Key(sha256.New, secret, nil, "docker-credential-ecr-oidc cache 1: entry", 32)
	if err != nil {
		return nil, err
	}
	nameKey, err := hkdf.Key(sha256.New, secret, nil,
		"docker-credential-ecr-oidc cache 1: name", 32)
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
	return &Cache{
		dir: dir, aead: aead, nameKey: nameKey, now: time.Now, lockTimeout: lockTimeout,
	}, nil
}

// Dir returns the cache's directory.
func (c *Cache) Dir() string { return c.dir }

// Get returns the entry for key if it is fresh. It opens one file and does not wait for the lock.
func (c *Cache) Get(key string) (Entry, bool) {
	e, ok := c.Read(key)
	return e, ok && e.IsFresh(c.now())
}

// Read returns the entry for key even if it is not fresh or has expired.
func (c *Cache) Read(key string) (e Entry, ok bool) {
	return e, c.readEncrypted(key, &e)
}

// Put stores an entry for key, and removes old files. It does not wait until the data is on the
// disk: an entry that a power failure damages does not decrypt, and is a cache miss.
func (c *Cache) Put(key string, e Entry) error {
	if c == nil {
		return errors.New("storing a cache entry: there is no cache")
	}
	file, err := c.createTemp()
	if err == nil {
		err = c.writeEncrypted(file, key, e)
	}
	if err != nil {
		return fmt.Errorf("storing a cache entry: %w", err)
	}
	return nil
}

// Remove deletes the entry and the cached failure for key. It is not an error if there are none.
func (c *Cache) Remove(key string) error {
	if c == nil {
		return nil
	}
	for _, key := range []string{key, failureKey(key)} {
		if err := os.Remove(c.path(key, entrySuffix)); err != nil && !errors.Is(err,
			os.ErrNotExist) {
			return fmt.Errorf("deleting a cache entry: %w", err)
		}
	}
	return nil
}

// createTemp creates the temporary file for writeEncrypted. The file has the size of an entry, so
// that a full disk is an error before the fetch.
func (c *Cache) createTemp() (*atomicfile.TempFile, error) {
	size := paddingSize + len(header) + c.aead.Overhead()
	return atomicfile.CreateTemp(filepath.Join(c.dir, "entry"), size)
}

// writeEncrypted writes value for key to file and renames file to its final path. It also removes
// old files. file cannot be used again.
func (c *Cache) writeEncrypted(file *atomicfile.TempFile, key string, value any) error {
	defer file.Discard()
	c.prune()
	plain, err := json.Marshal(value)
	if err != nil {
		return err
	}
	plain = append(plain, bytes.Repeat([]byte(" "),
		paddingSize-1-(len(plain)-1)%paddingSize)...) // JSON may end with spaces
	encrypted := c.aead.Seal([]byte(header), nil, plain, []byte(header+key))
	if len(encrypted) > maxFileSize { // readFile would reject it
		return fmt.Errorf("the entry has %d bytes; the limit is %d", len(encrypted),
			maxFileSize)
	}
	path := c.path(key, entrySuffix)
	if fi, err := os.Lstat(path); err == nil && fi.IsDir() {
		// A rename cannot replace a directory. Remove deletes only an empty one.
		os.Remove(path)
	}
	return file.Commit(path, encrypted, 0o600)
}

// readEncrypted decrypts the value that is stored for key into value. It returns false if there is
// none, or if it cannot be decrypted.
func (c *Cache) readEncrypted(key string, value any) bool {
	if c == nil {
		return false
	}
	encrypted, err := readFile(c.path(key, entrySuffix))
	return err == nil && c.decrypt(key, encrypted, value)
}

// decrypt decrypts an entry. The key is authenticated too, so that an entry that was renamed to the
// file name of another key does not decrypt.
func (c *Cache) decrypt(key string, encrypted []byte, value any) bool {
	ciphertext, ok := bytes.CutPrefix(encrypted, []byte(header))
	if !ok {
		return false
	}
	plain, err := c.aead.Open(nil, nil, ciphertext, []byte(header+key))
	return err == nil && json.Unmarshal(plain, value) == nil
}

// path returns the path of a file for key. The file name is an HMAC of key, which reveals nothing
// without the secret.
func (c *Cache) path(key, suffix string) string {
	mac := hmac.New(sha256.New, c.nameKey)
	mac.Write([]byte(key))
	return filepath.Join(c.dir, hex.EncodeToString(mac.Sum(nil))+suffix)
}

// readFile reads a regular file of at most maxFileSize bytes.
func readFile(path string) ([]byte, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxFileSize { // a FIFO would block forever
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
	entry := make([]byte, min(fi.Size(), maxFileSize))
	_, err = io.ReadFull(f, entry)
	return entry, err
}

// prune removes this package's files that were not modified for maxFileAge: entries, which have
// expired by then, temporary files and lock files. A process that waits for a removed lock file
// creates a new one (lockfile.Lock).
func (c *Cache) prune() {
	files, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	for _, f := range files {
		if !ownFileName().MatchString(f.Name()) { // ECR_OIDC_CACHE_DIR may contain other files
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
