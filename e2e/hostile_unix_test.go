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

// nobody is the user that jobs have where the tests run as root, whom no mode keeps out of anything.
const nobody = 65534

// drop gives the files of a job to the user nobody, and returns a function that makes a command run as
// that user. Without root it does nothing.
func drop(t *testing.T, j *job) func(*exec.Cmd) {
	t.Helper()
	if os.Geteuid() != 0 {
		return func(*exec.Cmd) {}
	}
	give(j, j.dir)
	binary := filepath.Join(j.dir, program)
	// A link, because a process that another test starts may inherit a copy open for writing, which is then busy.
	if err := errors.Join(os.Link(helperPath(), binary), os.Chmod(filepath.Dir(j.dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	if j.env["GOCOVERDIR"] != "" {
		j.env["GOCOVERDIR"] = j.env["TMPDIR"]
	}
	as := func(cmd *exec.Cmd) {
		cmd.Path = binary
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	cmd := exec.Command(binary, "version")
	as(cmd)
	if err := cmd.Run(); err != nil {
		t.Skipf("user %d may not go to %s: %v", nobody, j.dir, err)
	}
	return as
}

// give makes what is at path, and all below it, the job's user's.
func give(j *job, path string) {
	if os.Geteuid() == 0 {
		filepath.WalkDir(path, func(path string, _ os.DirEntry, err error) error {
			if err == nil {
				err = os.Lchown(path, nobody, nobody)
			}
			return err
		})
	}
}

// spoilUnix is what only Unix has.
func spoilUnix(v *victim, path string) map[string]func() {
	file := filepath.Join(v.dir, "somebody's-file")
	v.must(os.WriteFile(file, []byte("somebody's"), 0o644))
	link := func(target string) func() {
		return func() {
			v.must(os.Remove(path))
			v.must(os.Symlink(target, path))
			give(v.job, path)
			v.t.Cleanup(func() {
				if b := v.read(file); string(b) != "somebody's" {
					v.t.Errorf("somebody's file has %q in it", b)
				}
				if _, err := os.Lstat(filepath.Join(v.dir, "nothing")); err == nil {
					v.t.Error("it made what a link leads to")
				}
			})
		}
	}
	// The true entry elsewhere, where others could change it.
	elsewhere := filepath.Join(v.dir, "the-entry-elsewhere")
	v.must(os.WriteFile(elsewhere, v.read(path), 0o644))
	give(v.job, elsewhere)
	return map[string]func(){
		"it is a FIFO":                       func() { v.must(os.Remove(path)); v.must(syscall.Mkfifo(path, 0o600)); give(v.job, path) },
		"it leads to a file":                 link(file),
		"it leads to the entry":              link(elsewhere),
		"it leads to /dev/zero":              link("/dev/zero"),
		"it leads nowhere":                   link(filepath.Join(v.dir, "nothing")),
		"it leads to itself":                 link(path),
		"it may not be read by who wrote it": func() { v.must(os.Chmod(path, 0)) },
	}
}

// TestDamagedLocks checks that a get works, and writes nowhere else, whatever kind of file the lock
// file is.
func TestDamagedLocks(t *testing.T) {
	t.Parallel()
	slow(t, "runs the program with many damaged locks")
	v := newVictim(t)
	v.misses("an empty cache")
	entry := v.entry()
	lock := strings.TrimSuffix(entry, ".sealed") + ".lock"
	file, nothing := filepath.Join(v.dir, "somebody's-file"), filepath.Join(v.dir, "nothing")
	v.must(os.WriteFile(file, []byte("somebody's"), 0o644))
	give(v.job, file)
	for name, do := range map[string]func() error{
		"a directory":              func() error { return os.Mkdir(lock, 0o700) },
		"a FIFO":                   func() error { return syscall.Mkfifo(lock, 0o600) },
		"a link to a file":         func() error { return os.Symlink(file, lock) },
		"a link to nowhere":        func() error { return os.Symlink(nothing, lock) },
		"a link to /dev/zero":      func() error { return os.Symlink("/dev/zero", lock) },
		"a file that is in use":    func() error { return os.WriteFile(lock, []byte("in use"), 0o600) },
		"a file of mode 0":         func() error { return os.WriteFile(lock, nil, 0) },
		"a file that is read-only": func() error { return os.WriteFile(lock, nil, 0o400) },
	} {
		v.must(os.RemoveAll(lock))
		v.must(do())
		give(v.job, lock)
		v.must(os.Remove(entry))
		v.misses(name)
		v.hits(name + ", and the next get")
		if b := v.read(file); string(b) != "somebody's" {
			t.Errorf("%s: somebody's file has %q in it", name, b)
		}
		if _, err := os.Lstat(nothing); err == nil {
			t.Errorf("%s: it made what a link leads to", name)
		}
	}
}

// TestHostileDirectories checks that a get does not use a cache directory that another user may
// write to. It writes nothing there, and works without a cache.
func TestHostileDirectories(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	dir, real := filepath.Join(v.dir, "cache"), filepath.Join(v.dir, "real")
	v.must(os.Mkdir(real, 0o700))
	give(v.job, real)
	v.env["ECR_OIDC_CACHE_DIR"] = dir
	made := func(mode os.FileMode) func() error {
		return func() error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode)) }
	}
	cases := map[string]func() error{
		"a link to a directory": func() error { return os.Symlink(real, dir) },
		"a link to nowhere":     func() error { return os.Symlink(filepath.Join(v.dir, "nothing"), dir) },
		"a link to itself":      func() error { return os.Symlink(dir, dir) },
		"a file":                func() error { return os.WriteFile(dir, nil, 0o600) },
		"a FIFO":                func() error { return syscall.Mkfifo(dir, 0o600) },
		"readable by others":    made(0o755),
		"writable by others":    made(0o777),
		"like /tmp":             made(0o777 | os.ModeSticky),
		"writable by the group": made(0o770),
		"read-only":             made(0o500),
		"closed to its owner":   made(0),
	}
	for name, make := range cases {
		v.must(make())
		give(v.job, dir)
		for range 2 {
			v.misses(name)
		}
		v.must(os.Chmod(v.dir, 0o755))
		if fi, err := os.Lstat(dir); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if fi.IsDir() {
			v.must(os.Chmod(dir, 0o700))
			if names := v.list(dir); len(names) > 0 {
				t.Errorf("%s: it wrote %v", name, names)
			}
		}
		if names := v.list(real); len(names) > 0 {
			t.Errorf("%s: it wrote %v", name, names)
		}
		v.must(os.RemoveAll(dir))
	}
	t.Run("another user's", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can give a directory to another user")
		}
		v.must(os.Mkdir(dir, 0o700)) // root's
		v.misses("another user's")
		v.must(os.Chmod(dir, 0o777))
		v.misses("another user's, open to all")
		if names := v.list(dir); len(names) > 0 {
			t.Errorf("it wrote %v", names)
		}
		v.must(os.RemoveAll(dir))
	})
	// Nor is the directory's own parent asked for more than it gives.
	v.env["ECR_OIDC_CACHE_DIR"] = filepath.Join(real, "deep", "er", "cache")
	v.misses("to be made")
	v.hits("made")
	for path := v.env["ECR_OIDC_CACHE_DIR"]; path != real; path = filepath.Dir(path) {
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", path, fi.Mode(), err)
		}
	}
}

// TestUmask checks that with any umask only the owner may read the files, and that the owner may.
func TestUmask(t *testing.T) {
	t.Parallel()
	for _, mask := range []string{"000", "022", "077", "0277", "777"} {
		v := newVictim(t)
		plain := v.as
		v.as = func(cmd *exec.Cmd) {
			plain(cmd)
			cmd.Args = []string{"sh", "-c", `umask ` + mask + `; exec "$0" get`, cmd.Path}
			cmd.Path = "/bin/sh"
		}
		v.misses("umask " + mask)
		v.hits("umask " + mask)
		for _, path := range append(v.list(filepath.Dir(v.entry())), filepath.Dir(v.entry())) {
			fi, err := os.Lstat(path)
			v.must(err)
			want := os.FileMode(0o600)
			switch {
			case fi.IsDir():
				want = 0o700
			case strings.HasSuffix(path, ".lock"): // which has nothing in it, and nobody reads
				want &= fi.Mode().Perm()
			}
			if fi.Mode().Perm() != want {
				t.Errorf("umask %s: %s is %v", mask, path, fi.Mode())
			}
		}
	}
}

// TestRootInTheJobsFolder checks a container action, which runs as root in the directory of another
// user. Its files do not keep the job, or the next container, from using its own cache.
func TestRootInTheJobsFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can be root and somebody else")
	}
	v := newVictim(t)
	root := &victim{job: v.job, t: t, as: func(*exec.Cmd) {}}
	first := root.misses("root's first")
	if v.misses("the job's, after root's") == first {
		t.Error("the job reads what root wrote")
	}
	root.hits("root's second")
	v.hits("the job's second")
	dirs, err := filepath.Glob(filepath.Join(v.env["RUNNER_TEMP"], "*"))
	v.must(err)
	if want := []string{filepath.Join(v.env["RUNNER_TEMP"], "ecr-oidc-0"), filepath.Join(v.env["RUNNER_TEMP"], fmt.Sprintf("ecr-oidc-%d", nobody))}; !slices.Equal(dirs, want) {
		t.Errorf("directories %v, want %v", dirs, want)
	}
	// Root, or who was here before us, made ours: then it is kept in the home.
	ours := dirs[1]
	v.must(os.RemoveAll(ours))
	v.must(os.Mkdir(ours, 0o777))
	v.misses("root made the job's directory")
	v.hits("kept in the home")
	if names := v.list(ours); len(names) > 0 {
		t.Errorf("it wrote %v", names)
	}
}

// TestNoPlaceForACache checks a get without a home, without a temporary directory, and without any
// directory that it may write to.
func TestNoPlaceForACache(t *testing.T) {
	t.Parallel()
	slow(t, "runs the program in many directories")
	for _, tt := range []struct {
		name  string
		env   map[string]string // "." is the job's folder
		keeps string            // below the job's folder; "" where nothing can be kept
	}{
		{"no HOME", map[string]string{"HOME": ""}, "runner"},
		{"no RUNNER_TEMP", map[string]string{"RUNNER_TEMP": ""}, "home"},
		{"neither", map[string]string{"HOME": "", "RUNNER_TEMP": ""}, "tmp"},
		{"RUNNER_TEMP is to be made", map[string]string{"RUNNER_TEMP": "./new/er"}, "new"},
		{"RUNNER_TEMP is a file", map[string]string{"RUNNER_TEMP": "./ca.pem"}, "home"},
		{"RUNNER_TEMP is closed", map[string]string{"RUNNER_TEMP": "./closed"}, "home"},
		{"RUNNER_TEMP is a device", map[string]string{"RUNNER_TEMP": "/dev/null"}, "home"},
		{"HOME is a device", map[string]string{"HOME": "/dev/null", "RUNNER_TEMP": ""}, "tmp"},
		{"HOME is closed", map[string]string{"HOME": "./closed", "RUNNER_TEMP": ""}, "tmp"},
		{"XDG_CACHE_HOME is relative", map[string]string{"XDG_CACHE_HOME": "here", "RUNNER_TEMP": ""}, "tmp"},
		{"nowhere", map[string]string{"HOME": "", "RUNNER_TEMP": "", "TMPDIR": "./closed"}, ""},
		{"nowhere at all", map[string]string{"HOME": "/dev/null", "RUNNER_TEMP": "/dev/null", "TMPDIR": "/dev/null"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.name == "XDG_CACHE_HOME is relative" && runtime.GOOS != "linux" {
				t.Skip("only Linux knows XDG_CACHE_HOME")
			}
			v := newVictim(t)
			closed := filepath.Join(v.dir, "closed")
			v.must(os.Mkdir(closed, 0o500))
			give(v.job, closed)
			for name, value := range tt.env {
				v.env[name] = value
				if below, ok := strings.CutPrefix(value, "./"); ok {
					v.env[name] = filepath.Join(v.dir, below)
				}
			}
			v.misses(tt.name)
			var at []string
			for _, path := range v.list(v.dir) {
				if strings.HasSuffix(path, ".sealed") {
					rel, err := filepath.Rel(v.dir, path)
					v.must(err)
					at = append(at, strings.Split(rel, string(os.PathSeparator))[0])
				}
			}
			if tt.keeps == "" {
				v.misses("again, " + tt.name)
				if len(at) > 0 {
					t.Errorf("it is kept in %v", at)
				}
				return
			}
			v.hits("again, " + tt.name)
			if !slices.Equal(at, []string{tt.keeps}) {
				t.Errorf("it is kept in %v, want %s", at, tt.keeps)
			}
		})
	}
	v := newVictim(t)
	v.misses("an empty cache")
	v.must(os.RemoveAll(v.env["RUNNER_TEMP"]))
	v.misses("the folder was deleted")
	v.must(os.RemoveAll(filepath.Dir(v.entry())))
	v.misses("the cache was deleted")
	v.hits("nothing was deleted")
	v.must(os.Chmod(v.entry(), 0o666)) // sealed is sealed
	v.hits("others may write it, if they get there")
}

// TestNoRoomForAFile checks a full disk: a write that fails in the middle costs only the cache
// entry.
func TestNoRoomForAFile(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	plain := v.as
	v.as = func(cmd *exec.Cmd) {
		plain(cmd)
		cmd.Args = []string{"sh", "-c", `trap '' XFSZ; ulimit -f 2; exec "$0" get`, cmd.Path}
		cmd.Path = "/bin/sh"
	}
	for range 2 {
		v.misses("no file may be larger than a kilobyte or two")
	}
	if left := append(v.cached(".sealed"), v.cached(".sealed-*")...); len(left) > 0 {
		t.Errorf("%v were left", left)
	}
	if left, err := filepath.Glob(filepath.Join(v.env["RUNNER_TEMP"], "*", ".tmp*")); err != nil || len(left) > 0 {
		t.Errorf("%v were left, %v", left, err)
	}
	v.as = plain
	v.misses("there is room again")
	v.hits("there is room again")
}
