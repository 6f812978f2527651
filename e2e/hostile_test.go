package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
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

// victim is a job on a machine where another process changes its cache.
type victim struct {
	*job
	t  *testing.T
	as func(*exec.Cmd) // makes it a process of the job's user
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	j := newJobIn(t, emulator.Options{GitHubTokenTTL: time.Minute}) // too short to be cached: the only entry is the password
	return &victim{job: j, t: t, as: drop(t, j)}
}

// next returns another job of the same user on the machine.
func (v *victim) next(gh emulator.GitHubJob) *victim {
	env := map[string]string{}
	for name, value := range v.env {
		env[name] = value
	}
	for name, value := range v.server.GitHub(gh) {
		env[name] = value
	}
	return &victim{job: &job{server: v.server, dir: v.dir, env: env}, t: v.t, as: v.as}
}

// with returns the same job with another value of a variable.
func (v *victim) with(name, value string) *victim {
	n := v.next(emulator.GitHubJob{})
	for _, bearer := range []string{"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"} {
		n.env[bearer] = v.env[bearer]
	}
	n.env[name] = value
	return n
}

// ask runs get for defaultHost.
func (v *victim) ask() getResult {
	cmd, out, errs := v.command("get", defaultHost)
	v.as(cmd)
	err := cmd.Run()
	return getResult{out.String(), errs.String(), err}
}

// get runs a get that must return a password which the registry accepts, without output on stderr. It
// returns the password, and whether it made calls: if so, one for a token, a role and a password each.
func (v *victim) get() (password string, filled bool) {
	v.t.Helper()
	before := [3]int{v.server.Count("oidc"), v.server.Count("sts"), v.server.Count("ecr")}
	a := v.ask()
	if err := v.good(a); err != nil {
		v.t.Errorf("get: %v", err)
	}
	var calls [3]int
	for i, service := range []string{"oidc", "sts", "ecr"} {
		calls[i] = v.server.Count(service) - before[i]
	}
	if calls != [3]int{} && calls != [3]int{1, 1, 1} {
		v.t.Errorf("get made %v calls", calls)
	}
	return a.secret(), calls[0] == 1
}

// misses runs a get that must make calls, and hits one that must not.
func (v *victim) misses(where string) string {
	v.t.Helper()
	password, filled := v.get()
	if !filled {
		v.t.Errorf("%s: a cache hit", where)
	}
	return password
}

func (v *victim) hits(where string) string {
	v.t.Helper()
	password, filled := v.get()
	if filled {
		v.t.Errorf("%s: a cache miss", where)
	}
	return password
}

func (v *victim) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// cached returns the files of the cache with a suffix.
func (v *victim) cached(suffix string) []string {
	v.t.Helper()
	paths, err := filepath.Glob(filepath.Join(v.env["RUNNER_TEMP"], "ecr-oidc*", "*"+suffix))
	v.must(err)
	return paths
}

// entry returns the only entry.
func (v *victim) entry() string {
	v.t.Helper()
	entries := v.cached(".sealed")
	if len(entries) != 1 {
		v.t.Fatalf("entries %v, want one", entries)
	}
	return entries[0]
}

func (v *victim) read(path string) []byte {
	v.t.Helper()
	b, err := os.ReadFile(path)
	v.must(err)
	return b
}

// replace puts a file in the place of whatever is at path.
func (v *victim) replace(path string, content []byte) {
	v.t.Helper()
	v.must(os.RemoveAll(path))
	v.must(os.WriteFile(path, content, 0o600))
	give(v.job, path)
}

// TestAnotherJobsCache checks two jobs of one user that share a cache directory. Whatever one job
// does with the files, the other gets its own password. Names, contents and sizes of files reveal
// nothing.
func TestAnotherJobsCache(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	password := v.misses("the first job")
	first := v.entry()
	refused := v.with("ECR_OIDC_ROLE", "arn:aws:iam::123456789012:role/no-such-role")
	if err := refused.ask().refused(); err != nil {
		t.Error(err)
	}
	entries := v.cached(".sealed")
	if len(entries) != 2 {
		t.Fatalf("%v, want an entry and a failure", entries)
	}
	name := regexp.MustCompile(`^[0-9a-f]{64}\.(sealed|lock)$`)
	tell := append(encodings(password), "123456789012", "eu-west-2", "amazonaws", "no-such-role", "role/ci", "acme", "refs/heads", "AccessDenied", "AWS", "github")
	var sizes []int
	for _, path := range v.cached("") {
		content := v.read(path)
		if !name.MatchString(filepath.Base(path)) {
			t.Errorf("a file is called %s", path)
		}
		for _, text := range tell {
			if bytes.Contains(content, []byte(text)) || strings.Contains(filepath.Base(path), text) {
				t.Errorf("%s tells %.20s", path, text)
			}
		}
		if strings.HasSuffix(path, ".sealed") {
			sizes = append(sizes, len(content))
		} else if len(content) > 0 {
			t.Errorf("%s has %d bytes", path, len(content))
		}
	}
	if sizes[0] != sizes[1] {
		t.Errorf("an entry and a failure have %v bytes", sizes)
	}

	next := v.next(emulator.GitHubJob{Ref: "refs/heads/main"})
	if next.misses("the next job") == password {
		t.Error("the next job got the first one's password")
	}
	if next.hits("the next job, again") == password {
		t.Error("the next job got the first one's password")
	}
	var own string // the next job's entry
	for _, path := range v.cached(".sealed") {
		if path != entries[0] && path != entries[1] {
			own = path
		}
	}
	kept := v.read(first)
	for _, path := range entries {
		v.replace(own, v.read(path))
		if next.misses("with the other's entry under its own name") == password {
			t.Error("it opened the other's entry")
		}
	}
	if !bytes.Equal(v.read(first), kept) || v.hits("the first job, after all that") != password {
		t.Error("the first job's entry is not what it was")
	}
}

// TestDamagedEntries checks that a get ignores a damaged entry, whatever kind of file it is, and
// replaces it.
func TestDamagedEntries(t *testing.T) {
	t.Parallel()
	slow(t, "runs the program with many damaged files")
	v := newVictim(t)
	other := v.with("ECR_OIDC_SESSION_NAME", "another-question")
	v.misses("an empty cache")
	path := v.entry()
	good := v.read(path)
	if err := v.with("ECR_OIDC_ROLE", "arn:aws:iam::123456789012:role/no-such-role").ask().refused(); err != nil {
		t.Error(err)
	}
	var failure []byte
	for _, f := range v.cached(".sealed") {
		if f != path {
			failure = v.read(f)
		}
	}
	other.misses("another question")
	var second string
	for _, f := range v.cached(".sealed") {
		if b := v.read(f); !bytes.Equal(b, good) && !bytes.Equal(b, failure) {
			second = f
		}
	}
	flipped := func(at int) func() {
		return func() {
			b := bytes.Clone(v.read(path))
			b[(at+len(b))%len(b)] ^= 0x10
			v.replace(path, b)
		}
	}
	spoil := map[string]func(){
		"it is gone":               func() { v.must(os.Remove(path)) },
		"it is empty":              func() { v.replace(path, nil) },
		"it is cut in half":        func() { v.must(os.Truncate(path, 2000)) },
		"it lacks one byte":        func() { v.must(os.Truncate(path, int64(len(good)-1))) },
		"it is a byte longer":      func() { v.replace(path, append(bytes.Clone(v.read(path)), 0)) },
		"its head is not ours":     flipped(0),
		"its nonce is another's":   flipped(15),
		"its middle is changed":    flipped(2000),
		"its seal is broken":       flipped(-1),
		"it is zeroes":             func() { v.replace(path, make([]byte, len(good))) },
		"it is another question's": func() { v.replace(path, v.read(second)) },
		"it is a failure":          func() { v.replace(path, failure) },
		"it is a gigabyte": func() {
			v.replace(path, good)
			v.must(os.Truncate(path, 1<<30))
		},
		"it is a directory": func() { v.must(os.Remove(path)); v.must(os.Mkdir(path, 0o700)) },
	}
	for name, do := range spoilUnix(v, path) {
		spoil[name] = do
	}
	for name, do := range spoil {
		do()
		v.misses(name)
		v.hits(name + ", and the next get")
	}
	v.must(os.Remove(path))
	v.must(os.Mkdir(path, 0o755))
	v.must(os.WriteFile(filepath.Join(path, "somebody's"), nil, 0o600))
	for range 2 { // which is not ours to remove
		v.misses("it is a directory that holds something")
	}
	v.read(filepath.Join(path, "somebody's"))
	if left := v.cached(".tmp-"); len(left) > 0 {
		t.Errorf("%v were left", left)
	}
}

// TestCleanUp checks that storing an entry deletes the files that are too old to be used, and no
// others.
func TestCleanUp(t *testing.T) {
	t.Parallel()
	slow(t, "fills a cache with many entries")
	v := newVictim(t)
	v.misses("an empty cache")
	dir := filepath.Dir(v.entry())
	id := strings.Repeat("0123456789abcdef", 4)
	old := []string{id + ".sealed", id + ".lock", ".tmp-entry-1234567890"}
	foreign := []string{"notes", "notes.sealed", id[1:] + ".sealed", id + "0.sealed", strings.Repeat("ABCD", 16) + ".sealed", ".tmp-notes-12", ".tmp-entry-x", id + ".lock2", id + ".sealed.bak"}
	young := []string{strings.Repeat("f", 64) + ".sealed", ".tmp-entry-1", strings.Repeat("f", 64) + ".lock"}
	for i := range 3000 { // and a crowd that has nothing to do with us
		foreign = append(foreign, fmt.Sprintf("crowd-%d.sealed", i))
	}
	write := func(names []string, age time.Duration) {
		for _, name := range names {
			path := filepath.Join(dir, name)
			v.must(os.WriteFile(path, []byte("x"), 0o600))
			v.must(os.Chtimes(path, time.Now().Add(-age), time.Now().Add(-age)))
		}
	}
	write(old, 25*time.Hour)
	write(foreign, 1000*time.Hour)
	write(young, 23*time.Hour)
	folder := filepath.Join(dir, strings.Repeat("e", 64)+".sealed")
	v.must(os.Mkdir(folder, 0o700))
	v.must(os.Chtimes(folder, time.Unix(0, 0), time.Unix(0, 0)))
	v.hits("nothing is to be filled")
	if _, err := os.Stat(filepath.Join(dir, old[0])); err != nil {
		t.Errorf("a hit removed something: %v", err)
	}
	v.with("ECR_OIDC_SESSION_NAME", "another").misses("another question")
	for _, name := range old {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	for _, name := range append(append(foreign, young...), filepath.Base(folder)) {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Errorf("%s went: %v", name, err)
		}
	}
	v.hits("after that")
}

// TestStuckLock checks a lock that a process has held for longer than a fetch may take. It delays
// one get by a few seconds, and later gets not at all. TestHeldLocks checks a process that keeps
// its lock files new.
func TestStuckLock(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	v.misses("an empty cache")
	entry := v.entry()
	path := strings.TrimSuffix(entry, ".sealed") + ".lock"
	unlock, err := lockedfile.MutexAt(path).Lock()
	v.must(err)
	defer unlock()
	give(v.job, path)
	v.must(os.Chtimes(path, time.Now(), time.Now().Add(-time.Hour)))
	v.must(os.Remove(entry))
	start := time.Now()
	v.misses("the lock is held")
	if took := time.Since(start); took > 14*time.Second { // a guard: without the lock's time it would be 15 to 18 s
		t.Errorf("get took %v", took)
	}
	v.hits("after that")
}

// list names all that is below a directory.
func (v *victim) list(dir string) (names []string) {
	v.t.Helper()
	v.must(filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if path != dir {
			names = append(names, path)
		}
		return err
	}))
	return names
}
