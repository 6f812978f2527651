//go:build unix

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// unprivilegedUID is the user of the jobs if the tests run as root. File modes do not restrict root.
const unprivilegedUID = 65534

// dropPrivileges gives the files of a job to an unprivileged user, and returns a function that makes a
// command run as that user. Without root it does nothing.
func dropPrivileges(t *testing.T, j *job) func(*exec.Cmd) {
	t.Helper()
	if os.Geteuid() != 0 {
		return func(*exec.Cmd) {}
	}
	chownToJob(j, j.dir)
	binary := filepath.Join(j.dir, program)
	// A link, because a process that another test starts may inherit a copy open for writing, which
	// is then busy.
	if err := errors.Join(os.Link(helperPath(), binary), os.Chmod(filepath.Dir(j.dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	if j.env["GOCOVERDIR"] != "" {
		j.env["GOCOVERDIR"] = j.env["TMPDIR"]
	}
	as := func(cmd *exec.Cmd) {
		cmd.Path = binary
		credential := &syscall.Credential{Uid: unprivilegedUID, Gid: unprivilegedUID}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	}
	cmd := exec.Command(binary, "version")
	as(cmd)
	if err := cmd.Run(); err != nil {
		t.Skipf("user %d cannot access %s: %v", unprivilegedUID, j.dir, err)
	}
	return as
}

// chownToJob gives the file or directory at path, and everything below it, to the user of the job.
func chownToJob(j *job, path string) {
	if os.Geteuid() == 0 {
		filepath.WalkDir(path, func(path string, _ os.DirEntry, err error) error {
			if err == nil {
				err = os.Lchown(path, unprivilegedUID, unprivilegedUID)
			}
			return err
		})
	}
}

// unixDamage returns kinds of damage that are possible only on Unix.
func unixDamage(c *cacheJob, path string) map[string]func() {
	file := filepath.Join(c.dir, "other-file")
	c.must(os.WriteFile(file, []byte("content"), 0o644))
	link := func(target string) func() {
		return func() {
			c.must(os.Remove(path))
			c.must(os.Symlink(target, path))
			chownToJob(c.job, path)
			c.t.Cleanup(func() {
				if b := c.read(file); string(b) != "content" {
					c.t.Errorf("get wrote %q through the link", b)
				}
				if _, err := os.Lstat(filepath.Join(c.dir, "nothing")); err == nil {
					c.t.Error("get created the target of the link")
				}
			})
		}
	}
	// The valid entry in a directory where other users could change it.
	elsewhere := filepath.Join(c.dir, "moved-entry")
	c.must(os.WriteFile(elsewhere, c.read(path), 0o644))
	chownToJob(c.job, elsewhere)
	return map[string]func(){
		"FIFO": func() {
			c.must(os.Remove(path))
			c.must(syscall.Mkfifo(path, 0o600))
			chownToJob(c.job, path)
		},
		"link to a file":            link(file),
		"link to the entry":         link(elsewhere),
		"link to /dev/zero":         link("/dev/zero"),
		"link to a missing file":    link(filepath.Join(c.dir, "nothing")),
		"link to itself":            link(path),
		"not readable by its owner": func() { c.must(os.Chmod(path, 0)) },
	}
}

// TestDamagedLocks checks that a get works, and writes nowhere else, whatever kind of file the lock
// file is.
func TestDamagedLocks(t *testing.T) {
	t.Parallel()
	slow(t, "runs the program with many damaged locks")
	c := newCacheJob(t)
	c.requireMiss("an empty cache")
	entry := c.entry()
	lock := strings.TrimSuffix(entry, ".enc") + ".lock"
	file, nothing := filepath.Join(c.dir, "other-file"), filepath.Join(c.dir, "nothing")
	c.must(os.WriteFile(file, []byte("content"), 0o644))
	chownToJob(c.job, file)
	for name, do := range map[string]func() error{
		"a directory":              func() error { return os.Mkdir(lock, 0o700) },
		"a FIFO":                   func() error { return syscall.Mkfifo(lock, 0o600) },
		"a link to a file":         func() error { return os.Symlink(file, lock) },
		"a link to a missing file": func() error { return os.Symlink(nothing, lock) },
		"a link to /dev/zero":      func() error { return os.Symlink("/dev/zero", lock) },
		"a file that is in use":    func() error { return os.WriteFile(lock, []byte("in use"), 0o600) },
		"a file of mode 0":         func() error { return os.WriteFile(lock, nil, 0) },
		"a file that is read-only": func() error { return os.WriteFile(lock, nil, 0o400) },
	} {
		c.must(os.RemoveAll(lock))
		c.must(do())
		chownToJob(c.job, lock)
		c.must(os.Remove(entry))
		c.requireMiss(name)
		c.requireHit(name + ", and the next get")
		if b := c.read(file); string(b) != "content" {
			t.Errorf("%s: get wrote %q through the link", name, b)
		}
		if _, err := os.Lstat(nothing); err == nil {
			t.Errorf("%s: get created the target of the link", name)
		}
	}
}

// TestHostileDirectories checks that a get does not use a cache directory that another user may
// write to. It writes nothing there, and works without a cache.
func TestHostileDirectories(t *testing.T) {
	t.Parallel()
	c := newCacheJob(t)
	dir, real := filepath.Join(c.dir, "cache"), filepath.Join(c.dir, "real")
	c.must(os.Mkdir(real, 0o700))
	chownToJob(c.job, real)
	c.env["ECR_OIDC_CACHE_DIR"] = dir
	mkdir := func(mode os.FileMode) func() error {
		return func() error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode)) }
	}
	cases := map[string]func() error{
		"a link to a directory":    func() error { return os.Symlink(real, dir) },
		"a link to a missing file": func() error { return os.Symlink(filepath.Join(c.dir, "nothing"), dir) },
		"a link to itself":         func() error { return os.Symlink(dir, dir) },
		"a file":                   func() error { return os.WriteFile(dir, nil, 0o600) },
		"a FIFO":                   func() error { return syscall.Mkfifo(dir, 0o600) },
		"readable by others":       mkdir(0o755),
		"writable by others":       mkdir(0o777),
		"like /tmp":                mkdir(0o777 | os.ModeSticky),
		"writable by the group":    mkdir(0o770),
		"read-only":                mkdir(0o500),
		"closed to its owner":      mkdir(0),
	}
	for name, create := range cases {
		c.must(create())
		chownToJob(c.job, dir)
		for range 2 {
			c.requireMiss(name)
		}
		c.must(os.Chmod(c.dir, 0o755))
		if fi, err := os.Lstat(dir); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if fi.IsDir() {
			c.must(os.Chmod(dir, 0o700))
			if names := c.list(dir); len(names) > 0 {
				t.Errorf("%s: get wrote %v", name, names)
			}
		}
		if names := c.list(real); len(names) > 0 {
			t.Errorf("%s: get wrote %v", name, names)
		}
		c.must(os.RemoveAll(dir))
	}
	t.Run("another user's", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can give a directory to another user")
		}
		c.must(os.Mkdir(dir, 0o700)) // root's
		c.requireMiss("another user's")
		c.must(os.Chmod(dir, 0o777))
		c.requireMiss("another user's, open to all")
		if names := c.list(dir); len(names) > 0 {
			t.Errorf("get wrote %v", names)
		}
		c.must(os.RemoveAll(dir))
	})
	// get creates missing parent directories with mode 0700.
	c.env["ECR_OIDC_CACHE_DIR"] = filepath.Join(real, "deep", "er", "cache")
	c.requireMiss("missing directories")
	c.requireHit("created directories")
	for path := c.env["ECR_OIDC_CACHE_DIR"]; path != real; path = filepath.Dir(path) {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, fi.Mode(), err)
		}
	}
}

// TestUmask checks that with any umask only the owner may read the files, and that the owner may.
func TestUmask(t *testing.T) {
	t.Parallel()
	for _, mask := range []string{"000", "022", "077", "0277", "777"} {
		c := newCacheJob(t)
		plain := c.as
		c.as = func(cmd *exec.Cmd) {
			plain(cmd)
			cmd.Args = []string{"sh", "-c", `umask ` + mask + `; exec "$0" get`, cmd.Path}
			cmd.Path = "/bin/sh"
		}
		c.requireMiss("umask " + mask)
		c.requireHit("umask " + mask)
		for _, path := range append(c.list(filepath.Dir(c.entry())), filepath.Dir(c.entry())) {
			fi, err := os.Lstat(path)
			c.must(err)
			want := os.FileMode(0o600)
			switch {
			case fi.IsDir():
				want = 0o700
			case strings.HasSuffix(path, ".lock"): // always empty, so that its mode does not matter
				want &= fi.Mode().Perm()
			}
			if fi.Mode().Perm() != want {
				t.Errorf("umask %s: %s is %v", mask, path, fi.Mode())
			}
		}
	}
}

// TestRootInJobDirectory checks a container action, which runs as root in the directory of another
// user. Its files do not keep the job, or the next container, from using its own cache.
func TestRootInJobDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can run processes of two users")
	}
	c := newCacheJob(t)
	root := &cacheJob{job: c.job, t: t, as: func(*exec.Cmd) {}}
	first := root.requireMiss("first get of root")
	if c.requireMiss("first get of the job") == first {
		t.Error("the job reads the entry of root")
	}
	root.requireHit("second get of root")
	c.requireHit("second get of the job")
	dirs, err := filepath.Glob(filepath.Join(c.env["RUNNER_TEMP"], "*"))
	c.must(err)
	want := []string{
		filepath.Join(c.env["RUNNER_TEMP"], "ecr-oidc-0"),
		filepath.Join(c.env["RUNNER_TEMP"], fmt.Sprintf("ecr-oidc-%d", unprivilegedUID)),
	}
	if !slices.Equal(dirs, want) {
		t.Errorf("directories %v, want %v", dirs, want)
	}
	// If another user has created the directory, the cache is in the home directory.
	own := dirs[1]
	c.must(os.RemoveAll(own))
	c.must(os.Mkdir(own, 0o777))
	c.requireMiss("root created the directory of the job")
	c.requireHit("cached in the home directory")
	if names := c.list(own); len(names) > 0 {
		t.Errorf("get wrote %v", names)
	}
}

// TestNoCacheDirectory checks a get without a home, without a temporary directory, and without any
// directory that it may write to.
func TestNoCacheDirectory(t *testing.T) {
	t.Parallel()
	slow(t, "runs the program in many directories")
	for _, tt := range []struct {
		name string
		env  map[string]string // "." is the directory of the job
		want string            // the cache, below that directory; "" if there is none
	}{
		{"no HOME", map[string]string{"HOME": ""}, "runner"},
		{"no RUNNER_TEMP", map[string]string{"RUNNER_TEMP": ""}, "home"},
		{"neither", map[string]string{"HOME": "", "RUNNER_TEMP": ""}, "tmp"},
		{"RUNNER_TEMP does not exist", map[string]string{"RUNNER_TEMP": "./new/er"}, "new"},
		{"RUNNER_TEMP is a file", map[string]string{"RUNNER_TEMP": "./ca.pem"}, "home"},
		{"RUNNER_TEMP is closed", map[string]string{"RUNNER_TEMP": "./closed"}, "home"},
		{"RUNNER_TEMP is a device", map[string]string{"RUNNER_TEMP": "/dev/null"}, "home"},
		{"HOME is a device", map[string]string{"HOME": "/dev/null", "RUNNER_TEMP": ""}, "tmp"},
		{"HOME is closed", map[string]string{"HOME": "./closed", "RUNNER_TEMP": ""}, "tmp"},
		{"XDG_CACHE_HOME is relative", map[string]string{"XDG_CACHE_HOME": "here", "RUNNER_TEMP": ""}, "tmp"},
		{"no directory", map[string]string{"HOME": "", "RUNNER_TEMP": "", "TMPDIR": "./closed"}, ""},
		{
			name: "no directory, only devices",
			env:  map[string]string{"HOME": "/dev/null", "RUNNER_TEMP": "/dev/null", "TMPDIR": "/dev/null"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "XDG_CACHE_HOME is relative" && runtime.GOOS != "linux" {
				t.Skip("XDG_CACHE_HOME is used only on Linux")
			}
			c := newCacheJob(t)
			closed := filepath.Join(c.dir, "closed")
			c.must(os.Mkdir(closed, 0o500))
			chownToJob(c.job, closed)
			for name, value := range tt.env {
				c.env[name] = value
				if below, ok := strings.CutPrefix(value, "./"); ok {
					c.env[name] = filepath.Join(c.dir, below)
				}
			}
			c.requireMiss(tt.name)
			var at []string
			for _, path := range c.list(c.dir) {
				if strings.HasSuffix(path, ".enc") {
					rel, err := filepath.Rel(c.dir, path)
					c.must(err)
					at = append(at, strings.Split(rel, string(os.PathSeparator))[0])
				}
			}
			if tt.want == "" {
				c.requireMiss("again, " + tt.name)
				if len(at) > 0 {
					t.Errorf("the cache is in %v", at)
				}
				return
			}
			c.requireHit("again, " + tt.name)
			if !slices.Equal(at, []string{tt.want}) {
				t.Errorf("the cache is in %v, want %s", at, tt.want)
			}
		})
	}
	c := newCacheJob(t)
	c.requireMiss("an empty cache")
	c.must(os.RemoveAll(c.env["RUNNER_TEMP"]))
	c.requireMiss("RUNNER_TEMP was deleted")
	c.must(os.RemoveAll(filepath.Dir(c.entry())))
	c.requireMiss("the cache was deleted")
	c.requireHit("nothing was deleted")
	c.must(os.Chmod(c.entry(), 0o666)) // encryption protects the entry
	c.requireHit("other users can write the entry")
}

// TestDiskFull checks a full disk: a write that fails in the middle costs only the cache
// entry.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	c := newCacheJob(t)
	plain := c.as
	c.as = func(cmd *exec.Cmd) {
		plain(cmd)
		cmd.Args = []string{"sh", "-c", `trap '' XFSZ; ulimit -f 2; exec "$0" get`, cmd.Path}
		cmd.Path = "/bin/sh"
	}
	for range 2 {
		c.requireMiss("files are limited to a kilobyte or two")
	}
	if left := append(c.cached(".enc"), c.cached(".enc-*")...); len(left) > 0 {
		t.Errorf("%v were left", left)
	}
	left, err := filepath.Glob(filepath.Join(c.env["RUNNER_TEMP"], "*", ".tmp*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v were left, %v", left, err)
	}
	c.as = plain
	c.requireMiss("no limit")
	c.requireHit("no limit")
}
