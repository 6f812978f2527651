//go:build clients

package clients

import (
	"strings"
	"testing"

	"github.com/ecr-oidc/docker-credential-ecr-oidc/e2e/emulator"
)

// A role that does not trust the job: whatever the client, the person sees our
// line, with the role, the subject and AWS's own code. The log of this test is
// what they see, verbatim.
func TestRefusal(t *testing.T) {
	ref := host + "/app:refused"
	aws.ResetCalls()

	eachDocker(t, func(t *testing.T, d docker) {
		j := newJob(t, untrusted(), host).with("DOCKER_HOST", engine(t)).with("DOCKER_BUILDKIT", "0")
		// The classic builder asks for every registry's password, needed or not.
		t.Run("unrelated build", func(t *testing.T) {
			j.ok(t, d.path, "build", "--tag", ref, buildContext(t, j, "refused"+d.major(), "scratch"))
		})
		t.Run("push", func(t *testing.T) { saysUntrusted(t, j.refused(t, d.path, "push", ref)) })
		t.Run("pull", func(t *testing.T) { saysUntrusted(t, j.refused(t, d.path, "pull", ref)) })
		t.Run("build", func(t *testing.T) {
			saysUntrusted(t, j.refused(t, d.path, "build", "--pull", buildContext(t, j, "refused-from"+d.major(), ref)))
		})
	})

	t.Run("skopeo", func(t *testing.T) {
		skopeo := need(t, "skopeo")
		j := newJob(t, untrusted(), host)
		src := j.scratch("src")
		image(t, src, "refused")
		saysUntrusted(t, j.refused(t, skopeo, "--insecure-policy", "copy", "oci:"+src+":v1", "docker://"+ref))
		saysUntrusted(t, j.refused(t, skopeo, "inspect", "docker://"+ref))
	})
	t.Run("podman", func(t *testing.T) {
		podman, flags := need(t, "podman"), append(storage(t), "--cgroup-manager", "cgroupfs")
		j := newJob(t, untrusted(), host)
		saysUntrusted(t, j.refused(t, podman, append(flags, "pull", ref)...))
	})
	t.Run("buildah", func(t *testing.T) {
		buildah, flags := need(t, "buildah"), storage(t)
		j := newJob(t, untrusted(), host)
		dir := buildContext(t, j, "refused", ref)
		saysUntrusted(t, j.refused(t, buildah, append(flags, "bud", "--isolation", "chroot", "--pull-always", dir)...))
	})
	t.Run("crane", func(t *testing.T) {
		crane := need(t, "crane")
		j := newJob(t, untrusted(), host)
		src := j.scratch("src")
		image(t, src, "refused")
		saysUntrusted(t, j.refused(t, crane, "push", src, ref))
		saysUntrusted(t, j.refused(t, crane, "digest", ref))
	})
}

// saysUntrusted fails the test unless a person reads which role refused which subject, or if ECR was asked all the same.
func saysUntrusted(t *testing.T, out string) {
	t.Helper()
	for _, want := range []string{"ecr-oidc: ", "role ci in " + emulator.Account, "repo:acme/app:pull_request", "AccessDenied"} {
		if !strings.Contains(out, want) {
			t.Errorf("the person does not see %q", want)
		}
	}
	if n := aws.Count("ecr"); n != 0 {
		t.Errorf("ECR was asked %d times", n)
	}
}
