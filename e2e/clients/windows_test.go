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

// Windows' binary, under Wine: its paths, its locks, its files' names, its certificates. Wine is large, so that .ci/run
// does not install it: apt-get install wine wine64 gcc-mingw-w64-x86-64-win32.
func TestWindows(t *testing.T) {
	w := newWine(t, newJob(t, trusted(), host))

	if out := w.ok(t, "version"); !strings.Contains(out, "windows/amd64") {
		t.Error("it does not say what it is")
	}
	t.Run("configure", func(t *testing.T) {
		w.ok(t, "configure", host)
		b, err := os.ReadFile(filepath.Join(w.drive, "users", "root", ".docker", "config.json"))
		check(t, err)
		if !strings.Contains(string(b), `"`+host+`": "ecr-oidc"`) {
			t.Errorf("Docker's configuration is %s", b)
		}
	})
	t.Run("get twice", func(t *testing.T) {
		aws.ResetCalls()
		var first answer
		for i := range 2 {
			a, err := w.get()
			check(t, err)
			if i == 0 {
				first = a
			}
			if a.Username != "AWS" || a.Secret == "" || a != first {
				t.Errorf("get %d answers as %q with %d bytes of password", i+1, a.Username, len(a.Secret))
			}
		}
		asked(t, 1, 1, 1)
		w.leftNothing(t, first.Secret)
	})
	t.Run("gets at once", func(t *testing.T) {
		w := w.with("RUNNER_TEMP", w.folder(t, "second"))
		aws.ResetCalls()
		var answers [4]answer
		var errs [4]error
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() { answers[i], errs[i] = w.get() })
		}
		all.Wait()
		for i, err := range errs {
			check(t, err)
			if answers[i] != answers[0] || answers[i].Secret == "" {
				t.Errorf("get %d answers with another password than the first, of %d bytes", i+1, len(answers[i].Secret))
			}
		}
		asked(t, 1, 1, 1)
	})
	t.Run("refused", func(t *testing.T) {
		w := w.with("RUNNER_TEMP", w.folder(t, "refused"))
		for k, v := range untrusted() {
			w = w.with(k, v)
		}
		aws.ResetCalls()
		_, err := w.get()
		if err == nil {
			t.Fatal("get succeeded, though the role does not trust this job")
		}
		t.Log(err)
		saysUntrusted(t, err.Error())
	})
	t.Run("a host that is not ECR", func(t *testing.T) {
		out, err := w.run("docker.io", "get")
		if err == nil || strings.TrimSpace(out) != "credentials not found in native keychain" {
			t.Errorf("get says %q, %v", out, err)
		}
	})
}

// wine is a job on Windows: C: is a folder here.
type wine struct {
	*job
	drive string
}

// newWine makes a Windows of its own for a job. Wine 8 lacks the one function that Go's runtime takes from
// bcryptprimitives.dll, so that DLL is made here.
func newWine(t *testing.T, j *job) *wine {
	t.Helper()
	need(t, "wine")
	need(t, "docker-credential-ecr-oidc.exe")
	gcc := need(t, "x86_64-w64-mingw32-gcc")
	prefix := filepath.Join(t.TempDir(), "wine")
	w := &wine{
		j.with("WINEPREFIX", prefix).with("WINEDEBUG", "-all").with("WINEDLLOVERRIDES", "mscoree,mshtml="),
		filepath.Join(prefix, "drive_c"),
	}
	t.Cleanup(func() { w.job.ok(t, "wineserver", "--kill") })
	// It starts processes that stay, and that would hold on to a pipe.
	w.job.ok(t, "sh", "-c", "wine wineboot --init >/dev/null 2>&1")
	source := j.scratch("prng.c")
	check(t, os.WriteFile(source, []byte(`#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T n) { return SystemFunction036(to, n); }
`), 0o600))
	w.job.ok(t, gcc, "-shared", "-o", filepath.Join(w.drive, "windows", "system32", "bcryptprimitives.dll"), source, "-ladvapi32")
	return w.with("RUNNER_TEMP", w.folder(t, "runner"))
}

func (w *wine) with(key, value string) *wine { return &wine{w.job.with(key, value), w.drive} }

// folder makes one on drive C:, and returns what Windows calls it.
func (w *wine) folder(t *testing.T, name string) string {
	t.Helper()
	check(t, os.Mkdir(filepath.Join(w.drive, name), 0o755))
	return `C:\` + name
}

func (w *wine) run(stdin string, args ...string) (string, error) {
	exe, err := exec.LookPath("docker-credential-ecr-oidc.exe")
	if err != nil {
		return "", err
	}
	return w.try(stdin, "wine", append([]string{exe}, args...)...)
}

func (w *wine) ok(t *testing.T, args ...string) string {
	t.Helper()
	out, err := w.run("", args...)
	t.Logf("> docker-credential-ecr-oidc.exe %s\n%s", strings.Join(args, " "), out)
	check(t, err)
	return out
}

func (w *wine) get() (answer, error) {
	out, err := w.run(host, "get")
	if err != nil {
		return answer{}, fmt.Errorf("%w: %s", err, out)
	}
	var a answer
	return a, json.Unmarshal([]byte(out), &a)
}

// leftNothing fails the test unless the cache holds an entry, and no file of it the password.
func (w *wine) leftNothing(t *testing.T, password string) {
	t.Helper()
	sealed := 0
	check(t, filepath.WalkDir(filepath.Join(w.drive, "runner"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(password)) {
			t.Errorf("%s holds the password", path)
		}
		if strings.HasSuffix(path, ".sealed") {
			sealed++
		}
		t.Logf("%s: %d bytes", path, len(b))
		return err
	}))
	if sealed != 1 { // the login
		t.Errorf("%d sealed entries, want 1", sealed)
	}
}
