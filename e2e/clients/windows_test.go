//go:build clients

package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestWindows runs the Windows binary under Wine, which covers its paths, locks, file names and
// certificates. .ci/run does not install Wine because of its size: apt-get install wine wine64
// gcc-mingw-w64-x86-64-win32.
func TestWindows(t *testing.T) {
	w := newWine(t, newJob(t, trustedJob(), host))

	if out := w.runHelper(t, "version"); !strings.Contains(out, "windows/amd64") {
		t.Error("version does not contain the platform")
	}
	t.Run("configure", func(t *testing.T) {
		w.runHelper(t, "configure", host)
		b, err := os.ReadFile(filepath.Join(w.drive, "users", "root", ".docker", "config.json"))
		check(t, err)
		if !strings.Contains(string(b), `"`+host+`": "ecr-oidc"`) {
			t.Errorf("Docker's configuration is %s", b)
		}
	})
	t.Run("get twice", func(t *testing.T) {
		aws.ResetCalls()
		var first credentials
		for i := range 2 {
			a, err := w.get()
			check(t, err)
			if i == 0 {
				first = a
			}
			if a.Username != "AWS" || a.Secret == "" || a != first {
				t.Errorf("get %d returned user %q and a password of %d bytes", i+1, a.Username, len(a.Secret))
			}
		}
		wantCalls(t, 1, 1, 1)
		w.checkNoSecrets(t, first.Secret)
	})
	t.Run("concurrent gets", func(t *testing.T) {
		w := w.withEnv("RUNNER_TEMP", w.mkdir(t, "second"))
		aws.ResetCalls()
		var results [4]credentials
		var errs [4]error
		var running sync.WaitGroup
		for i := range results {
			running.Go(func() { results[i], errs[i] = w.get() })
		}
		running.Wait()
		for i, err := range errs {
			check(t, err)
			if results[i] != results[0] || results[i].Secret == "" {
				t.Errorf("get %d returned another password than the first one, of %d bytes", i+1,
					len(results[i].Secret))
			}
		}
		wantCalls(t, 1, 1, 1)
	})
	t.Run("denied", func(t *testing.T) {
		w := w.withEnv("RUNNER_TEMP", w.mkdir(t, "denied"))
		for k, v := range untrustedJob() {
			w = w.withEnv(k, v)
		}
		aws.ResetCalls()
		_, err := w.get()
		if err == nil {
			t.Fatal("get succeeded, although the role does not trust the job")
		}
		t.Log(err)
		wantDenied(t, err.Error())
	})
	t.Run("other host", func(t *testing.T) {
		out, err := w.execHelper("docker.io", "get")
		if err == nil || strings.TrimSpace(out) != "credentials not found in native keychain" {
			t.Errorf("get returned %q, %v", out, err)
		}
	})
}

// wine is a job under Wine. drive is the directory of drive C:.
type wine struct {
	*job
	drive string
}

// newWine creates a Wine prefix for a job. Wine 8 lacks the function that Go's runtime imports from
// bcryptprimitives.dll, so the test builds that DLL.
func newWine(t *testing.T, j *job) *wine {
	t.Helper()
	need(t, "wine")
	need(t, "docker-credential-ecr-oidc.exe")
	gcc := need(t, "x86_64-w64-mingw32-gcc")
	prefix := filepath.Join(t.TempDir(), "wine")
	w := &wine{
		j.withEnv("WINEPREFIX", prefix).withEnv("WINEDEBUG", "-all").withEnv("WINEDLLOVERRIDES",
			"mscoree,mshtml="),
		filepath.Join(prefix, "drive_c"),
	}
	t.Cleanup(func() { w.job.run(t, "wineserver", "--kill") })
	// Redirect the output, because wineboot starts background processes that would keep a pipe
	// open.
	w.job.run(t, "sh", "-c", "wine wineboot --init >/dev/null 2>&1")
	source := j.scratch("prng.c")
	check(t, os.WriteFile(source, []byte(`#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T n) { return SystemFunction036(to, n); }
`), 0o600))
	w.job.run(t, gcc, "-shared", "-o",
		filepath.Join(w.drive, "windows", "system32", "bcryptprimitives.dll"), source, "-ladvapi32")
	return w.withEnv("RUNNER_TEMP", w.mkdir(t, "runner"))
}

func (w *wine) withEnv(key, value string) *wine { return &wine{w.job.withEnv(key, value), w.drive} }

// mkdir creates a directory on drive C: and returns its Windows path.
func (w *wine) mkdir(t *testing.T, name string) string {
	t.Helper()
	check(t, os.Mkdir(filepath.Join(w.drive, name), 0o755))
	return `C:\` + name
}

func (w *wine) execHelper(stdin string, args ...string) (string, error) {
	exe, err := exec.LookPath("docker-credential-ecr-oidc.exe")
	if err != nil {
		return "", err
	}
	return w.exec(stdin, "wine", append([]string{exe}, args...)...)
}

func (w *wine) runHelper(t *testing.T, args ...string) string {
	t.Helper()
	out, err := w.execHelper("", args...)
	t.Logf("> docker-credential-ecr-oidc.exe %s\n%s", strings.Join(args, " "), out)
	check(t, err)
	return out
}

func (w *wine) get() (credentials, error) {
	out, err := w.execHelper(host, "get")
	if err != nil {
		return credentials{}, fmt.Errorf("%w: %s", err, out)
	}
	var a credentials
	return a, json.Unmarshal([]byte(out), &a)
}

// checkNoSecrets checks that the cache contains one entry and that no file contains the password.
func (w *wine) checkNoSecrets(t *testing.T, password string) {
	t.Helper()
	entries := 0
	check(t, filepath.WalkDir(filepath.Join(w.drive, "runner"),
		func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(password)) {
				t.Errorf("%s contains the password", path)
			}
			if strings.HasSuffix(path, ".enc") {
				entries++
			}
			t.Logf("%s: %d bytes", path, len(b))
			return err
		}))
	if entries != 1 {
		t.Errorf("%d cache entries, want 1", entries)
	}
}
