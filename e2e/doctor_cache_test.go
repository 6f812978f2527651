package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// The cache, cached failures, and logins that another tool stored.
func TestDoctorCache(t *testing.T) {
	slow(t, "runs doctor on many caches")
	setCacheDir := func(t *testing.T, j *job) string {
		path := filepath.Join(j.dir, "runner", fmt.Sprintf("ecr-oidc-%d", os.Getuid()))
		j.env["ECR_OIDC_CACHE_DIR"] = path
		return path
	}
	// The user's cache directory has the same path as on macOS.
	setUserCacheDir := func(j *job) {
		j.env["XDG_CACHE_HOME"] = filepath.Join(j.dir, "home", "Library", "Caches")
	}
	testReports(t, "cache.txt", []string{"cache", "login"}, []reportCase{
		{name: "no directory", arrange: unchanged},
		{name: "empty directory", arrange: func(t *testing.T, j *job) []string {
			if err := os.Mkdir(setCacheDir(t, j), 0o700); err != nil {
				t.Fatal(err)
			}
			return nil
		}},
		{name: "password", arrange: func(t *testing.T, j *job) []string {
			j.cachePassword(t)
			return nil
		}},
		{name: "password, AWS refuses now", arrange: func(t *testing.T, j *job) []string {
			j.cachePassword(t)
			j.trustOtherRepository()
			return nil
		}},
		{name: "usable password, AWS does not respond",
			options: emulator.Options{SessionTTL: time.Second},
			arrange: func(t *testing.T, j *job) []string {
				j.cachePassword(t)
				j.server.AddFault("sts", emulator.Fault{Status: 503})
				j.env["AWS_MAX_ATTEMPTS"] = "1"
				j.waitForDoctor(t, "get returns it if the request fails")
				return nil
			}},
		{name: "expired password",
			options: emulator.Options{PasswordTTL: 15*time.Minute + 2*time.Second},
			arrange: func(t *testing.T, j *job) []string {
				j.cachePassword(t)
				j.waitForDoctor(t, "no longer returns it")
				return nil
			}},
		{name: "cached failure, AWS admits now", arrange: func(t *testing.T, j *job) []string {
			j.cacheFailure(t)
			return nil
		}},
		{name: "cached failure, same error", arrange: func(t *testing.T, j *job) []string {
			j.cacheFailure(t)
			j.trustOtherRepository()
			return nil
		}},
		{name: "cached failure, other error", arrange: func(t *testing.T, j *job) []string {
			j.cacheFailure(t)
			j.server.AddFault("sts", emulator.Fault{Status: 403, Code: "RegionDisabledException",
				Message: "STS is not activated in this region"})
			return nil
		}},
		{name: "cached failure and stored login", arrange: func(t *testing.T, j *job) []string {
			j.cacheFailure(t)
			j.storeLogin(t, defaultHost)
			return nil
		}},
		{name: "RUNNER_TEMP not writable", arrange: func(t *testing.T, j *job) []string {
			j.env["RUNNER_TEMP"] = "/proc/nope"
			setUserCacheDir(j)
			return nil
		}},
		{name: "cache off", arrange: func(t *testing.T, j *job) []string {
			j.env["ECR_OIDC_CACHE"] = "off"
			return nil
		}},
		{name: "directory open to others", arrange: func(t *testing.T, j *job) []string {
			path := setCacheDir(t, j)
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, 0o777); err != nil {
				t.Fatal(err)
			}
			return nil
		}},
		{name: "files instead of both directories", arrange: func(t *testing.T, j *job) []string {
			name := filepath.Base(setCacheDir(t, j))
			delete(j.env, "ECR_OIDC_CACHE_DIR")
			j.writeFile(t, "runner/"+name, "")
			setUserCacheDir(j)
			j.writeFile(t, "home/Library/Caches/"+name, "")
			return nil
		}},
		{name: "no secret to encrypt with", arrange: func(t *testing.T, j *job) []string {
			j.onGitHub(emulator.GitHubJob{NoIDToken: true})
			return nil
		}},
		{name: "stored login", arrange: func(t *testing.T, j *job) []string {
			j.storeLogin(t, defaultHost)
			return nil
		}},
		{name: "stored login, AWS refuses", arrange: func(t *testing.T, j *job) []string {
			j.storeLogin(t, defaultHost)
			j.trustOtherRepository()
			return nil
		}},
		{name: "stored login, ignored", arrange: func(t *testing.T, j *job) []string {
			j.storeLogin(t, defaultHost)
			j.env["ECR_OIDC_STORED_LOGINS"] = "off"
			return nil
		}},
		{name: "stored login for the public registry", arrange: func(t *testing.T, j *job) []string {
			j.storeLogin(t, public)
			return []string{public}
		}},
	})
}

// waitForDoctor runs doctor until its output contains text.
func (j *job) waitForDoctor(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; {
		out := j.doctor(t, defaultHost)
		if strings.Contains(out.stdout, text) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the output does not contain %q:\n%s", text, out.stdout)
		}
	}
}
