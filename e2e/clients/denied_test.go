//go:build clients

package clients

import (
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// TestDenied runs every client in a job that the role does not trust. The output of each client
// contains the helper's error, with the role, the subject and AWS's error code. The test logs the
// output.
func TestDenied(t *testing.T) {
	ref := host + "/app:denied"
	aws.ResetCalls()

	eachDocker(t, func(t *testing.T, d docker) {
		j := newJob(t, untrustedJob(), host).withEnv("DOCKER_HOST", engine(t)).withEnv("DOCKER_BUILDKIT", "0")
		// The classic builder gets the passwords of all registries, even if it does not
		// need them.
		t.Run("unrelated build", func(t *testing.T) {
			j.run(t, d.path, "build", "--tag", ref, buildContext(t, j, "denied"+d.major(), "scratch"))
		})
		t.Run("push", func(t *testing.T) { wantDenied(t, j.runFails(t, d.path, "push", ref)) })
		t.Run("pull", func(t *testing.T) { wantDenied(t, j.runFails(t, d.path, "pull", ref)) })
		t.Run("build", func(t *testing.T) {
			wantDenied(t, j.runFails(t, d.path, "build", "--pull",
				buildContext(t, j, "denied-from"+d.major(), ref)))
		})
	})

	t.Run("skopeo", func(t *testing.T) {
		skopeo := need(t, "skopeo")
		j := newJob(t, untrustedJob(), host)
		src := j.scratch("src")
		image(t, src, "denied")
		wantDenied(t, j.runFails(t, skopeo, "--insecure-policy", "copy", "oci:"+src+":v1", "docker://"+ref))
		wantDenied(t, j.runFails(t, skopeo, "inspect", "docker://"+ref))
	})
	t.Run("podman", func(t *testing.T) {
		podman, flags := need(t, "podman"), append(storage(t), "--cgroup-manager", "cgroupfs")
		j := newJob(t, untrustedJob(), host)
		wantDenied(t, j.runFails(t, podman, append(flags, "pull", ref)...))
	})
	t.Run("buildah", func(t *testing.T) {
		buildah, flags := need(t, "buildah"), storage(t)
		j := newJob(t, untrustedJob(), host)
		dir := buildContext(t, j, "denied", ref)
		wantDenied(t, j.runFails(t, buildah,
			append(flags, "bud", "--isolation", "chroot", "--pull-always", dir)...))
	})
	t.Run("crane", func(t *testing.T) {
		crane := need(t, "crane")
		j := newJob(t, untrustedJob(), host)
		src := j.scratch("src")
		image(t, src, "denied")
		wantDenied(t, j.runFails(t, crane, "push", src, ref))
		wantDenied(t, j.runFails(t, crane, "digest", ref))
	})
}

// wantDenied checks that the output contains the helper's error with the role and the subject, and
// that the helper has not called ECR.
func wantDenied(t *testing.T, out string) {
	t.Helper()
	for _, want := range []string{"ecr-oidc: ", "role ci in " + emulator.Account,
		"repo:acme/app:pull_request", "AccessDenied"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output does not contain %q", want)
		}
	}
	if n := aws.Count("ecr"); n != 0 {
		t.Errorf("%d calls to ECR", n)
	}
}
