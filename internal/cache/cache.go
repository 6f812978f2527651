// Package cache keeps ECR passwords on disk, sealed, until they expire.
//
// Processes on one machine may share a directory. They may duplicate effort; they never see a torn or a foreign entry.
// Entries are sealed with keys made from the job's own secret: what a job leaves behind is noise to the next one. A
// process of the same user that can read this job's environment while it runs can read its entries too. Without a
// secret (on a machine, never in a CI) entries are only as private as their 0600 mode, like those of ~/.aws/sso/cache.
//
// An entry that is missing, torn, foreign or damaged is a miss, never an error. Of many processes that miss together one
// works, and the others share its result or its failure (Do).
package cache

import (
	"bytes"
	"cmp"
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
	// margin is how long before AWS's expiry an entry stops serving, so that a long push does not straddle it.
	margin = 15 * time.Minute

	format   = "ecr-oidc 1\n" // the first bytes of a sealed file; authenticated with the rest
	suffix   = ".sealed"
	maxEntry = 64 << 10       // bytes; a password is a few thousand
	unit     = 4 << 10        // bytes; what is sealed is filled up to a multiple, so that its length tells little
	stale    = 24 * time.Hour // AWS's longest is 12; what is older serves nobody
)

// own matches the names of our files, and of the temporary ones that atomicfile makes for them.
var own = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([0-9a-f]{64}\.(sealed|[0-9]\.lock)|\.tmp-[0-9a-f]{64}\.sealed-[0-9]+)$`)
})

// Entry is a login with its life. It prints without its secret. Times are lengths and not AWS's dates, so that a clock
// that is wrong does no harm as long as it runs evenly.
type Entry struct {
	Username string
	Secret   string
	Made     time.Time     // by the local clock, when it was fetched
	Life     time.Duration // from Made until it expires
	Refresh  time.Duration // from Made until AWS is to be asked again, though the entry still serves; 0 for never
	Spare    time.Duration // before its end, in which it is not served; 0 is 15 minutes
}

func (e Entry) String() string {
	return fmt.Sprintf("login of %q made %v for %v", e.Username, e.Made, e.Life)
}
func (e Entry) GoString() string { return e.String() }

// Fresh says whether the entry may be served at the time now.
func (e Entry) Fresh(now time.Time) bool {
	age := now.Sub(e.Made)
	return 0 <= age && age < e.Life-cmp.Or(e.Spare, margin)
}

// Left returns how long the entry may be served yet at the time now, whatever becomes of a refresh.
func (e Entry) Left(now time.Time) time.Duration {
	if !e.Fresh(now) {
		return 0
	}
	return e.Life - cmp.Or(e.Spare, margin) - now.Sub(e.Made)
}

// due says whether AWS is to be asked again at the time now for an entry that is fresh.
func (e Entry) due(now time.Time) bool {
	return e.Refresh > 0 && now.Sub(e.Made) >= e.Refresh
}

// Cache is a directory of sealed entries. The zero value, and nil, are a cache that holds nothing and keeps nothing. It
// may be used by any number of processes at once; only Do waits for another.
type Cache struct {
	Debug func(format string, args ...any) // one line per step; may be nil

	dir  string
	aead cipher.AEAD
	name []byte // HMAC key of the file names
	now  func() time.Time

	patience, longest time.Duration
}

// Open returns the cache in the first of dirs that is fit to hold it: a real directory that is ours alone; one that is
// missing is made. A nil secret makes entries that nothing but their file mode protects.
func Open(dirs []string, secret []byte) (*Cache, error) { return first(dirs, secret, private, false) }

// Find is Open for who only looks: it makes nothing. Where Open would make the directory, the error is fs.ErrNotExist.
func Find(dirs []string, secret []byte) (*Cache, error) { return first(dirs, secret, fit, true) }

func first(dirs []string, secret []byte, usable func(dir string) error, looking bool) (*Cache, error) {
	var errs []error
	for _, dir := range dirs {
		dir = filepath.Clean(dir) // a slash at the end would lead through a symlink
		err := usable(dir)
		if err == nil {
			return open(dir, secret)
		}
		err = fmt.Errorf("opening the cache directory %s: %w", dir, err)
		if looking && errors.Is(err, os.ErrNotExist) && makeable(dir) {
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
	name, err := hkdf.Key(sha256.New, secret, nil, "docker-credential-ecr-oidc cache 1: name", 32)
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
	return &Cache{dir: dir, aead: aead, name: name, now: time.Now, patience: patience, longest: longest}, nil
}

// Dir returns where the entries lie.
func (c *Cache) Dir() string { return c.dir }

// Get returns the entry for id if there is one that may be served now. It opens one file and calls nothing.
func (c *Cache) Get(id string) (Entry, bool) {
	e, ok := c.Look(id)
	return e, ok && e.Fresh(c.now())
}

// Look returns the entry for id, also one that has expired and is still there.
func (c *Cache) Look(id string) (e Entry, ok bool) {
	return e, c.unseal(id, &e)
}

// Put keeps an entry under id and removes what expired long ago. It does not wait for the disk: an entry can be made
// again, and one that was torn by a power cut does not open.
func (c *Cache) Put(id string, e Entry) error {
	if c.holdsNothing() {
		return errors.New("keeping an entry: there is no cache")
	}
	if err := c.seal(id, e); err != nil {
		return fmt.Errorf("keeping an entry: %w", err)
	}
	return nil
}

// Remove forgets the entry and the failure for id; that there is none is not an error.
func (c *Cache) Remove(id string) error {
	if c.holdsNothing() {
		return nil
	}
	for _, id := range []string{id, failureOf(id)} {
		if err := os.Remove(c.path(id, suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("forgetting an entry: %w", err)
		}
	}
	return nil
}

func (c *Cache) holdsNothing() bool { return c == nil || c.aead == nil }

// seal writes a value under id, and removes what expired long ago.
func (c *Cache) seal(id string, v any) error {
	c.prune()
	plain, err := json.Marshal(v)
	if err != nil {
		return err
	}
	plain = append(plain, bytes.Repeat([]byte(" "), unit-1-(len(plain)-1)%unit)...) // which JSON may end with
	sealed := c.aead.Seal([]byte(format), nil, plain, []byte(format+id))
	if len(sealed) > maxEntry { // it would not be read
		return fmt.Errorf("it has %d bytes", len(sealed))
	}
	path := c.path(id, suffix)
	if fi, err := os.Lstat(path); err == nil && fi.IsDir() {
		os.Remove(path) // no file can take its place; one that holds something is not ours, and stays
	}
	return atomicfile.Write(path, sealed, 0o600, false)
}

// unseal reads what was sealed under id into v, and says whether there was anything.
func (c *Cache) unseal(id string, v any) bool {
	if c.holdsNothing() {
		return false
	}
	sealed, err := read(c.path(id, suffix))
	if err != nil {
		return false
	}
	ciphertext, ok := bytes.CutPrefix(sealed, []byte(format))
	if !ok {
		return false
	}
	plain, err := c.aead.Open(nil, nil, ciphertext, []byte(format+id))
	return err == nil && json.Unmarshal(plain, v) == nil
}

// path is where a file for id lies. The name is an HMAC, so that it tells nothing to who has not the secret.
func (c *Cache) path(id, suffix string) string {
	mac := hmac.New(sha256.New, c.name)
	mac.Write([]byte(id))
	return filepath.Join(c.dir, hex.EncodeToString(mac.Sum(nil))+suffix)
}

// read reads a whole entry, if it is a regular file of a size that an entry can have.
func read(path string) ([]byte, error) {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxEntry { // a FIFO would block for ever, a huge file fill the memory
		return nil, errors.New("not an entry")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err = f.Stat(); err != nil { // it may be another one by now
		return nil, err
	}
	entry := make([]byte, min(fi.Size(), maxEntry))
	_, err = io.ReadFull(f, entry)
	return entry, err
}

// prune removes entries, and temporary files of writers that died, which nobody can be using any more.
func (c *Cache) prune() {
	files, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	for _, f := range files {
		if !own().MatchString(f.Name()) { // the user may have given us a directory that holds other things
			continue
		}
		if fi, err := f.Info(); err == nil && fi.Mode().IsRegular() && c.now().Sub(fi.ModTime()) > stale {
			os.Remove(filepath.Join(c.dir, f.Name()))
		}
	}
}

// private makes dir if it is missing, and says whether it is fit for secrets.
func private(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	switch err := os.Mkdir(dir, 0o700); {
	case err == nil: // a strange umask may have taken bits that we need
		// #nosec G302 -- a directory
		if err := os.Chmod(dir, 0o700); err != nil {
			return err
		}
	case !errors.Is(err, os.ErrExist):
		return err
	}
	return fit(dir)
}

// fit says whether dir is fit for secrets: a directory of this user, not a symlink, that nobody else may enter.
func fit(dir string) error {
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("it is not a directory but %v", fi.Mode().Type())
	}
	return ours(fi)
}

// makeable says whether a directory that is missing could be made: where the nearest parent that is there can be written.
func makeable(dir string) bool {
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		fi, err := os.Stat(parent)
		if err == nil {
			return fi.IsDir() && writable(parent, fi)
		}
		if parent == filepath.Dir(parent) || !errors.Is(err, os.ErrNotExist) {
			return false
		}
	}
}
