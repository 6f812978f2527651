//go:build clients

package clients

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// On a disk that is full or read-only nothing can be cached, and get still
// answers, each time anew.
func TestDisk(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, j *job, disk string){
		"full": func(t *testing.T, j *job, disk string) {
			f, err := os.Create(filepath.Join(disk, "filler"))
			check(t, err)
			defer f.Close()
			for err == nil {
				_, err = f.Write(make([]byte, 1<<10))
			}
		},
		"read-only": func(t *testing.T, j *job, disk string) {
			j.ok(t, "mount", "-o", "remount,ro", disk)
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, trusted(), host)
			disk := j.scratch("disk")
			check(t, os.Mkdir(disk, 0o700))
			j.ok(t, "mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk)
			t.Cleanup(func() { j.ok(t, "umount", disk) })
			spoil(t, j, disk)
			j = j.with("RUNNER_TEMP", disk).with("HOME", disk).with("TMPDIR", disk)
			aws.ResetCalls()
			for range 2 {
				if a, err := j.get(host); err != nil || a.Secret == "" {
					t.Errorf("get: %v", err)
				}
			}
			asked(t, 2, 2, 2)
		})
	}
}

// Whichever of the cache's calls to the system fails, get answers, without a
// word; and when they work again, so does the cache.
func TestFailingCalls(t *testing.T) {
	need(t, "strace")
	for _, tt := range []struct {
		name   string
		inject string // as strace's
		path   string // narrows it to a file of the cache: "dir", "entry", "lock"
		warm   bool   // there is an entry already
	}{
		{"the directory cannot be made", "mkdirat:error=EIO", "", false},
		{"the directory cannot be looked at", "newfstatat:error=EIO", "dir", true},
		{"the directory is stale (NFS)", "newfstatat:error=ESTALE", "dir", true},
		{"the entry cannot be opened", "openat:error=EIO", "entry", true},
		{"the entry cannot be read", "read:error=EIO", "entry", true},
		{"no more files can be opened", "openat:error=EMFILE", "entry", true},
		{"the lock cannot be made", "openat:error=ENOSPC", "lock", false},
		{"the file system knows no locks", "flock:error=EOPNOTSUPP", "", false},
		{"the lock daemon is gone (NFS)", "flock:error=ENOLCK", "", false},
		{"the file system knows no modes", "fchmod:error=EPERM", "", false},
		{"the new entry cannot be put in its place", "/^rename:error=EIO", "", false},
		{"nor be removed", "/^rename|^unlink:error=EIO", "", false},
		{"the directory cannot be listed", "getdents64:error=EIO", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := newJob(t, circle(), host) // whose token is a variable, so that the only entry is the password
			if tt.warm || tt.path != "" {
				_, err := j.get(host)
				check(t, err)
			}
			flags := []string{"-f", "-qq", "-e", "inject=" + tt.inject}
			if tt.path != "" {
				pattern := map[string]string{"dir": "", "entry": "*.sealed", "lock": "*.lock"}[tt.path]
				paths, err := filepath.Glob(filepath.Join(j.env["RUNNER_TEMP"], "ecr-oidc*", pattern))
				check(t, err)
				if len(paths) != 1 {
					t.Fatalf("%s: %v", tt.path, paths)
				}
				flags = append(flags, "-P", filepath.Clean(paths[0]))
				if !tt.warm {
					check(t, os.RemoveAll(filepath.Dir(paths[0])))
				}
			}
			aws.ResetCalls()
			log := j.scratch("strace.log")
			out, err := j.try(host, "strace", append(flags, "-o", log, "docker-credential-ecr-oidc", "get")...)
			var a answer
			if err != nil || json.Unmarshal([]byte(out), &a) != nil || a.Secret == "" {
				t.Errorf("get: %v: %s", err, out)
			}
			asked(t, 0, 1, 1)
			if b, err := os.ReadFile(log); err != nil || !bytes.Contains(b, []byte("(INJECTED)")) {
				t.Errorf("nothing failed: %v\n%s", err, b)
			}
			for range 2 { // the first one may have to fill
				if again, err := j.get(host); err != nil || again.Secret == "" {
					t.Errorf("get, when all works again: %v", err)
				}
			}
			before := aws.Count("ecr")
			if again, err := j.get(host); err != nil || again.Secret == "" || aws.Count("ecr") != before {
				t.Errorf("the cache does not work again: %v", err)
			}
		})
	}
	t.Run("what must not be lost does not reach the disk", func(t *testing.T) {
		j := newJob(t, trusted(), host)
		before, err := os.ReadFile(j.dockerConfig())
		check(t, err)
		for _, inject := range []string{"fsync:error=EIO", "/^rename:error=EIO", "fchmod:error=EIO"} {
			out, err := j.try("", "strace", "-f", "-qq", "-o", j.scratch("strace.log"), "-e", "inject="+inject,
				"docker-credential-ecr-oidc", "configure", strings.Replace(host, "eu-west-2", "us-east-1", 1))
			if err == nil || !strings.Contains(out, "input/output error") {
				t.Errorf("%s: configure said %q, %v", inject, out, err)
			}
			if after, err := os.ReadFile(j.dockerConfig()); err != nil || !bytes.Equal(before, after) {
				t.Errorf("%s: the file was\n%s\nand is\n%s\n%v", inject, before, after, err)
			}
			if left, err := filepath.Glob(filepath.Join(filepath.Dir(j.dockerConfig()), ".tmp-*")); err != nil || len(left) > 0 {
				t.Errorf("%s: %v were left, %v", inject, left, err)
			}
		}
	})
}
