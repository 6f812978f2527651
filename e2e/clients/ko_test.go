//go:build clients

package clients

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestKo builds an image from a private base image and pushes it. ko uses its built-in Amazon
// helper first, and this helper if that finds no credentials. So AWS keys in the job's environment
// take precedence over the job's token.
// https://github.com/ko-build/ko/blob/v0.19.1/pkg/commands/config.go
func TestKo(t *testing.T) {
	ko, crane := need(t, "ko"), need(t, "crane")
	pusher := newJob(t, trustedJob(), host)
	layout := pusher.scratch("layout")
	image(t, layout, "ko's base")
	pusher.run(t, crane, "push", layout, host+"/app:ko-base")

	t.Run("build", func(t *testing.T) {
		j := koJob(t, trustedJob())
		aws.ResetCalls()
		j.run(t, "sh", "-c", koBuild, ko)
		wantCalls(t, 1, 1, 1)
		a, err := j.get(host)
		check(t, err)
		j.checkNoSecrets(t, a.Secret)
	})
	t.Run("denied", func(t *testing.T) {
		aws.ResetCalls()
		wantDenied(t, koJob(t, untrustedJob()).runFails(t, "sh", "-c", koBuild, ko))
	})
	t.Run("AWS keys in the environment", func(t *testing.T) {
		const user = "arn:aws:iam::" + emulator.Account + ":user/ko"
		aws.AddUser(emulator.User{ARN: user, AccessKeyID: "AKIAIOSFODNN7KO",
			SecretAccessKey: emulator.SecretAccessKey, Push: []string{"app*"}, Pull: []string{"app*"}})
		j := koJob(t, trustedJob()).withEnv("AWS_ACCESS_KEY_ID",
			"AKIAIOSFODNN7KO").withEnv("AWS_SECRET_ACCESS_KEY", emulator.SecretAccessKey)
		aws.ResetCalls()
		j.run(t, "sh", "-c", koBuild, ko)
		wantCalls(t, 0, 0, 1)
		for _, c := range aws.Calls() {
			if c.Service == "registry" && c.Caller != "" && c.Caller != user {
				t.Errorf("%s %s as %s, want the keys' user", c.Op, c.Detail, c.Caller)
			}
		}
	})
}

const koBuild = `cd "$TMPDIR/demo" && "$0" build --bare .`

// koJob returns a job with a Go program to build. It uses the machine's Go build cache.
func koJob(t *testing.T, ci map[string]string) *job {
	t.Helper()
	cache, err := exec.Command(need(t, "go"), "env", "GOCACHE").Output()
	check(t, err)
	j := newJob(t, ci, host).
		withEnv("KO_DOCKER_REPO", host+"/app").withEnv("KO_DEFAULTBASEIMAGE", host+"/app:ko-base").
		withEnv("GOCACHE", strings.TrimSpace(string(cache))).withEnv("GOFLAGS",
		"-buildvcs=false").withEnv("GOTOOLCHAIN", "local").
		withEnv("AWS_EC2_METADATA_DISABLED", "true") // otherwise ko's own helper waits for the metadata service
	check(t, os.Mkdir(j.scratch("demo"), 0o755))
	check(t, os.WriteFile(j.scratch("demo/go.mod"), []byte("module example.com/demo\n\ngo 1.25\n"), 0o644))
	check(t, os.WriteFile(j.scratch("demo/main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644))
	return j
}
