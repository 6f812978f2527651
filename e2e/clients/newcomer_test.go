//go:build clients

package clients

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What README and docs/install.md tell a newcomer, in a home with nothing in it:
// the script, configure, docker push. The helper that the other tests have on
// PATH is not there.
func TestNewcomer(t *testing.T) {
	docker := newestDocker(t)
	built := filepath.Dir(need(t, "docker-credential-ecr-oidc"))
	j := newJob(t, trusted(), host)
	check(t, os.RemoveAll(j.home()))
	check(t, os.Mkdir(j.home(), 0o700))
	bin := filepath.Join(j.home(), ".local", "bin")
	path := slices.DeleteFunc(filepath.SplitList(j.env["PATH"]), func(dir string) bool { return dir == built })
	j = j.with("PATH", strings.Join(append([]string{bin}, path...), ":")).with("DOCKER_HOST", engine(t)).with("DOCKER_BUILDKIT", "0")

	if out, err := j.try("", "sh", "-c", "command -v docker-credential-ecr-oidc"); err == nil {
		t.Fatalf("it is there already: %s", out)
	}
	script, err := filepath.Abs("install.sh")
	check(t, err)
	aws.ResetCalls()
	j.ok(t, "sh", script, "--version", "0.1.0", "--mirror", mirror(t))
	// As a shell would, by the job's PATH.
	j.ok(t, "sh", "-c", "docker-credential-ecr-oidc configure "+host)
	image := host + "/app:newcomer"
	j.ok(t, docker, "build", "--tag", image, buildContext(t, j, "newcomer", "scratch"))
	pushed := dockerDigest(t, j.ok(t, docker, "push", image))
	j.ok(t, docker, "image", "rm", image)
	if pulled := dockerDigest(t, j.ok(t, docker, "pull", image)); pulled != pushed {
		t.Errorf("pulled %s, pushed %s", pulled, pushed)
	}
	asked(t, 1, 1, 1)
	j.ok(t, "sh", "-c", "docker-credential-ecr-oidc doctor")
}
