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

// TestDisk checks gets with a full and with a read-only disk. They cannot use the cache, and log in
// each time.
func TestDisk(t *testing.T) {
	for name, breakDisk := range map[string]func(t *testing.T, j *job, disk string){
		"full": func(t *testing.T, j *job, disk string) {
			f, err := os.Create(filepath.Join(disk, "filler"))
			check(t, err)
			defer f.Close()
			for err == nil {
				_, err = f.Write(make([]byte, 1<<10))
			}
		},
		"read-only": func(t *testing.T, j *job, disk string) {
			j.run(t, "mount", "-o", "remount,ro", disk)
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, trustedJob(), host)
			disk := j.scratch("disk")
			check(t, os.Mkdir(disk, 0o700))
			j.run(t, "mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", disk)
			t.Cleanup(func() { j.run(t, "umount", disk) })
			breakDisk(t, j, disk)
			j = j.withEnv("RUNNER_TEMP", disk).withEnv("HOME", disk).withEnv("TMPDIR", disk)
			aws.ResetCalls()
			for range 2 {
				if a, err := j.get(host); err != nil || a.Secret == "" {
					t.Errorf("get: %v", err)
				}
			}
			wantCalls(t, 2, 2, 2)
		})
	}
}

// TestFailingSystemCalls checks that get succeeds and prints nothing if a system call of the cache
// fails, and that the cache works again afterwards.
func TestFailingSystemCalls(t *testing.T) {
	need(t, "strace")
	for _, tt := range []struct {
		name   string
		inject string // argument of strace's inject=
		path   string // if not empty, only for the cache's "dir", "entry" or "lock"
		cached bool   // the cache has an entry
	}{
		{"mkdir of the directory", "mkdirat:error=EIO", "", false},
		{"stat of the directory", "newfstatat:error=EIO", "dir", true},
		{"stale directory (NFS)", "newfstatat:error=ESTALE", "dir", true},
		{"open of the entry", "openat:error=EIO", "entry", true},
		{"read of the entry", "read:error=EIO", "entry", true},
		{"too many open files", "openat:error=EMFILE", "entry", true},
		{"creation of the lock file", "openat:error=ENOSPC", "lock", false},
		{"locks not supported", "flock:error=EOPNOTSUPP", "", false},
		{"no lock daemon (NFS)", "flock:error=ENOLCK", "", false},
		{"modes not supported", "fchmod:error=EPERM", "", false},
		{"rename of the new entry", "/^rename:error=EIO", "", false},
		{"rename and removal of the new entry", "/^rename|^unlink:error=EIO", "", false},
		{"listing of the directory", "getdents64:error=EIO", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			j := newJob(t, circleCIJob(), host) // its token is in a variable, so the password is the only entry
			if tt.cached || tt.path != "" {
				_, err := j.get(host)
				check(t, err)
			}
			flags := []string{"-f", "-qq", "-e", "inject=" + tt.inject}
			if tt.path != "" {
				pattern := map[string]string{"dir": "", "entry": "*.enc", "lock": "*.lock"}[tt.path]
				paths, err := filepath.Glob(filepath.Join(j.env["RUNNER_TEMP"], "ecr-oidc*", pattern))
				check(t, err)
				if len(paths) != 1 {
					t.Fatalf("%s: %v", tt.path, paths)
				}
				flags = append(flags, "-P", filepath.Clean(paths[0]))
				if !tt.cached {
					check(t, os.RemoveAll(filepath.Dir(paths[0])))
				}
			}
			aws.ResetCalls()
			log := j.scratch("strace.log")
			out, err := j.exec(host, "strace",
				append(flags, "-o", log, "docker-credential-ecr-oidc", "get")...)
			var a credentials
			if err != nil || json.Unmarshal([]byte(out), &a) != nil || a.Secret == "" {
				t.Errorf("get: %v: %s", err, out)
			}
			wantCalls(t, 0, 1, 1)
			if b, err := os.ReadFile(log); err != nil || !bytes.Contains(b, []byte("(INJECTED)")) {
				t.Errorf("no system call failed: %v\n%s", err, b)
			}
			for range 2 { // the first get may have to fill the cache
				if again, err := j.get(host); err != nil || again.Secret == "" {
					t.Errorf("get after the fault: %v", err)
				}
			}
			before := aws.Count("ecr")
			if again, err := j.get(host); err != nil || again.Secret == "" || aws.Count("ecr") != before {
				t.Errorf("the cache does not work after the fault: %v", err)
			}
		})
	}
	t.Run("configure", func(t *testing.T) {
		j := newJob(t, trustedJob(), host)
		before, err := os.ReadFile(j.dockerConfig())
		check(t, err)
		for _, inject := range []string{"fsync:error=EIO", "/^rename:error=EIO", "fchmod:error=EIO"} {
			out, err := j.exec("", "strace", "-f", "-qq", "-o", j.scratch("strace.log"), "-e",
				"inject="+inject,
				"docker-credential-ecr-oidc", "configure", strings.Replace(host, "eu-west-2", "us-east-1", 1))
			if err == nil || !strings.Contains(out, "input/output error") {
				t.Errorf("%s: configure printed %q, %v", inject, out, err)
			}
			if after, err := os.ReadFile(j.dockerConfig()); err != nil || !bytes.Equal(before, after) {
				t.Errorf("%s: the file changed from\n%s\nto\n%s\n%v", inject, before, after, err)
			}
			if left, err := filepath.Glob(filepath.Join(filepath.Dir(j.dockerConfig()),
				".tmp-*")); err != nil || len(left) > 0 {
				t.Errorf("%s: temporary files %v remain, %v", inject, left, err)
			}
		}
	})
}
