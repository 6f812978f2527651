package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// cacheJob is a job on a machine where another process changes its cache.
type cacheJob struct {
	*job
	t  *testing.T
	as func(*exec.Cmd) // makes the command run as the user of the job
}

func newCacheJob(t *testing.T) *cacheJob {
	t.Helper()
	// Too short to be cached: the only entry is the password.
	j := newJobIn(t, emulator.Options{GitHubTokenTTL: time.Minute})
	return &cacheJob{job: j, t: t, as: dropPrivileges(t, j)}
}

// next returns another job of the same user on the machine.
func (c *cacheJob) next(gh emulator.GitHubJob) *cacheJob {
	env := map[string]string{}
	for name, value := range c.env {
		env[name] = value
	}
	for name, value := range c.server.GitHub(gh) {
		env[name] = value
	}
	return &cacheJob{job: &job{server: c.server, dir: c.dir, env: env}, t: c.t, as: c.as}
}

// with returns the same job with another value of a variable.
func (c *cacheJob) with(name, value string) *cacheJob {
	n := c.next(emulator.GitHubJob{})
	for _, bearer := range []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"} {
		n.env[bearer] = c.env[bearer]
	}
	n.env[name] = value
	return n
}

// runGet runs get for defaultHost.
func (c *cacheJob) runGet() getResult {
	cmd, out, errs := c.command("get", defaultHost)
	c.as(cmd)
	err := cmd.Run()
	return getResult{out.String(), errs.String(), err}
}

// get runs a get that must return a password which the registry accepts, without output on stderr. It
// returns the password, and whether it made calls: if so, one for a token, a role and a password each.
func (c *cacheJob) get() (password string, fetched bool) {
	c.t.Helper()
	before := [3]int{c.server.Count("oidc"), c.server.Count("sts"), c.server.Count("ecr")}
	a := c.runGet()
	if err := c.checkPassword(a); err != nil {
		c.t.Errorf("get: %v", err)
	}
	var calls [3]int
	for i, service := range []string{"oidc", "sts", "ecr"} {
		calls[i] = c.server.Count(service) - before[i]
	}
	if calls != [3]int{} && calls != [3]int{1, 1, 1} {
		c.t.Errorf("get made %v calls", calls)
	}
	return a.secret(), calls[0] == 1
}

// requireMiss runs a get that must make calls.
func (c *cacheJob) requireMiss(where string) string {
	c.t.Helper()
	password, fetched := c.get()
	if !fetched {
		c.t.Errorf("%s: a cache hit", where)
	}
	return password
}

// requireHit runs a get that must make no calls.
func (c *cacheJob) requireHit(where string) string {
	c.t.Helper()
	password, fetched := c.get()
	if fetched {
		c.t.Errorf("%s: a cache miss", where)
	}
	return password
}

func (c *cacheJob) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// cached returns the files of the cache with a suffix.
func (c *cacheJob) cached(suffix string) []string {
	c.t.Helper()
	paths, err := filepath.Glob(filepath.Join(c.env["RUNNER_TEMP"], "ecr-oidc*", "*"+suffix))
	c.must(err)
	return paths
}

// entry returns the only entry.
func (c *cacheJob) entry() string {
	c.t.Helper()
	entries := c.cached(".enc")
	if len(entries) != 1 {
		c.t.Fatalf("entries %v, want one", entries)
	}
	return entries[0]
}

func (c *cacheJob) read(path string) []byte {
	c.t.Helper()
	b, err := os.ReadFile(path)
	c.must(err)
	return b
}

// replace replaces the file or directory at path with a file.
func (c *cacheJob) replace(path string, content []byte) {
	c.t.Helper()
	c.must(os.RemoveAll(path))
	c.must(os.WriteFile(path, content, 0o600))
	chownToJob(c.job, path)
}

// TestSharedCacheDirectory checks two jobs of one user that share a cache directory. Whatever one job
// does with the files, the other gets its own password. Names, contents and sizes of files reveal
// nothing.
func TestSharedCacheDirectory(t *testing.T) {
	t.Parallel()
	c := newCacheJob(t)
	password := c.requireMiss("the first job")
	first := c.entry()
	refused := c.with("ECR_OIDC_ROLE", "arn:aws:iam::123456789012:role/no-such-role")
	if err := refused.runGet().checkRefusal(); err != nil {
		t.Error(err)
	}
	entries := c.cached(".enc")
	if len(entries) != 2 {
		t.Fatalf("%v, want an entry and a failure", entries)
	}
	name := regexp.MustCompile(`^[0-9a-f]{64}\.(enc|lock)$`)
	revealing := append(
		encodings(password),
		"123456789012", "eu-west-2", "amazonaws", "no-such-role", "role/ci",
		"acme", "refs/heads", "AccessDenied", `"AWS"`, "github",
	)
	var sizes []int
	for _, path := range c.cached("") {
		content := c.read(path)
		if !name.MatchString(filepath.Base(path)) {
			t.Errorf("unexpected file name %s", path)
		}
		for _, text := range revealing {
			if bytes.Contains(content, []byte(text)) || strings.Contains(filepath.Base(path), text) {
				t.Errorf("%s reveals %.20s", path, text)
			}
		}
		if strings.HasSuffix(path, ".enc") {
			sizes = append(sizes, len(content))
		} else if len(content) > 0 {
			t.Errorf("%s has %d bytes", path, len(content))
		}
	}
	if sizes[0] != sizes[1] {
		t.Errorf("an entry and a failure have %v bytes", sizes)
	}

	next := c.next(emulator.GitHubJob{Ref: "refs/heads/main"})
	if next.requireMiss("the next job") == password {
		t.Error("the next job got the first one's password")
	}
	if next.requireHit("the next job, again") == password {
		t.Error("the next job got the first one's password")
	}
	var own string // the next job's entry
	for _, path := range c.cached(".enc") {
		if path != entries[0] && path != entries[1] {
			own = path
		}
	}
	kept := c.read(first)
	for _, path := range entries {
		c.replace(own, c.read(path))
		if next.requireMiss("an entry of the other job under the own name") == password {
			t.Error("get returned the password of the other job")
		}
	}
	if !bytes.Equal(c.read(first), kept) || c.requireHit("the first job, afterwards") != password {
		t.Error("the first job's entry has changed")
	}
}

// TestDamagedEntries checks that a get ignores a damaged entry, whatever kind of file it is, and
// replaces it.
func TestDamagedEntries(t *testing.T) {
	t.Parallel()
	slow(t, "runs the program with many damaged files")
	c := newCacheJob(t)
	other := c.with("ECR_OIDC_SESSION_NAME", "another-key")
	c.requireMiss("an empty cache")
	path := c.entry()
	good := c.read(path)
	err := c.with("ECR_OIDC_ROLE", "arn:aws:iam::123456789012:role/no-such-role").runGet().checkRefusal()
	if err != nil {
		t.Error(err)
	}
	var failure []byte
	for _, f := range c.cached(".enc") {
		if f != path {
			failure = c.read(f)
		}
	}
	other.requireMiss("another cache key")
	var second string
	for _, f := range c.cached(".enc") {
		if b := c.read(f); !bytes.Equal(b, good) && !bytes.Equal(b, failure) {
			second = f
		}
	}
	flipped := func(at int) func() {
		return func() {
			b := bytes.Clone(c.read(path))
			b[(at+len(b))%len(b)] ^= 0x10
			c.replace(path, b)
		}
	}
	damage := map[string]func(){
		"deleted":                    func() { c.must(os.Remove(path)) },
		"empty":                      func() { c.replace(path, nil) },
		"truncated to half":          func() { c.must(os.Truncate(path, 2000)) },
		"truncated by one byte":      func() { c.must(os.Truncate(path, int64(len(good)-1))) },
		"extended by one byte":       func() { c.replace(path, append(bytes.Clone(c.read(path)), 0)) },
		"changed header":             flipped(0),
		"changed nonce":              flipped(15),
		"changed ciphertext":         flipped(2000),
		"changed authentication tag": flipped(-1),
		"zeroes":                     func() { c.replace(path, make([]byte, len(good))) },
		"entry of another cache key": func() { c.replace(path, c.read(second)) },
		"entry of a failure":         func() { c.replace(path, failure) },
		"one gigabyte": func() {
			c.replace(path, good)
			c.must(os.Truncate(path, 1<<30))
		},
		"directory": func() { c.must(os.Remove(path)); c.must(os.Mkdir(path, 0o700)) },
	}
	maps.Copy(damage, unixDamage(c, path))
	for name, apply := range damage {
		apply()
		c.requireMiss(name)
		c.requireHit(name + ", and the next get")
	}
	c.must(os.Remove(path))
	c.must(os.Mkdir(path, 0o755))
	c.must(os.WriteFile(filepath.Join(path, "another-file"), nil, 0o600))
	for range 2 { // get must not delete it
		c.requireMiss("directory with a file")
	}
	c.read(filepath.Join(path, "another-file"))
	if left := c.cached(".tmp-"); len(left) > 0 {
		t.Errorf("%v were left", left)
	}
}

// TestCleanUp checks that storing an entry deletes the files that are too old to be used, and no
// others.
func TestCleanUp(t *testing.T) {
	t.Parallel()
	slow(t, "fills a cache with many entries")
	c := newCacheJob(t)
	c.requireMiss("an empty cache")
	dir := filepath.Dir(c.entry())
	id := strings.Repeat("0123456789abcdef", 4)
	old := []string{id + ".enc", id + ".lock", ".tmp-entry-1234567890"}
	unrelated := []string{
		"notes",
		"notes.enc",
		id[1:] + ".enc",
		id + "0.enc",
		strings.Repeat("ABCD", 16) + ".enc",
		".tmp-notes-12",
		".tmp-entry-x",
		id + ".lock2",
		id + ".enc.bak",
	}
	young := []string{strings.Repeat("f", 64) + ".enc", ".tmp-entry-1", strings.Repeat("f", 64) + ".lock"}
	for i := range 3000 {
		unrelated = append(unrelated, fmt.Sprintf("unrelated-%d.enc", i))
	}
	write := func(names []string, age time.Duration) {
		for _, name := range names {
			path := filepath.Join(dir, name)
			c.must(os.WriteFile(path, []byte("x"), 0o600))
			c.must(os.Chtimes(path, time.Now().Add(-age), time.Now().Add(-age)))
		}
	}
	write(old, 25*time.Hour)
	write(unrelated, 1000*time.Hour)
	write(young, 23*time.Hour)
	subdir := filepath.Join(dir, strings.Repeat("e", 64)+".enc")
	c.must(os.Mkdir(subdir, 0o700))
	c.must(os.Chtimes(subdir, time.Unix(0, 0), time.Unix(0, 0)))
	c.requireHit("a cached login")
	if _, err := os.Stat(filepath.Join(dir, old[0])); err != nil {
		t.Errorf("a cache hit deleted a file: %v", err)
	}
	c.with("ECR_OIDC_SESSION_NAME", "another").requireMiss("another cache key")
	for _, name := range old {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	for _, name := range append(append(unrelated, young...), filepath.Base(subdir)) {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s was deleted: %v", name, err)
		}
	}
	c.requireHit("the next get")
}

// TestStuckLock checks a lock that a process has held for longer than a fetch may take. It delays
// one get by a few seconds, and later gets not at all. TestHeldLocks checks a process that keeps
// its lock files new.
func TestStuckLock(t *testing.T) {
	t.Parallel()
	c := newCacheJob(t)
	c.requireMiss("an empty cache")
	entry := c.entry()
	path := strings.TrimSuffix(entry, ".enc") + ".lock"
	unlock, err := lockedfile.MutexAt(path).Lock()
	c.must(err)
	defer unlock()
	chownToJob(c.job, path)
	c.must(os.Chtimes(path, time.Now(), time.Now().Add(-time.Hour)))
	c.must(os.Remove(entry))
	start := time.Now()
	c.requireMiss("the lock is held")
	// Without the age limit of locks, a get takes 15 to 18 s.
	if took := time.Since(start); took > 14*time.Second {
		t.Errorf("get took %v", took)
	}
	c.requireHit("the next get")
}

// list returns the paths of all files and directories below a directory.
func (c *cacheJob) list(dir string) (names []string) {
	c.t.Helper()
	c.must(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if path != dir {
			names = append(names, path)
		}
		return err
	}))
	return names
}
