//go:build clients

package clients

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// ko builds on a private image and pushes. It asks the Amazon helper that is built into it first, and us when that one
// finds no credentials: AWS keys in the job's environment win over the job's own token.
// https://github.com/ko-build/ko/blob/v0.19.1/pkg/commands/config.go
func TestKo(t *testing.T) {
	ko, crane := need(t, "ko"), need(t, "crane")
	pusher := newJob(t, trusted(), host)
	layout := pusher.scratch("layout")
	image(t, layout, "ko's base")
	pusher.ok(t, crane, "push", layout, host+"/app:ko-base")

	t.Run("build", func(t *testing.T) {
		j := koJob(t, trusted())
		aws.ResetCalls()
		j.ok(t, "sh", "-c", koBuild, ko)
		asked(t, 1, 1, 1)
		a, err := j.get(host)
		check(t, err)
		j.leftNothing(t, a.Secret)
	})
	t.Run("refused", func(t *testing.T) {
		aws.ResetCalls()
		saysUntrusted(t, koJob(t, untrusted()).refused(t, "sh", "-c", koBuild, ko))
	})
	t.Run("AWS keys in the environment", func(t *testing.T) {
		const user = "arn:aws:iam::" + emulator.Account + ":user/ko"
		aws.AddUser(emulator.User{ARN: user, AccessKeyID: "AKIAIOSFODNN7KO", SecretAccessKey: emulator.SecretAccessKey, Push: []string{"app*"}, Pull: []string{"app*"}})
		j := koJob(t, trusted()).with("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7KO").with("AWS_SECRET_ACCESS_KEY", emulator.SecretAccessKey)
		aws.ResetCalls()
		j.ok(t, "sh", "-c", koBuild, ko)
		asked(t, 0, 0, 1)
		for _, c := range aws.Calls() {
			if c.Service == "registry" && c.Caller != "" && c.Caller != user {
				t.Errorf("%s %s as %s, want the keys' user", c.Op, c.Detail, c.Caller)
			}
		}
	})
}

const koBuild = `cd "$TMPDIR/demo" && "$0" build --bare .`

// koJob has a program to build, and Go's own cache to build it from.
func koJob(t *testing.T, ci map[string]string) *job {
	t.Helper()
	cache, err := exec.Command(need(t, "go"), "env", "GOCACHE").Output()
	check(t, err)
	j := newJob(t, ci, host).
		with("KO_DOCKER_REPO", host+"/app").with("KO_DEFAULTBASEIMAGE", host+"/app:ko-base").
		with("GOCACHE", strings.TrimSpace(string(cache))).with("GOFLAGS", "-buildvcs=false").with("GOTOOLCHAIN", "local").
		with("AWS_EC2_METADATA_DISABLED", "true") // its own helper waits for that else
	check(t, os.Mkdir(j.scratch("demo"), 0o755))
	check(t, os.WriteFile(j.scratch("demo/go.mod"), []byte("module example.com/demo\n\ngo 1.25\n"), 0o644))
	check(t, os.WriteFile(j.scratch("demo/main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644))
	return j
}
