//go:build clients

package clients

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestInstall runs the steps of README and docs/install.md in an empty home: install.sh, configure
// and docker push. The helper of the other tests is not on PATH.
func TestInstall(t *testing.T) {
	docker := newestDocker(t)
	built := filepath.Dir(need(t, "docker-credential-ecr-oidc"))
	j := newJob(t, trustedJob(), host)
	check(t, os.RemoveAll(j.home()))
	check(t, os.Mkdir(j.home(), 0o700))
	bin := filepath.Join(j.home(), ".local", "bin")
	path := slices.DeleteFunc(filepath.SplitList(j.env["PATH"]),
		func(dir string) bool { return dir == built })
	j = j.withEnv("PATH", strings.Join(append([]string{bin}, path...), ":")).withEnv("DOCKER_HOST",
		engine(t)).withEnv("DOCKER_BUILDKIT", "0")

	if out, err := j.exec("", "sh", "-c", "command -v docker-credential-ecr-oidc"); err == nil {
		t.Fatalf("the helper is already on PATH: %s", out)
	}
	script, err := filepath.Abs("install.sh")
	check(t, err)
	aws.ResetCalls()
	j.run(t, "sh", script, "--version", "0.1.0", "--mirror", releaseMirror(t))
	// In a shell, so that the job's PATH is used.
	j.run(t, "sh", "-c", "docker-credential-ecr-oidc configure "+host)
	image := host + "/app:install"
	j.run(t, docker, "build", "--tag", image, buildContext(t, j, "install", "scratch"))
	pushed := dockerDigest(t, j.run(t, docker, "push", image))
	j.run(t, docker, "image", "rm", image)
	if pulled := dockerDigest(t, j.run(t, docker, "pull", image)); pulled != pushed {
		t.Errorf("pulled %s, pushed %s", pulled, pushed)
	}
	wantCalls(t, 1, 1, 1)
	j.run(t, "sh", "-c", "docker-credential-ecr-oidc doctor")
}
